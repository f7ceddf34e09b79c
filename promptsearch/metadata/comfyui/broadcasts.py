"""Find the inputs that get their values from a broadcast instead of a link: the nodes of cg-use-everywhere.

These nodes exist in the editor alone. An `Anything Everywhere` sends what is linked to it to all inputs of that type
that have no link. The editor writes the links that it has made of that into the workflow (`extra.ue_links`); without
them, the nodes' own rules are applied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MUTED, _BYPASSED = 2, 4
_SENDERS = frozenset({
    "Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", "Prompts Everywhere", "Seed Everywhere",
})  # fmt: skip
_PRIORITIES = {"Anything Everywhere?": 10, "Prompts Everywhere": 5, "Seed Everywhere": 5, "Anything Everywhere": 2}
_PROMPTS = (re.compile(r"(_|\b)pos(itive|_|\b)|^prompt", re.IGNORECASE), re.compile(r"(_|\b)neg", re.IGNORECASE))
_SEED = re.compile("seed", re.IGNORECASE)
_ANYTHING = re.compile("")
# A workflow's own patterns are used if they consist of words, `|`, `^`, `$`, `.` and at most three `.*`: others could
# take exponential time.
_SIMPLE = re.compile(r"[^\\\[\](){}+?*]{0,200}(\.\*[^\\\[\](){}+?*]{0,200}){0,3}")
# Options of senders that depend on more than names and types; such senders are left out.
_RESTRICTIONS = ("group_restricted", "color_restricted", "group_regex", "title_regex_invert", "input_regex_invert")

_Nodes = Mapping[str, Mapping[str, Any]]
_Output = tuple[str, int]  # a node and the number of its output
_Broadcasts = Mapping[tuple[str, int], _Output]


@dataclass(frozen=True)
class _Broadcast:
    """An output that is sent to all inputs of its type that match."""

    output: _Output
    type: str
    priority: int
    input: re.Pattern[str]  # of the input's name
    title: re.Pattern[str]  # of the node's

    def reaches(self, node: Mapping[str, Any], slot: Mapping[str, Any]) -> bool:
        name = str(slot.get("label") or slot.get("localized_name") or slot.get("name", ""))
        title = str(node.get("title") or node.get("type", ""))
        own = self.output[0] == str(node.get("id"))
        same_type = self.type == slot.get("type")
        return not own and same_type and bool(self.input.search(name) and self.title.search(title))


def broadcasts_of(graph: Mapping[str, Any], nodes: _Nodes, links: Mapping[str, _Output]) -> _Broadcasts:
    """Return the outputs that are sent to inputs without a link, by (node, number of the input).

    `graph` is a workflow or a subgraph; `links` has the outputs that its links come from.
    """
    extra = graph.get("extra")
    written = extra.get("ue_links") if isinstance(extra, dict) else None
    if isinstance(written, list) and written:
        return dict(_written(written))
    sent = [broadcast for node in nodes.values() if _is_live(node) for broadcast in _sent(node, nodes, links)]
    if not sent:
        return {}
    return {
        (id, place): output
        for id, node in nodes.items()
        if _is_live(node) and str(node.get("type")) not in _SENDERS
        for place, slot in enumerate(_slots(node))
        if slot.get("link") is None and _accepts(node, slot) and (output := _best(sent, node, slot)) is not None
    }


def _written(links: list[Any]) -> Iterator[tuple[tuple[str, int], _Output]]:
    for link in links:
        if isinstance(link, dict):
            node, place, origin, slot = (
                link.get(name) for name in ("downstream", "downstream_slot", "upstream", "upstream_slot")
            )
            if isinstance(place, int) and isinstance(slot, int):
                yield (str(node), place), (str(origin), slot)


def _sent(node: Mapping[str, Any], nodes: _Nodes, links: Mapping[str, _Output]) -> Iterator[_Broadcast]:
    """Yield what a node sends. A node that sends only to its group or colour is left out."""
    kind = str(node.get("type"))
    options = _mapping(_mapping(node.get("properties")).get("ue_properties"))
    if kind not in _SENDERS or any(options.get(name) for name in _RESTRICTIONS):
        return
    title, names = _patterns(node, options)
    priority = _PRIORITIES.get(kind, 0)
    if title is None or names is None:
        return
    if kind == "Seed Everywhere":
        yield _Broadcast((str(node.get("id")), 0), "INT", priority, _SEED, title)
        return
    linked = {
        place: links[str(slot.get("link"))] for place, slot in enumerate(_slots(node)) if str(slot.get("link")) in links
    }
    types = {place: _type(nodes, output) for place, output in linked.items()}
    for place, output in linked.items():
        wanted = _PROMPTS[place] if kind == "Prompts Everywhere" and place < len(_PROMPTS) else names
        if wanted is names and [*types.values()].count(types[place]) > 1:
            # Of several outputs of one type, each goes to the inputs that are named like the sender's own.
            slot = _slots(node)[place]
            wanted = re.compile(re.escape(str(slot.get("label") or slot.get("name", ""))) + r"\Z")
        yield _Broadcast(output, types[place], priority, wanted, title)


def _patterns(
    node: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Return the patterns for the titles of nodes and the names of inputs; None for one that cannot be used."""
    title, names = options.get("title_regex"), options.get("input_regex")
    widgets = node.get("widgets_values")
    if node.get("type") == "Anything Everywhere?" and not options and isinstance(widgets, list) and len(widgets) >= 2:
        title, names = widgets[:2]
        if any(group not in (None, "", ".*") for group in widgets[2:3]):
            return None, None
    return _compiled(title), _compiled(names)


def _compiled(pattern: Any) -> re.Pattern[str] | None:
    if pattern in (None, "", ".*"):
        return _ANYTHING
    if not isinstance(pattern, str) or not _SIMPLE.fullmatch(pattern):
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _type(nodes: _Nodes, output: _Output) -> str:
    outputs = nodes.get(output[0], {}).get("outputs")
    if isinstance(outputs, list) and output[1] < len(outputs) and isinstance(outputs[output[1]], dict):
        return str(outputs[output[1]].get("type"))
    return ""


def _best(sent: list[_Broadcast], node: Mapping[str, Any], slot: Mapping[str, Any]) -> _Output | None:
    """Return the output with the highest priority that reaches an input; None if two have the same."""
    reaching = sorted((each for each in sent if each.reaches(node, slot)), key=lambda each: -each.priority)
    if not reaching or (len(reaching) > 1 and reaching[0].priority == reaching[1].priority):
        return None
    return reaching[0].output


def _accepts(node: Mapping[str, Any], slot: Mapping[str, Any]) -> bool:
    """Return whether a broadcast may reach this input: widgets only if their node says so."""
    properties = _mapping(node.get("properties"))
    options = _mapping(properties.get("ue_properties"))
    if properties.get("rejects_ue_links"):
        return False
    if "widget" not in slot:
        return True
    allowed = {
        **_mapping(properties.get("widget_ue_connectable")),
        **_mapping(options.get("widget_ue_connectable")),
    }
    return bool(allowed.get(str(slot.get("name"))))


def _is_live(node: Mapping[str, Any]) -> bool:
    return node.get("mode") not in (_MUTED, _BYPASSED)


def _slots(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the inputs of a node, in the places that links and broadcasts name."""
    inputs = node.get("inputs")
    return [slot for slot in inputs if isinstance(slot, dict)] if isinstance(inputs, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
