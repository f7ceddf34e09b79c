"""Builds succeed with any items: each is in the collection or in quarantine."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builder.encode.embed import embed
from builder.encode.runners.local import LocalRunner
from builder.indexing.index import index
from builder.sources import Item, Rejected
from builder.sources.inputs.picture import FilePicture
from builder.sources.inputs.storable import storable
from builder.versions.publish import publish
from builder.versions.verify import verify
from promptsearch.encoding.encoders import Encoders
from promptsearch.search.collection import Collection
from tests.support.drawing import as_bytes, picture

ODD_TEXTS = ("", "\0", "a\0b", "\ud83d", "\udc80 half", "(a:1.2)", "<lora:x:1>", "'", '"', "\\", "夜", "a" * 500)
NAMES = ("seed", "steps", "cfg_scale", "sampler", "model", "created", "extra.seed", "id", "prompt", "a b", 'a"b', "$.x")
texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=20)
numbers = (
    st.integers()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 10**400, 2**1024])
    | st.floats()
    | st.booleans()
    | st.none()
)
values = st.recursive(
    numbers | texts | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)
named = st.dictionaries(st.sampled_from(NAMES) | texts, values, max_size=6)
items = st.builds(
    Item,
    key=texts,
    source=texts,
    prompt=st.none() | texts,
    picture=st.none() | st.builds(FilePicture, st.just(Path()), st.sampled_from(["a.png", "none.png", "a\0.png"])),
    width=values,
    height=values,
    settings=named,
    extra=named,
)
DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


@dataclass(frozen=True)
class Listed:
    listed: list[Item | Rejected]
    root: Path
    kind: str = "listed"

    def count(self) -> int | None:
        return None

    def items(self) -> Iterator[Item | Rejected]:
        for item in self.listed:
            if isinstance(item, Item) and item.picture is not None:
                assert isinstance(item.picture, FilePicture)
                yield Item(**{**item.__dict__, "picture": FilePicture(self.root, item.picture.file)})
            else:
                yield item


def check_build(encoders: Encoders, listed: list[Item | Rejected]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.png").write_bytes(as_bytes(picture(1)))
        whole = [*listed, Item("last", "last", "a red fox", FilePicture(folder, "a.png"))]
        source = Listed(whole, folder)
        embed(source, LocalRunner(encoders), encoders.bundle, folder / "c", engine_name="onnx")
        index(folder / "c")
        publish(folder / "c")
        manifest = verify(folder / "c")
        assert manifest.counts["images"] + manifest.counts["quarantined"] >= len(whole)
        with contextlib.closing(Collection.open(folder / "c")) as collection:
            images = collection.items.images(range(manifest.counts["images"]))
            assert "last" in {image.source for image in images.values()}
            json.dumps([dict(image.extra) for image in images.values()], allow_nan=False).encode()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example([Item("\ud83d", "\ud83d", "\ud83d"), Rejected("\ud83d", "\0")])
@example([Item("a", "a", "\0", settings={"seed": 1}, extra={"extra.seed": 1, "seed": 2, "a\0b": 1, "": 3})])
@given(st.lists(items | st.builds(Rejected, texts, texts), min_size=1, max_size=6))
def test_any_item_is_stored_or_quarantined(encoders: Encoders, listed: list[Item | Rejected]) -> None:
    check_build(encoders, listed)


def test_a_deeply_nested_value_is_stored_or_quarantined(encoders: Encoders) -> None:
    check_build(encoders, [Item("deep", "deep", "one", extra={"deep": DEEP}, settings={"seed": 2**64})])


@pytest.mark.parametrize(
    ("setting", "kept"),
    [("7,5", "7,5"), (2**64, 2**64), ([1], [1]), (10**5000, hex(10**5000)), ("\ud83d", "?")],
    ids=["comma", "65 bits", "list", "5000 digits", "half a pair"],
)
def test_a_setting_of_another_type_stays_in_extra(setting: object, kept: object) -> None:
    item = storable(Item("a", "a", "one", settings={"seed": setting, "steps": "20", "sampler": "euler"}))
    assert isinstance(item, Item)
    assert item.settings == {"steps": 20, "sampler": "euler"}
    assert item.extra == {"seed": kept}


def test_invalid_items_are_quarantined_by_name() -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    item = Item("a", "a.png", "one", extra={"x": Unreadable()})
    assert storable(item) == Rejected("a.png", "the item cannot be stored: RuntimeError: no text")
