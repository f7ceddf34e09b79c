from __future__ import annotations

from builder.sources.inputs.lookup import Lookup


def test_the_first_of_equal_names_is_found() -> None:
    with Lookup() as lookup:
        lookup.add([("a", "1"), ("夜", "2"), ("a", "3")])
        lookup.add((str(number), str(number)) for number in range(10_000))
        assert [lookup.get(name) for name in ("a", "夜", "9999", "b", "")] == ["1", "2", "9999", None, None]


def test_lookups_are_independent() -> None:
    with Lookup() as first, Lookup() as other:
        first.add([("a", "1")])
        assert other.get("a") is None
