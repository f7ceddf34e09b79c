"""How a notebook shows a page: pictures in a grid, each with its prompt and score.

Prompts are other people's text, and so are the pictures: everything is escaped, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from promptsearch.client.results import Generation, ImageResult, Page, PromptResult

if TYPE_CHECKING:
    from promptsearch.client.results import Result

_SIDE = 128  # pixels of a picture in a grid of images; half as many beside a prompt
_TEXT = 200  # characters of a prompt
_GRID = "display:flex;flex-wrap:wrap;gap:12px"
_CARD = f"width:{_SIDE}px;margin:0;font-size:12px;line-height:1.3;overflow-wrap:anywhere"


def page_to_html(page: Page[Result]) -> str:
    """HTML that stands for itself: pictures are data: URLs."""
    shown: dict[str, None] = {}
    for result in page:
        shown.update(dict.fromkeys(one.id for one in _images(result)))
    thumbnails = page.read_thumbnails(list(shown))
    cards = [_card(result, thumbnails) for result in page]
    notes = "".join(f"<p>{escape(note)}</p>" for note in page.notes)
    return f'<div>{notes}<div style="{_GRID}">{"".join(cards) or "nothing found"}</div></div>'


def _images(result: ImageResult | PromptResult) -> tuple[Generation, ...]:
    return (result,) if isinstance(result, ImageResult) else result.images


def _card(result: ImageResult | PromptResult, thumbnails: Mapping[str, bytes]) -> str:
    if isinstance(result, ImageResult):
        text, side = "" if result.prompt is None else result.prompt.text, _SIDE
    else:
        text, side = result.text, _SIDE // 2
    pictures = "".join(_picture(image, thumbnails.get(image.id), side) for image in _images(result))
    score = "" if result.score is None else f"<b>{result.score:.3f}</b> "
    shown = text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
    caption = f'<figcaption title="{escape(result.id)}">{score}{escape(shown)}</figcaption>'
    return f'<figure style="{_CARD}">{pictures}{caption}</figure>'


def _picture(image: Generation, thumbnail: bytes | None, side: int) -> str:
    box = f"width:{side}px;height:{side}px"
    title = escape(" ".join([image.image.source, *(f"{name}={value}" for name, value in image.settings.items())]))
    if thumbnail is None:
        return f'<span style="{box};display:inline-block;background:#8883" title="{title}"></span>'
    data = base64.b64encode(thumbnail).decode()
    style = f"{box};object-fit:contain"
    return f'<img src="data:image/webp;base64,{data}" alt="" title="{title}" style="{style}">'
