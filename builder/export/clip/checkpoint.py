"""A checkpoint of a CLIP with two transformers, in the form that is exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec
from promptsearch.encoding.tokenizer import Tokenizer
from promptsearch.errors import ExportError

from ..original import Original, Towers
from . import tokens
from .graph import write_image_graph, write_text_graph
from .towers import NumpyTowers
from .weights import Sizes, Weights, rounded

# clip/clip.py: _transform
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ClipCheckpoint:
    """The weights of a CLIP with two transformers, by OpenAI's names, and what their shapes do not tell.

    `source.open_clip` is open_clip's name of the architecture, or None for OpenAI's own CLIP: then the weights are
    rounded as `clip` rounds them, and texts are cleaned as `clip` does. `towers`: the reference; None: NumPy.
    """

    source: Source
    weights: Weights
    quick_gelu: bool = True
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    towers: Callable[[], Towers] | None = None

    def original(self) -> Original:
        """Return the model in the form that is exported. Raises ExportError."""
        is_openai = self.source.open_clip is None
        weights, sizes = rounded(self.weights) if is_openai else self.weights, Sizes.of(self.weights)
        file = tokens.tokenizer(tokens.OPENAI if is_openai else tokens.OPEN_CLIP)
        if sizes.vocabulary < file.get_vocab_size():
            raise ExportError(f"{self.source.name} has {sizes.vocabulary} tokens, CLIP's are {file.get_vocab_size()}")
        text = self._text_spec(sizes, end_id=file.get_vocab_size() - 1)
        reference: Towers
        if self.towers is None:
            reference = NumpyTowers(weights, Tokenizer(file, text), quick_gelu=self.quick_gelu)
        else:
            reference = self.towers()
        return Original(
            source=self.source,
            architecture=sizes.architecture if is_openai else f"open_clip {self.source.open_clip}",
            reference=reference,
            write_text=lambda path: write_text_graph(weights, quick_gelu=self.quick_gelu, path=path),
            write_image=lambda path: write_image_graph(weights, quick_gelu=self.quick_gelu, path=path),
            is_convolutional=False,
            embedding_dim=sizes.embedding_dim,
            logit_scale=round(float(weights["logit_scale"]), 6),
            image=ImageSpec(size=sizes.image_size, mean=self.mean, std=self.std),
            text=text,
            tokenizer=file,
            licences=tokens.licences(),
        )

    def _text_spec(self, sizes: Sizes, end_id: int) -> TextSpec:
        return TextSpec(
            context_length=sizes.context_length,
            vocabulary_size=sizes.vocabulary,
            start_id=end_id - 1,
            end_id=end_id,
            padding_id=0,
            cleaning="clip" if self.source.open_clip is None else "lower",
        )
