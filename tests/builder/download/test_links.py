from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from builder.download.links import SHARDS_PER_FILE, link_of, shards_of_links, survey, write_links
from builder.sources import Item, Rejected
from builder.sources.inputs.picture import FilePicture

LINK = "https://example.org/a.png"


@dataclass
class Listed:
    """A source of what it is given."""

    listed: Sequence[Item | Rejected]
    kind: str = "listed"
    root: Path = Path()

    def count(self) -> int | None:
        return None

    def items(self) -> Iterator[Item | Rejected]:
        yield from self.listed


def item(number: int = 0, link: str = LINK, **changes: Any) -> Item:
    return Item(**{"key": f"k{number}", "source": link, "prompt": f"prompt {number}", **changes})


@pytest.mark.parametrize(
    ("listed", "link"),
    [
        (item(), LINK),
        (item(link="http://127.0.0.1:8000/a b?c=d#e"), "http://127.0.0.1:8000/a b?c=d#e"),
        (item(link="manifest.csv:3", extra={"url": LINK}), LINK),
        (item(link="a.png", extra={"image_url": LINK, "homepage": "https://example.org"}), LINK),
        (item(picture=FilePicture(Path(), "a.png")), None),
        (item(link="a.png"), None),
        (item(link="ftp://example.org/a.png"), None),
        (item(link="file:///etc/passwd"), None),
        (item(link="https:///a.png"), None),
        (item(link="a.png", extra={"url": 7}), None),
    ],
)
def test_a_link_is_that_of_an_item_without_a_picture(listed: Item, link: str | None) -> None:
    assert link_of(listed) == link


def test_fields_of_a_source_keep_their_types(tmp_path: Path) -> None:
    source = Listed(
        [
            item(0, settings={"seed": 7, "cfg_scale": 7}, extra={"nsfw": 0.5, "tags": ["a"], "status": "?"}),
            Rejected("line 2", "broken"),
            item(1, settings={"cfg_scale": 7.5}, extra={"upscaled": True, "note": 3, "huge": 2**70}, prompt=None),
            item(2, link="no link"),
            item(3, extra={"note": "drei", "half": "\ud800"}, prompt="\udfff"),
        ]
    )
    surveyed = survey(source)
    assert (surveyed.links, surveyed.without, surveyed.rejected) == (3, 1, 1)
    write_links(source, tmp_path, surveyed.types, 2)
    nothing = dict.fromkeys(surveyed.types)
    assert parquet.read_table(tmp_path / "00000.parquet").to_pylist() == [
        {
            "url": LINK, "caption": "prompt 0", **nothing,
            "source_key": "k0", "seed": 7, "cfg_scale": 7.0, "nsfw": 0.5, "tags": '["a"]',
        },
        {
            "url": LINK, "caption": None, **nothing,
            "source_key": "k1", "cfg_scale": 7.5, "upscaled": True, "note": "3", "huge": str(2**70),
        },
        {"url": LINK, "caption": "?", **nothing, "source_key": "k3", "note": "drei", "half": "?"},
    ]  # fmt: skip


def test_links_lie_in_files_of_whole_shards(tmp_path: Path) -> None:
    links = [f"{LINK}?{number}" for number in range(2 * SHARDS_PER_FILE + 3)]
    source = Listed([item(number, link) for number, link in enumerate(links)])
    write_links(source, tmp_path, survey(source).types, 2)
    assert len(list(tmp_path.iterdir())) == 2
    shards = list(shards_of_links(tmp_path))
    assert {len(shard) for shard in shards[:-1]} == {2}
    assert [link for shard in shards for link in shard] == links


def test_surveys_of_different_sources_differ() -> None:
    digests = {
        survey(Listed(listed)).digest
        for listed in ([item()], [item(), item(1)], [item(prompt="other")], [item(settings={"seed": 1})])
    }
    assert len(digests) == 4
    assert survey(Listed([item(), item(5, "no link")])).digest == survey(Listed([item()])).digest
