"""Results as HTML for a notebook: a grid of pictures, each with its prompt and score.

Prompts and pictures are other people's: all text is escaped, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from promptsearch.client.results import Generation, ImageResult, PromptResult, ReadThumbnails

_SIDE = 128  # pixels of a picture in a grid of images; half of it beside a prompt
_EXCERPT = 200  # characters of a prompt
_GRID = "display:flex;flex-wrap:wrap;gap:12px"
_CARD = f"width:{_SIDE}px;margin:0;font-size:12px;line-height:1.3;overflow-wrap:anywhere"


def results_to_html(
    results: Sequence[ImageResult | PromptResult], notes: Sequence[str], read_thumbnails: ReadThumbnails
) -> str:
    """Return self-contained HTML: pictures are `data:` URLs."""
    ids = dict.fromkeys(image.id for result in results for image in _images(result))
    thumbnails = read_thumbnails(list(ids))
    cards = "".join(_card(result, thumbnails) for result in results)
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<div>{paragraphs}<div style="{_GRID}">{cards or "nothing found"}</div></div>'


def _images(result: ImageResult | PromptResult) -> tuple[Generation, ...]:
    return (result,) if isinstance(result, ImageResult) else result.images


def _card(result: ImageResult | PromptResult, thumbnails: Mapping[str, bytes]) -> str:
    if isinstance(result, ImageResult):
        text, side = "" if result.prompt is None else result.prompt.text, _SIDE
    else:
        text, side = result.text, _SIDE // 2
    pictures = "".join(_picture(image, thumbnails.get(image.id), side) for image in _images(result))
    score = "" if result.score is None else f"<b>{result.score:.3f}</b> "
    excerpt = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
    caption = f'<figcaption title="{escape(result.id)}">{score}{escape(excerpt)}</figcaption>'
    return f'<figure style="{_CARD}">{pictures}{caption}</figure>'


def _picture(image: Generation, thumbnail: bytes | None, side: int) -> str:
    box = f"width:{side}px;height:{side}px"
    title = escape(" ".join([image.image.source, *(f"{name}={value}" for name, value in image.settings.items())]))
    if thumbnail is None:
        return f'<span style="{box};display:inline-block;background:#8883" title="{title}"></span>'
    data = base64.b64encode(thumbnail).decode()
    style = f"{box};object-fit:contain"
    return f'<img src="data:image/webp;base64,{data}" alt="" title="{title}" style="{style}">'
