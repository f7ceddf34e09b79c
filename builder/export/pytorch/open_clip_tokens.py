"""The tokenizers of open_clip's architectures: CLIP's byte pairs, which it holds, and those of the Hugging Face hub."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import open_clip
from open_clip.tokenizer import HFTokenizer
from tokenizers import Tokenizer
from torch import Tensor

from promptsearch.encoding.bundle import FILES
from promptsearch.errors import ExportError

from ..clip import tokens as clip_tokens

CONFIG = "tokenizer_config.json"  # says which token pads
_SENTENCE = "a photo of a dog"


@dataclass(frozen=True)
class Tokens:
    """A tokenizer in the form of a bundle, and the reference that it has to equal."""

    file: Tokenizer
    tokenize: Callable[[Sequence[str]], Tensor]  # open_clip's own
    start_id: int | None
    end_id: int
    padding_id: int
    cleaning: str
    splitting: str
    licences: Mapping[str, str] = field(default_factory=dict)


def own(context_length: int, cleaning: str | None) -> Tokens:
    """Return CLIP's byte pairs, as open_clip's SimpleTokenizer has them."""
    cleaning = cleaning or "lower"
    reference = open_clip.SimpleTokenizer(context_length=context_length, clean=cleaning)
    start, end = reference.sot_token_id, reference.eot_token_id
    return Tokens(
        file=clip_tokens.tokenizer(clip_tokens.OPEN_CLIP),
        tokenize=reference,
        start_id=start,
        end_id=end,
        padding_id=0,
        cleaning=cleaning,
        splitting="clip",
        licences=clip_tokens.licences(),
    )


def of_file(path: Path, context_length: int, cleaning: str | None, padding_id: int | None) -> Tokens:
    """Return the tokenizer in a `tokenizers` file, or in a folder that holds one as the hub's do.

    `padding_id`: the padding if neither the file nor a tokenizer_config.json beside it names one. Raises ExportError.
    """
    path = path / FILES.tokenizer if path.is_dir() else path
    try:
        file = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise ExportError(f"{path} is not a tokenizer of the library `tokenizers`: {error}") from error
    padding_id = file.padding["pad_id"] if file.padding else padding_id
    cleaning = cleaning or "whitespace"
    with tempfile.TemporaryDirectory() as scratch:
        file.save(str(Path(scratch) / FILES.tokenizer))
        described = path.with_name(CONFIG)
        if described.is_file():
            shutil.copy(described, scratch)
        try:
            reference = HFTokenizer(scratch, context_length=context_length, clean=cleaning)
        except Exception as error:  # whatever its configuration leads to
            raise ExportError(f"open_clip cannot read the tokenizer {path}: {error}") from error
    if reference.tokenizer.pad_token_id is None:
        padding = None if padding_id is None else file.id_to_token(padding_id)
        if padding is None:
            raise ExportError(f"{path} does not say which token pads: put the {CONFIG} that belongs to it beside it")
        reference.tokenizer.pad_token = padding
    # What transformers made of the file: some of its classes put their own normalizer and splitter in the place of its.
    file = Tokenizer.from_str(reference.tokenizer.backend_tokenizer.to_str())
    file.no_padding()
    file.no_truncation()
    start_id, end_id = _ends(file, path)
    return Tokens(
        file=file,
        tokenize=reference,
        start_id=start_id,
        end_id=end_id,
        padding_id=reference.tokenizer.pad_token_id,
        cleaning=cleaning,
        splitting="file",
    )


def download(repository: str, folder: Path) -> Path:
    """Download the tokenizer of a repository on the Hugging Face hub to `folder`. Raises ExportError."""
    try:
        for name in (FILES.tokenizer, CONFIG):
            huggingface_hub.hf_hub_download(repository, name, local_dir=folder)
    except Exception as error:  # of several libraries: no network, no such file, no permission
        raise ExportError(
            f"the tokenizer of {repository} cannot be downloaded ({error}): fetch {FILES.tokenizer} and {CONFIG} of "
            f"huggingface.co/{repository} on a machine that can reach it, and pass --tokenizer FOLDER"
        ) from error
    return folder


def _ends(file: Tokenizer, path: Path) -> tuple[int | None, int]:
    """Return the ids that the file adds before and after each text: an end, and a start or none."""
    bare, whole = (file.encode(_SENTENCE, add_special_tokens=special).ids for special in (False, True))
    for before in (0, 1):
        if len(whole) == before + len(bare) + 1 and whole[before:-1] == bare:
            return (whole[0] if before else None), whole[-1]
    raise ExportError(
        f"{path} puts more around a text than a start and an end token, or less: of {_SENTENCE!r} it makes {whole}, "
        f"while the text alone is {bare}"
    )
