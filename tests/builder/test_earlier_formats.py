"""Collections and caches as earlier releases wrote them are served, or built again without an error.

tests/data/old/README.md says what wrote them. Each has the picture `b.png` hidden by its id alone.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder.__main__ import main
from builder.versions.hide import hidden_and_gone, hide, unhide
from promptsearch.errors import CollectionError
from promptsearch.search.collection import Collection
from promptsearch.storage.digests import digest_of
from promptsearch.storage.hidden import Takedown, read_hidden
from promptsearch.storage.items import item_id
from promptsearch.storage.manifest import FILES, Manifest, current_version
from tests.builder.sources.building import MODEL, encoders
from tests.service.support.serving import serving

OLD = Path(__file__).parents[1] / "data" / "old"
FIRST, SECOND = "manifest-1-cache-1", "manifest-2-cache-2"
A, B, C = (item_id("image", f"{name}.png") for name in "abc")


@pytest.fixture
def indices(tmp_path: Path) -> Path:
    """Return a folder with copies of both collections, to write to."""
    for name in (FIRST, SECOND):
        shutil.copytree(OLD / name, tmp_path / "indices" / name)
    return tmp_path / "indices"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a copy of the source of both, to change."""
    return Path(shutil.copytree(OLD / "pictures", tmp_path / "pictures"))


def build(indices: Path, name: str, pictures: Path) -> Manifest:
    command = ["build", "manifest", str(pictures), "--model", str(MODEL), "--collection", name]
    main([*command, "--indices", str(indices)])
    return Manifest.read(current_version(indices / name))


def shown(collection: Path) -> set[str]:
    """Return the sources of the images that a search finds."""
    with contextlib.closing(Collection.open(collection)) as opened:
        rows = opened.search("images", encoders().encode_texts(["a red circle"])[0], 10).rows
        return {image.source for image in opened.items.images(rows).values()}


def swap(pictures: Path) -> None:
    """Let `a.png` and `b.png` take each other's names, with their rows."""
    (pictures / "a.png").rename(pictures / "x.png")
    (pictures / "b.png").rename(pictures / "a.png")
    (pictures / "x.png").rename(pictures / "b.png")


def test_the_first_collection_of_this_schema_is_read_whole(indices: Path, pictures: Path) -> None:
    with contextlib.closing(Collection.open(indices / SECOND)) as opened:
        images = {image.source: image for image in opened.items.images(range(4)).values()}
        assert images.keys() == {"a.png", "c.png", "manifest.csv:5"}
        assert (images["c.png"].settings, images["c.png"].extra) == ({"seed": 3}, {"style": "ink"})
        found = opened.search("prompts", encoders().encode_texts(["a blue triangle"])[0], 1).rows
        assert opened.items.prompts(found)[found[0]].text == "a blue triangle"
        assert opened.raw_metadata is None
    main(["verify", SECOND, "--indices", str(indices)])


def test_a_service_serves_readable_collections_and_names_the_others(indices: Path, tmp_path: Path) -> None:
    flags = ["--indices", str(indices), "--models", str(MODEL.parent), "--files", f"{SECOND}={OLD / 'pictures'}"]
    with serving(tmp_path, flags) as service:
        found: list[Any] = service.get("/search/images", q="a red circle", collection=SECOND).json()["results"]
        assert [result["image"]["source"] for result in found] == ["a.png", "c.png"]
        assert service.get(found[0]["image"]["file"]).content == (OLD / "pictures" / "a.png").read_bytes()
        assert service.get(found[0]["image"]["thumbnail"]).headers["content-type"] == "image/webp"
        for part in ("", "/file", "/thumbnail", "/similar"):
            assert service.get(f"/images/{B}{part}").status_code == 404
        answer = service.get("/search/images", q="a", collection=FIRST).json()
        assert "has schema version 1, expected 2: build the collection again" in answer["detail"]
        assert service.end() == 0


def test_a_collection_of_another_schema_is_built_again_and_keeps_its_takedowns(indices: Path, pictures: Path) -> None:
    with pytest.raises(CollectionError, match="has schema version 1, expected 2: build the collection again"):
        Collection.open(indices / FIRST)
    manifest = build(indices, FIRST, pictures)
    # Thumbnails are drawn in another way since; the vectors of texts are kept.
    assert manifest.build["encoded"] == {"images": 3, "prompts": 0}
    assert manifest.build["from_cache"] == {"images": 0, "prompts": 4}
    assert shown(indices / FIRST) == {"a.png", "c.png"}
    assert read_hidden(indices / FIRST) == {Takedown(B, digest_of((pictures / "b.png").read_bytes()))}
    swap(pictures)
    build(indices, FIRST, pictures)
    assert shown(indices / FIRST) == {"b.png", "c.png"}


def test_an_earlier_cache_encodes_nothing_again(indices: Path, pictures: Path) -> None:
    before = Collection(current_version(indices / SECOND))
    manifest = build(indices, SECOND, pictures)
    assert manifest.build["encoded"] == {"images": 0, "prompts": 0}
    assert manifest.build["prompts_truncated"] == 0
    with contextlib.closing(before), contextlib.closing(Collection(current_version(indices / SECOND))) as after:
        for id in (A, B, C):
            old, new = ((each, each.items.image(id).row) for each in (before, after))
            assert old[0].vector("images", old[1]).tobytes() == new[0].vector("images", new[1]).tobytes()
            assert old[0].thumbnails is not None
            assert new[0].thumbnails is not None
            assert old[0].thumbnails.get(old[1]) == new[0].thumbnails.get(new[1])


def test_takedowns_by_id_follow_renamed_pictures(indices: Path, pictures: Path) -> None:
    swap(pictures)
    build(indices, SECOND, pictures)
    assert shown(indices / SECOND) == {"b.png", "c.png"}
    assert read_hidden(indices / SECOND) == {Takedown(B, digest_of((pictures / "a.png").read_bytes()))}
    assert hidden_and_gone(indices / SECOND) == []
    assert [affected.id for affected in unhide(indices / SECOND, [A])] == [A]
    assert shown(indices / SECOND) == {"a.png", "b.png", "c.png"}


def test_takedowns_of_a_served_collection_of_an_earlier_release(indices: Path) -> None:
    assert [affected.id for affected in hide(indices / SECOND, [A])] == [A]
    assert (indices / SECOND / FILES.hidden).read_text().split() == [B, A]
    assert shown(indices / SECOND) == {"c.png"}
    unhide(indices / SECOND, [A, B])
    assert shown(indices / SECOND) == {"a.png", "b.png", "c.png"}
