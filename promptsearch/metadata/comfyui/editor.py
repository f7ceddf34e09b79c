"""Convert the editor's workflow to the graph that it would run: subgraphs expanded, bypassed and muted nodes removed.

A node of a workflow has a list of inputs (with the number of a link, or none) and a list of its widgets' values. A
subgraph is defined once and used by nodes whose type is its id; within it, node -10 stands for its inputs and node -20
for its outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptsearch.metadata.comfyui.broadcasts import broadcasts_of
from promptsearch.metadata.comfyui.graph import MAX_NODES, Graph, Link, Node
from promptsearch.metadata.comfyui.names import is_text
from promptsearch.metadata.comfyui.widgets import RECOGNISED, named_widgets

_MUTED, _BYPASSED = 2, 4
_INPUTS, _OUTPUTS = -10, -20
_MAX_DEPTH = 12  # of nested subgraphs
_MAX_STEPS = 1000  # from an input to the node that it comes from
_WIDGET_TYPES = frozenset({"STRING", "INT", "FLOAT", "COMBO", "BOOLEAN"})
_NOTES = frozenset({"Note", "MarkdownNote"})


@dataclass(frozen=True)
class _Scope:
    """The nodes of the workflow, or of one use of a subgraph."""

    prefix: str  # of the nodes' ids in the graph that runs: the ids of the enclosing subgraphs, joined by colons
    nodes: Mapping[str, Mapping[str, Any]]
    links: Mapping[str, tuple[str, int]]  # link -> the node and output that it comes from
    outputs: Mapping[int, tuple[str, int]]  # of a subgraph: output -> the node and output within it
    inputs: list[Mapping[str, Any]]  # of a subgraph
    targets: Mapping[int, list[tuple[str, int]]]  # of a subgraph: input -> the nodes and inputs within it
    broadcasts: Mapping[tuple[str, int], tuple[str, int]]  # node and input without a link -> a node's output
    outer: _Scope | None = None
    user: Mapping[str, Any] = field(default_factory=dict)  # the node that uses the subgraph
    inner: dict[str, _Scope] = field(default_factory=dict)  # the uses of subgraphs, by node


_Place = tuple[_Scope, str, int]  # a node's output


def read_workflow(workflow: Mapping[str, Any]) -> Graph:
    """Return the graph of a workflow; empty if it has no nodes or more than MAX_NODES."""
    definitions = workflow.get("definitions")
    subgraphs = {
        str(subgraph.get("id")): subgraph
        for subgraph in _dicts(definitions.get("subgraphs") if isinstance(definitions, dict) else None)
    }
    scopes = _unfold(workflow, subgraphs)
    names = {
        str(values[0]): (scope, id)
        for scope in scopes
        for id, node in scope.nodes.items()
        if node.get("type") == "SetNode" and isinstance(values := node.get("widgets_values"), list) and values
    }
    return Graph(
        Node(scope.prefix + id, str(node.get("type")), dict(_inputs(scope, node, names)))
        for scope in scopes
        for id, node in scope.nodes.items()
        if id not in scope.inner and node.get("mode") not in (_MUTED, _BYPASSED) and str(node.get("type")) not in _NOTES
    )


def _unfold(workflow: Mapping[str, Any], subgraphs: Mapping[str, Mapping[str, Any]]) -> list[_Scope]:
    """Return the scopes of the workflow and of all uses of subgraphs that run; empty above MAX_NODES nodes."""
    scopes = [_scope("", workflow, None, {})]
    count = 0
    for depth, scope in _growing(scopes):
        count += len(scope.nodes)
        if count > MAX_NODES:
            return []
        for id, node in scope.nodes.items():
            definition = subgraphs.get(str(node.get("type")))
            if definition is None or node.get("mode") in (_MUTED, _BYPASSED) or depth >= _MAX_DEPTH:
                continue
            scope.inner[id] = _scope(f"{scope.prefix}{id}:", definition, scope, node)
            scopes.append(scope.inner[id])
    return scopes


def _growing(scopes: list[_Scope]) -> Iterator[tuple[int, _Scope]]:
    for scope in scopes:  # grows during iteration
        yield scope.prefix.count(":"), scope


def _scope(prefix: str, graph: Mapping[str, Any], outer: _Scope | None, user: Mapping[str, Any]) -> _Scope:
    links: dict[str, tuple[str, int]] = {}
    outputs: dict[int, tuple[str, int]] = {}
    targets: dict[int, list[tuple[str, int]]] = {}
    for link in _items(graph.get("links")):
        if isinstance(link, dict):
            number, origin, slot = link.get("id"), link.get("origin_id"), link.get("origin_slot")
            target, target_slot = link.get("target_id"), link.get("target_slot")
        elif isinstance(link, list) and len(link) >= 5:
            number, origin, slot, target, target_slot = link[:5]
        else:
            continue
        if isinstance(slot, int):
            links[str(number)] = (str(origin), slot)
            if target == _OUTPUTS and isinstance(target_slot, int):
                outputs[target_slot] = (str(origin), slot)
            if origin == _INPUTS and isinstance(target_slot, int):
                targets.setdefault(slot, []).append((str(target), target_slot))
    nodes = {str(node.get("id")): node for node in _dicts(graph.get("nodes"))}
    broadcasts = broadcasts_of(graph, nodes, links)
    return _Scope(prefix, nodes, links, outputs, list(_dicts(graph.get("inputs"))), targets, broadcasts, outer, user)


def _inputs(
    scope: _Scope, node: Mapping[str, Any], names: Mapping[str, tuple[_Scope, str]]
) -> Iterator[tuple[str, Any]]:
    """Yield the inputs of a node by name: the widgets' values, replaced by links where an input is linked."""
    slots = list(_dicts(node.get("inputs")))
    origins = {
        str(slot.get("name", "")): _origin(scope, start, names)
        for place, slot in enumerate(slots)
        if (start := _start(scope, node, slot, place)) is not None
    }
    linked = {name: origin for name, origin in origins.items() if origin is not None}
    values = _widgets(node, slots)
    if any(is_text(name) for name in linked):
        values.pop(RECOGNISED, None)  # it may be the value from before the input was linked
    yield from (values | linked).items()


def _start(scope: _Scope, node: Mapping[str, Any], slot: Mapping[str, Any], place: int) -> tuple[str, int] | None:
    """Return the output that is linked or broadcast to an input of a node, if any."""
    if slot.get("link") is not None:
        return scope.links.get(str(slot["link"]))
    return scope.broadcasts.get((str(node.get("id")), place))


def _widgets(node: Mapping[str, Any], slots: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the widgets' values by name, from the names that newer editors write beside the list."""
    named = node.get("widgets_values_named")
    names = [_widget(slot) for slot in slots if "widget" in slot]
    return named_widgets(str(node.get("type")), named or node.get("widgets_values"), names)


def _widget(slot: Mapping[str, Any]) -> str:
    widget = slot.get("widget")
    return str(widget.get("name")) if isinstance(widget, dict) else str(slot.get("name"))


def _origin(scope: _Scope, start: tuple[str, int] | None, names: Mapping[str, tuple[_Scope, str]]) -> Any:
    """Return the link to the node that feeds an input, or the value that a subgraph's user sets; None if neither."""
    place: _Place | None = (scope, *start) if start else None
    for _ in range(_MAX_STEPS):
        if place is None:
            return None
        within, id, slot = place
        if id == str(_INPUTS):
            if within.outer is None:
                return None
            place, value = _from_user(within, slot)
            if place is None:
                return value
            continue
        node = within.nodes.get(id)
        if node is None or node.get("mode") == _MUTED:
            return None
        if id in within.inner:
            inner = within.inner[id]
            place = (inner, *inner.outputs[slot]) if slot in inner.outputs else None
        elif node.get("mode") == _BYPASSED:
            place = _bypassed(within, node, slot)
        elif node.get("type") == "GetNode":
            place = _set(node, names)
        else:
            return Link(within.prefix + id, slot)
    return None


def _from_user(scope: _Scope, slot: int) -> tuple[_Place | None, Any]:
    """Return the place that a subgraph's user links to this input, or else the value of the user's widget."""
    assert scope.outer is not None
    if slot >= len(scope.inputs):
        return None, None
    name = scope.inputs[slot].get("name")
    for place, used in enumerate(_dicts(scope.user.get("inputs"))):
        if used.get("name") == name and (start := _start(scope.outer, scope.user, used, place)) is not None:
            return (scope.outer, *start), None
    values = scope.user.get("widgets_values")
    widgets = [str(entry.get("name")) for entry in scope.inputs if entry.get("type") in _WIDGET_TYPES]
    if isinstance(values, list) and len(values) == len(widgets) and name in widgets:
        return None, values[widgets.index(str(name))]
    if isinstance(values, dict) and str(name) in values:
        return None, values[str(name)]
    return None, _promoted(scope, slot)


def _promoted(scope: _Scope, slot: int) -> Any:
    """Return the value of a subgraph's input: that of the first inner widget that shows it."""
    for id, place in scope.targets.get(slot, ()):
        node = scope.nodes.get(id, {})
        slots = list(_dicts(node.get("inputs")))
        if place < len(slots) and "widget" in slots[place]:
            value = _widgets(node, slots).get(_widget(slots[place]))
            if value is not None:
                return value
    return None


def _bypassed(scope: _Scope, node: Mapping[str, Any], slot: int) -> _Place | None:
    """Return the origin of a bypassed output: the input of its type in the same slot, else the first of its type."""
    outputs, inputs = list(_dicts(node.get("outputs"))), list(_dicts(node.get("inputs")))
    type = outputs[slot].get("type") if 0 <= slot < len(outputs) else None
    alike = [entry for entry in inputs if type in (entry.get("type"), "*") or entry.get("type") == "*"]
    same = [entry for entry in inputs[slot : slot + 1] if entry in alike]
    for entry in (*same, *alike):
        if (link := scope.links.get(str(entry.get("link")))) is not None:
            return (scope, *link)
    return None


def _set(node: Mapping[str, Any], names: Mapping[str, tuple[_Scope, str]]) -> _Place | None:
    """Return the origin of a GetNode: the input of the SetNode with the same name."""
    values = node.get("widgets_values")
    scope, id = names.get(str(values[0]) if isinstance(values, list) and values else "", (None, ""))
    if scope is None:
        return None
    for entry in _dicts(scope.nodes[id].get("inputs")):
        if (link := scope.links.get(str(entry.get("link")))) is not None:
            return (scope, *link)
    return None


def _items(value: Any) -> Iterator[Any]:
    """Yield the items of a list, or of an object whose names are numbers; nothing for other values."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    return (item for item in _items(value) if isinstance(item, dict))
