"""Full-text search against words found by splitting the prompts in Python."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.indexing.fulltext import write_words
from promptsearch.errors import CollectionError
from promptsearch.storage import items
from promptsearch.storage.fulltext import SCHEMA, FullTextIndex
from promptsearch.storage.manifest import FILES

WORDS = ("castle", "dog", "red", "fox", "snow", "Schloß", "café", "2023")
PROMPTS = [
    " ".join(WORDS[(row * step + row // 7) % len(WORDS)] for step in range(1, 2 + row % 4)) + ("!" if row % 2 else "")
    for row in range(200)
]


def written(folder: Path, prompts: list[str]) -> FullTextIndex:
    with contextlib.closing(sqlite3.connect(folder / FILES.items)) as database:
        database.executescript(items.SCHEMA)
        rows = [(row, f"{row:020x}", text, 0) for row, text in enumerate(prompts)]
        database.executemany("INSERT INTO prompts VALUES (?, ?, ?, ?)", rows)
        database.commit()
    write_words(folder)
    return FullTextIndex(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullTextIndex]:
    index = written(tmp_path_factory.mktemp("version"), PROMPTS)
    yield index
    index.close()


def having(meets: Callable[[list[str]], bool]) -> list[int]:
    """Return the rows of the prompts whose words, in lower case and without punctuation, meet a condition."""
    return [row for row, text in enumerate(PROMPTS) if meets(text.lower().replace("!", "").split())]


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), upper=st.booleans())
def test_every_word_must_be_there(index: FullTextIndex, words: list[str], upper: bool) -> None:
    query = " ".join(word.upper() if upper and word.isascii() else word for word in words)
    wanted = {word.lower() for word in words}
    assert sorted(index.search(query).tolist()) == having(lambda present: wanted <= {*present})


@given(first=st.sampled_from(WORDS), second=st.sampled_from(WORDS))
def test_quoted_words_must_follow_each_other(index: FullTextIndex, first: str, second: str) -> None:
    wanted = (first.lower(), second.lower())
    expected = having(lambda present: wanted in pairwise(present))
    assert sorted(index.search(f'"{first} {second}"').tolist()) == expected


def test_search_ignores_diacritics(index: FullTextIndex) -> None:
    assert index.search("cafe").tolist() == index.search("CAFÉ").tolist()
    assert sorted(index.search("cafe").tolist()) == having(lambda present: "café" in present)


def test_best_match_is_first_and_equal_ones_by_row(index: FullTextIndex) -> None:
    rows = index.search("castle").tolist()
    assert rows == index.search("castle").tolist()
    # BM25 prefers prompts in which the word is frequent and that are short.
    shares = [PROMPTS[row].split().count("castle") / len(PROMPTS[row].split()) for row in (rows[0], rows[-1])]
    assert shares[0] > shares[1]
    same = [row for row in rows if PROMPTS[row].replace("!", "") == PROMPTS[rows[0]].replace("!", "")]
    assert rows[: len(same)] == sorted(same)


@pytest.mark.parametrize("query", ["", "  ", "!", '"', '""', "* - ( )", "unicorn", "NEAR(dog) OR fox*", "dog\0unicorn"])
def test_operators_are_not_interpreted(index: FullTextIndex, query: str) -> None:
    assert index.search(query).tolist() == []


@given(query=st.text(max_size=30))
def test_any_text_is_a_query(index: FullTextIndex, query: str) -> None:
    query = query.encode("utf-8", "ignore").decode()
    assert {*index.search(query).tolist()} <= {*range(len(PROMPTS))}


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_missing_or_damaged_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILES.words).write_bytes(content)
    with pytest.raises(CollectionError, match=r"words\.sqlite cannot be read"):
        FullTextIndex(tmp_path)


LETTERS = "猫犬の船고양이แมว"  # of runs without spaces
runs = st.text(LETTERS, min_size=1, max_size=6)
phrases = st.lists(runs | st.sampled_from(["cat", "dog"]), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=30)
@given(prompts=st.lists(phrases, min_size=1, max_size=8), run=runs)
def test_any_part_of_a_run_without_spaces_is_found(prompts: list[str], run: str) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(written(Path(folder), prompts)) as index:
        assert sorted(index.search(run).tolist()) == [row for row, text in enumerate(prompts) if run in text]


def test_runs_beside_other_words_and_in_quotes(tmp_path: Path) -> None:
    prompts = [
        "一只黑色的猫坐在屋顶上",
        "夜の港に停泊する青い船",
        "แมวดำบนหลังคา",
        "한국의 고양이가 지붕에",
        "1girl猫cat, 黑 dog",
        "a cat",
    ]
    with contextlib.closing(written(tmp_path, prompts)) as index:
        for query, rows in {
            "猫": [0, 4], "黑色": [0], "屋顶 猫": [0], "青い船": [1], "港": [1], "แมว": [2], "고양이": [3],
            "cat": [4, 5],
            "1girl猫": [4], "猫cat": [4], "girl猫": [], "黑猫": [], '"黑 dog"': [4], '"猫 黑"': [], "黑 cat": [4],
        }.items():  # fmt: skip
            assert sorted(index.search(query).tolist()) == rows, query


def test_an_index_of_an_earlier_release_is_searched_by_whole_runs(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILES.words)) as database:
        database.execute(SCHEMA)
        database.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", [(0, "黒猫 cat"), (1, "黒猫夜")])
        database.commit()
    with contextlib.closing(FullTextIndex(tmp_path)) as index:
        assert index.search("黒猫").tolist() == [0]
        assert index.search("cat").tolist() == [0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ships", ["ship", "ships"]), ("SHIPS tall", ["ship"]), ("ship", ["ship"]), ('"ships"', ["ships"]),
        ("foxes", ["fox"]), ("ponies", ["pony"]), ("glass", ["glass"]), ("glasses", ["glass"]), ("canvas", ["canvas"]),
        ("iris", ["iris"]), ("1990s", ["1990s"]),
    ],
)  # fmt: skip
def test_a_plural_also_finds_its_singular(tmp_path: Path, query: str, found: list[str]) -> None:
    words = ["ship", "ships", "fox", "pony", "glass", "glas", "canvas", "canva", "iris", "iri", "1990s", "1990"]
    texts = [f"a {'small' if word == 'ships' else 'tall'} {word}" for word in words]
    with contextlib.closing(written(tmp_path, texts)) as opened:
        assert [words[row] for row in sorted(opened.search(query).tolist())] == found
