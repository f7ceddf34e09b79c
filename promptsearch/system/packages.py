"""The names of the packages of the two programs, which the library runs but does not import."""

from __future__ import annotations

from importlib.util import find_spec


def package_of(program: str) -> str:
    """Return the package of `builder` or `service`: `promptsearch_<program>` if pip installed it, else a checkout's."""
    return program if find_spec(f"promptsearch_{program}") is None else f"promptsearch_{program}"
