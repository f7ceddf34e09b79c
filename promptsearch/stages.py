"""The parts of a search, for whoever measures them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol, get_args

Name = Literal["decode", "encode", "filter", "keyword", "search", "re-score", "store"]
NAMES: tuple[Name, ...] = get_args(Name)


class Stage(Protocol):
    """Told when a part begins and ends."""

    def __call__(self, name: Name, /) -> AbstractContextManager[object]: ...


def untimed(_name: Name) -> AbstractContextManager[object]:
    return nullcontext()
