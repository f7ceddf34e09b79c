"""Follow a sampler's inputs back to the texts that were encoded for it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from promptsearch.metadata.comfyui.graph import Link, Node
from promptsearch.metadata.comfyui.names import ENCODERS, Role, for_role, is_conditioning, is_text, leads_to_text
from promptsearch.metadata.comfyui.values import Values

_ZEROED = re.compile(r"zero.?out", re.IGNORECASE)
_MAX_TEXTS = 100


def conditioning_texts(values: Values, start: Iterable[Link], role: Role) -> list[str]:
    """Return the texts that lead to these conditionings, in the graph's order, each once."""
    texts: dict[str, None] = {}
    waiting, seen = list(start)[::-1], set[str]()
    while waiting and len(texts) < _MAX_TEXTS:
        node = values.graph.behind(waiting.pop())
        if node is None or node.id in seen or _ZEROED.search(node.kind):
            continue
        seen.add(node.id)
        names = for_role(values.chosen(node) or node.inputs, role)
        for text in encoded_texts(values, node, names, role):
            texts.setdefault(text)
        links = [node.inputs[name] for name in names if leads_to_text(name) and not is_text(name)]
        waiting += [link for link in reversed(links) if isinstance(link, Link)]
    return list(texts)


def sampler_texts(values: Values, sampler: Node, role: Role) -> list[str]:
    """Return the texts of a sampler's positive or negative prompt, each once."""
    names = [name for name, _ in sampler.links() if is_conditioning(name)]
    links = [sampler.inputs[name] for name in for_role(names, role)]
    if role == "negative" and not any("neg" in name.lower() for name in names):
        # A lone conditioning is positive; guiders and pipes carry both.
        links = [sampler.inputs[name] for name in names if not name.lower().startswith("cond")]
        links = [link for link in links if _has_both(values, link)]
    own = encoded_texts(values, sampler, for_role(sampler.inputs, role), role)
    return list(dict.fromkeys([*conditioning_texts(values, links, role), *own]))


def _has_both(values: Values, link: Link) -> bool:
    """Return whether a guider or a pipe has a negative prompt that is distinct from the positive one."""
    start = values.graph.behind(link)
    nodes = values.graph.upstream([start]) if start else []
    return any("neg" in name.lower() for node in nodes for name in node.inputs)


def encoded_texts(values: Values, node: Node, names: Iterable[str], role: Role) -> list[str]:
    """Return the texts that a node encodes, without those that another of them contains."""
    listed = [name for name in names if is_text(name, node.inputs[name])]
    if "populated_text" in listed and values.text(node.inputs["populated_text"], role):
        listed = ["populated_text"]
    listed.sort(key=lambda name: ENCODERS.index(name) if name in ENCODERS else -1)
    stripped = [text.strip() for name in listed if (text := values.text(node.inputs[name], role)) and text.strip()]
    texts = list(dict.fromkeys(stripped))
    return [text for text in texts if not any(text != other and text.lower() in other.lower() for other in texts)]
