"""Takedowns: lines in a collection's `hidden` file, which running services apply and later builds keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from promptsearch.errors import BuildError, UnknownItem
from promptsearch.search.collection import Collection
from promptsearch.storage.hidden import Takedown, parse_line, read_hidden
from promptsearch.storage.manifest import FILES, current_version
from promptsearch.system.files import replace_text
from promptsearch.system.locks import exclusive_lock

_SHOWN = 60  # characters of a prompt that are shown


@dataclass(frozen=True)
class Affected:
    """An item that was hidden or is shown again, described for people."""

    id: str
    source: str | None = None  # of an image
    prompt: str | None = None  # its text
    known: bool = True  # False if the current version does not have it

    def __str__(self) -> str:
        if not self.known:
            return f"{self.id}: not in the current version"
        prompt = "no prompt" if self.prompt is None else repr(_shortened(self.prompt))
        return f"{self.id} prompt {prompt}" if self.source is None else f"{self.id} image {self.source}: {prompt}"


def hide(collection: Path, ids: Sequence[str]) -> list[Affected]:
    """Hide these images and prompts, and every image with the same picture; return the newly hidden items.

    The items of `ids` come first. Existing lines of the file are kept. Raises BuildError, and hides nothing, if an id
    is not in the current version.
    """
    with _locked(collection), _current(collection) as opened:
        hidden = read_hidden(collection)
        before = opened.pictures.hidden(hidden)
        new = [id for id in dict.fromkeys(ids) if id not in before]
        _require_known(opened, new)
        pictures = opened.pictures.digests(new)
        takedowns = [Takedown(id, pictures.get(id)) for id in new]
        if new:
            text = _text(collection)
            text += "" if not text or text.endswith("\n") else "\n"
            replace_text(collection / FILES.hidden, text + "".join(f"{takedown}\n" for takedown in takedowns))
        copies = opened.pictures.hidden(hidden | set(takedowns)) - before - set(new)
        return [_affected(opened, id) for id in (*new, *sorted(copies))]


def unhide(collection: Path, ids: Sequence[str]) -> list[Affected]:
    """Show these again, and every image with the same picture; return the items that were hidden before.

    Raises BuildError, and shows nothing, if an id is not hidden.
    """
    with _locked(collection), _current(collection) as opened:
        hidden = read_hidden(collection)
        before = opened.pictures.hidden(hidden)
        removed = _takedowns_to_remove(opened, hidden, ids)
        lines = _text(collection).splitlines(keepends=True)
        replace_text(collection / FILES.hidden, "".join(line for line in lines if parse_line(line) not in removed))
        shown = before - opened.pictures.hidden(hidden - removed)
        named = [id for id in dict.fromkeys(ids) if id in shown]
        return [_affected(opened, id) for id in (*named, *sorted(shown - set(named)))]


def hidden_and_gone(collection: Path) -> list[Takedown]:
    """Return the takedowns, sorted by id, that hide nothing in the current version: their items left the source."""
    with _current(collection) as opened:
        hidden = read_hidden(collection)
        followed = {takedown.picture for takedown in hidden if takedown.picture is not None}
        present = set(opened.pictures.digests(opened.pictures.ids(followed)).values())
        shown = opened.pictures.digests(takedown.id for takedown in hidden)
        return sorted(
            takedown
            for takedown in hidden
            if takedown.picture not in present
            and (not _known(opened, takedown.id) or (takedown.picture is not None and takedown.id in shown))
        )


def _takedowns_to_remove(opened: Collection, hidden: Set[Takedown], ids: Sequence[str]) -> set[Takedown]:
    """Return the takedowns of these ids and of their pictures. Raises BuildError for an id that is not hidden."""
    named = {takedown for takedown in hidden if takedown.id in ids}
    pictures = {takedown.picture for takedown in named if takedown.picture is not None}
    unnamed = [id for id in ids if all(takedown.id != id for takedown in named)]
    shown = opened.pictures.digests(unnamed)
    followed = {takedown.picture for takedown in hidden} - {None}
    if unknown := [id for id in unnamed if shown.get(id) not in followed]:
        raise BuildError(
            f"not hidden in {opened.name}: {', '.join(unknown)}. Nothing was changed: the collection's file "
            f"`{FILES.hidden}` lists the hidden ids"
        )
    pictures |= set(shown.values())
    return named | {takedown for takedown in hidden if takedown.picture in pictures}


def _text(collection: Path) -> str:
    path = collection / FILES.hidden
    return path.read_text(encoding="utf-8-sig") if path.is_file() else ""


def _require_known(opened: Collection, ids: Iterable[str]) -> None:
    if unknown := [id for id in ids if not _known(opened, id)]:
        raise BuildError(
            f"unknown ids in {opened.name}: {', '.join(unknown)}. Nothing was changed: copy ids from search results"
        )


def _known(opened: Collection, id: str) -> bool:
    with contextlib.suppress(UnknownItem):
        opened.find(id)
        return True
    return False


def _affected(opened: Collection, id: str) -> Affected:
    with contextlib.suppress(UnknownItem):
        image = opened.items.image(id)
        prompts = {} if image.prompt is None else opened.items.prompts([image.prompt])
        return Affected(id, image.source, next((prompt.text for prompt in prompts.values()), None))
    with contextlib.suppress(UnknownItem):
        return Affected(id, prompt=opened.items.prompt(id).text)
    return Affected(id, known=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


@contextlib.contextmanager
def _current(collection: Path) -> Iterator[Collection]:
    """Open the current version, hidden items included."""
    with contextlib.closing(Collection(current_version(collection))) as opened:
        yield opened


@contextlib.contextmanager
def _locked(collection: Path) -> Iterator[None]:
    """Serialize takedowns, so that none is lost. Builds use another lock, so a takedown does not wait for them."""
    current_version(collection)  # raises UnknownCollection
    with exclusive_lock(collection):
        yield
