"""The weights of a CLIP with two transformers, and the sizes that follow from their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptsearch.errors import ExportError

Weights = Mapping[str, NDArray[np.float32]]  # by OpenAI's names

HEAD = 64  # width of an attention head, in every size of OpenAI's
_SHOWN = 4  # tensors that an error names


@dataclass(frozen=True)
class Sizes:
    """The sizes of both towers."""

    embedding_dim: int
    image_size: int  # pixels a side
    patch: int  # pixels a side
    vision_layers: int
    vision_width: int
    context_length: int
    vocabulary: int
    text_width: int
    text_layers: int

    @property
    def architecture(self) -> str:
        """Return both towers' kinds and sizes as text."""
        vision = f"CLIP ViT/{self.patch} {self.vision_layers} x {self.vision_width}"
        return f"{vision}, text transformer {self.text_layers} x {self.text_width}"

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Sizes:
        """Return the sizes that the shapes of tensors tell. Raises LookupError or ValueError if they tell none."""
        vision_width, _, patch, _ = arrays["visual.conv1.weight"].shape
        positions, _ = arrays["visual.positional_embedding"].shape
        context_length, text_width = arrays["positional_embedding"].shape
        vocabulary, _ = arrays["token_embedding.weight"].shape
        _, embedding_dim = arrays["text_projection"].shape
        return cls(
            embedding_dim=embedding_dim,
            image_size=round((positions - 1) ** 0.5) * patch,
            patch=patch,
            vision_layers=_layers(arrays, "visual.transformer.resblocks."),
            vision_width=vision_width,
            context_length=context_length,
            vocabulary=vocabulary,
            text_width=text_width,
            text_layers=_layers(arrays, "transformer.resblocks."),
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor of such a model, by name."""
        positions = (self.image_size // self.patch) ** 2 + 1
        vision, text = self.vision_width, self.text_width
        shapes = {
            "logit_scale": (),
            "positional_embedding": (self.context_length, text),
            "text_projection": (text, self.embedding_dim),
            "token_embedding.weight": (self.vocabulary, text),
            "visual.class_embedding": (vision,),
            "visual.conv1.weight": (vision, 3, self.patch, self.patch),
            "visual.positional_embedding": (positions, vision),
            "visual.proj": (vision, self.embedding_dim),
        }
        for name, width in (("ln_final", text), ("visual.ln_pre", vision), ("visual.ln_post", vision)):
            shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
        for root, width, layers in (("", text, self.text_layers), ("visual.", vision, self.vision_layers)):
            for layer in range(layers):
                block = f"{root}transformer.resblocks.{layer}."
                shapes |= {f"{block}{name}": shape for name, shape in _block_shapes(width).items()}
        return shapes


def _block_shapes(width: int) -> dict[str, tuple[int, ...]]:
    return {
        "attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
        "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width), "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width), "mlp.c_proj.bias": (width,),
    }  # fmt: skip


def _layers(arrays: Mapping[str, NDArray[Any]], root: str) -> int:
    return len({name.removeprefix(root).split(".")[0] for name in arrays if name.startswith(root)})


def is_vision_transformer(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether tensors have the names of OpenAI's layout with a vision transformer."""
    return {"visual.class_embedding", "visual.proj", "text_projection", "token_embedding.weight"} <= arrays.keys()


def checked(arrays: Mapping[str, NDArray[Any]], checkpoint: str) -> Weights:
    """Return the weights in fp32 if they are exactly those of a CLIP with two transformers. Raises ExportError."""
    try:
        sizes = Sizes.of(arrays)
    except (LookupError, ValueError) as error:
        raise ExportError(f"{checkpoint} is not a checkpoint of OpenAI's CLIP architecture: {error!r}") from None
    expected = sizes.shapes()
    flat = {name: value.reshape(()) if name == "logit_scale" and value.size == 1 else value
            for name, value in arrays.items()}  # fmt: skip
    kinds = {
        "missing": [name for name in expected if name not in flat],
        "unknown to it": [name for name in flat if name not in expected],
        "of another shape": [
            f"{name} {list(flat[name].shape)} instead of {list(shape)}"
            for name, shape in expected.items()
            if name in flat and flat[name].shape != shape
        ],
        "not of floating-point numbers": [
            name for name, value in flat.items() if name in expected and value.dtype.kind != "f"
        ],
    }
    if wrong := [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names]:
        raise ExportError(
            f"{checkpoint} is not a checkpoint of OpenAI's CLIP architecture. Tensors: {'; '.join(wrong)}"
        )
    if sizes.vision_width % HEAD or sizes.text_width % HEAD:
        raise ExportError(f"{checkpoint} has towers whose width is not a multiple of {HEAD}, the width of a head")
    return {name: np.asarray(flat[name], dtype=np.float32, order="C") for name in expected}


def rounded(weights: Weights) -> Weights:
    """Return the weights as `clip` uses them: it rounds products and convolutions to fp16 (model.py: convert_weights).

    Weights of OpenAI's are in fp16 to begin with. Embeddings and norms stay as they are.
    """
    return {name: _to_half(value) if _is_rounded(name) else value for name, value in weights.items()}


def _is_rounded(name: str) -> bool:
    return ".attn." in name or ".mlp." in name or name in ("visual.conv1.weight", "visual.proj", "text_projection")


def _to_half(value: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
