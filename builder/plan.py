"""The plan of a build: all decisions for its steps, made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from promptsearch.encoding.prompt_text import PromptText

from .indexing.index_key import MAX_MEMORY, RECALL_TARGET
from .versions.publish import KEEP

if TYPE_CHECKING:
    from .encode.runners.cluster import Cluster


@dataclass(frozen=True)
class EmbedPlan:
    """The source that is embedded, the model, and what computes."""

    source: str  # one of sources.KINDS
    path: Path
    model: Path  # the bundle's folder
    images: Path | None = None  # the pictures' folder if it is not the source's own
    engine: str = "onnx"  # one of engines.NAMES
    prompt_text: PromptText = "plain"  # what of a prompt is embedded
    allow_removal: bool = False  # of more than half of what is served now


@dataclass(frozen=True)
class IndexPlan:
    """The bounds that an index is chosen and tuned by."""

    max_memory: int = MAX_MEMORY  # bytes that building an index may take
    recall: float = RECALL_TARGET  # recall@10 that searches are tuned to
    key: str | None = None  # of the index of images; None: it is chosen
    require_recall: bool = False  # whether an index that cannot reach it is an error
    reuse: bool = False  # keep the training and tuning of the served version while few vectors have changed


@dataclass(frozen=True)
class BuildPlan:
    """A build into one collection's folder. A step that is run alone needs no plan of the others."""

    collection: Path
    embed: EmbedPlan | None = None
    index: IndexPlan = field(default_factory=IndexPlan)
    keep: int = KEEP  # old versions
    cluster: Cluster | None = None  # None: this machine alone
