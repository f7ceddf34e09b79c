"""open_clip's names of the architectures that are exported without PyTorch: OpenAI's vision transformers."""

from __future__ import annotations

from .weights import Sizes

QUICK_GELU = "-quickgelu"  # at the end of a name: OpenAI's approximation of GELU

_TEXT = {"context_length": 77, "vocabulary": 49408, "text_layers": 12}
_BASE = {"embedding_dim": 512, "vision_layers": 12, "vision_width": 768, "text_width": 512, **_TEXT}
_LARGE = {"embedding_dim": 768, "vision_layers": 24, "vision_width": 1024, "text_width": 768, **_TEXT}
ARCHITECTURES = {  # open_clip/model_configs
    "ViT-B-32": Sizes(image_size=224, patch=32, **_BASE),
    "ViT-B-32-256": Sizes(image_size=256, patch=32, **_BASE),
    "ViT-B-16": Sizes(image_size=224, patch=16, **_BASE),
    "ViT-L-14": Sizes(image_size=224, patch=14, **_LARGE),
    "ViT-L-14-336": Sizes(image_size=336, patch=14, **_LARGE),
}


def sizes_of(architecture: str) -> Sizes | None:
    """Return the sizes of an architecture, or None if it is exported with PyTorch."""
    return ARCHITECTURES.get(architecture.removesuffix(QUICK_GELU))


def name_of(sizes: Sizes, *, quick_gelu: bool) -> str | None:
    """Return open_clip's name of the architecture with these sizes, or None if it has none."""
    for name, known in ARCHITECTURES.items():
        if known == sizes:
            return f"{name}{QUICK_GELU}" if quick_gelu else name
    return None
