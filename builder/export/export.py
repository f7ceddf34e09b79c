"""Export a checkpoint to a model bundle: `models/<name>/`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from promptsearch.encoding.bundle import FILES, Bundle, Precision
from promptsearch.encoding.encoders import Encoders
from promptsearch.errors import ExportError, ModelFault
from promptsearch.system.files import sha256_of

from . import fidelity
from .original import Exportable, Original
from .quantization import Form, quantise


def export(
    checkpoint: Exportable,
    out: Path,
    *,
    precision: Literal["fp32", "int8"] = "fp32",
    licence: str = "unknown",
    licence_files: Iterable[Path] = (),
    licence_texts: Mapping[str, str] | None = None,
) -> Bundle:
    """Write the bundle of `checkpoint` to the folder `out`, replacing a bundle that is there.

    "fp32" writes those encoders alone, "int8" quantised ones beside them. Everything is written beside `out` and moved
    there once the fp32 encoders have proved equal to the original's (cosine of at least `fidelity.FP32_COSINE` on every
    text and picture) and the int8 ones near them (`fidelity.INT8_COSINE` on average), so a failed export changes
    nothing. `licence_texts`: file name -> text, kept in the bundle as `licence_files` are. Raises ExportError.
    """
    if out.exists() and not (out / FILES.model).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"expected a model bundle or an empty folder, but {out} is neither: choose another --out")
    original = checkpoint.original()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        texts = {**original.licences, **(licence_texts or {})}
        bundle = write_fp32(replace(original, licences=texts), folder, licence=licence, licence_files=licence_files)
        encoders = Encoders(bundle)
        reference = fidelity.Reference.of(original, encoders.preprocessing)
        try:
            measured = fidelity.measure(encoders, reference)
        except ModelFault:
            raise ExportError(
                f"the encoders of {original.source.name} return vectors that are not finite or zero: check its weights"
            ) from None
        fidelity.require_every(measured, fidelity.FP32_COSINE)
        fp32 = Precision(FILES.text, FILES.image, measured, reference=original.reference.name)
        bundle = replace(bundle, precisions={"fp32": fp32})
        if precision == "int8":
            bundle = _with_int8(bundle, original, reference)
        bundle.write()
        if out.exists():
            shutil.rmtree(out)
        folder.replace(out)
    return Bundle.open(out)


def write_fp32(
    original: Original, folder: Path, *, licence: str = "unknown", licence_files: Iterable[Path] = ()
) -> Bundle:
    """Write the files of a bundle with fp32 encoders to `folder`; the returned bundle has no fidelity yet."""
    licences = folder / FILES.licences
    licences.mkdir(parents=True)
    for path in licence_files:
        shutil.copy(path, licences / path.name)
    for name, text in original.licences.items():
        (licences / name).write_text(text, encoding="utf-8")
    original.write_text(folder / FILES.text)
    original.write_image(folder / FILES.image)
    original.tokenizer.save(str(folder / FILES.tokenizer), pretty=False)
    return Bundle(
        folder=folder,
        name=folder.name,
        architecture=original.architecture,
        embedding_dim=original.embedding_dim,
        source=original.source,
        logit_scale=original.logit_scale,
        logit_bias=original.logit_bias,
        image=original.image,
        text=original.text,
        precisions={"fp32": Precision(FILES.text, FILES.image, {})},
        files=_digests(folder, FILES.text, FILES.text_data, FILES.image, FILES.tokenizer),
        licence=licence,
    )


def _with_int8(bundle: Bundle, original: Original, reference: fidelity.Reference) -> Bundle:
    """Add int8 encoders to the bundle, each in the fastest form that is accurate enough."""
    # Of a ResNet only the attention pool has products: little time to gain, and all of the vector to lose.
    forms: dict[str, Form] = {"text": "dynamic", "image": "blockwise" if original.is_convolutional else "dynamic"}
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
        precisions={
            **bundle.precisions,
            "int8": Precision(FILES.text_int8, FILES.image_int8, measured, reference=original.reference.name),
        },
        files={**bundle.files, **_digests(bundle.folder, FILES.text_int8, FILES.text_int8_data, FILES.image_int8)},
    )


def _digests(folder: Path, *names: str) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in names}
