"""ComfyUI's graph of nodes, in one form whether it is read from the prompt that ran or from the editor's workflow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_NODES = 20_000


class Link(NamedTuple):
    """An output of a node, which another node has as its input."""

    node: str
    slot: int


@dataclass(frozen=True)
class Node:
    id: str
    kind: str  # ComfyUI's class_type
    inputs: Mapping[str, Any]  # values, and Links to nodes that may be missing

    def links(self) -> Iterator[tuple[str, Link]]:
        return ((name, value) for name, value in self.inputs.items() if isinstance(value, Link))


class Graph:
    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: dict[str, Node] = {node.id: node for node in nodes}

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def behind(self, value: Any) -> Node | None:
        """The node that a link leads to; None for values and for links into nowhere."""
        return self.nodes.get(value.node) if isinstance(value, Link) else None

    def upstream(self, starts: Iterable[Node]) -> list[Node]:
        """These nodes and all that they depend on, the nearest first, each once."""
        found = {node.id: node for node in starts}
        waiting = deque(found.values())
        while waiting:
            for _, link in waiting.popleft().links():
                node = self.nodes.get(link.node)
                if node is not None and node.id not in found:
                    found[node.id] = node
                    waiting.append(node)
        return list(found.values())

    def ends(self) -> list[Node]:
        """The nodes that no other depends on."""
        used = {link.node for node in self for _, link in node.links()}
        return [node for node in self if node.id not in used]


def read_prompt(prompt: Mapping[str, Any]) -> Graph:
    """The graph that ran: `{id: {"class_type": …, "inputs": {name: value | [id, slot]}}}`."""
    entries = {
        str(id): entry
        for id, entry in prompt.items()
        if isinstance(entry, dict) and isinstance(entry.get("inputs"), dict) and "class_type" in entry
    }
    if len(entries) > MAX_NODES:
        return Graph(())
    return Graph(
        Node(
            id, str(entry["class_type"]), {str(name): _input(value, entries) for name, value in entry["inputs"].items()}
        )
        for id, entry in entries.items()
    )


def _input(value: Any, entries: Mapping[str, Any]) -> Any:
    """A link is a list of a node's id and the number of its output."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and not isinstance(value[1], bool):
        node, slot = value
        if isinstance(node, str) or (isinstance(node, int) and str(node) in entries):
            return Link(str(node), slot)
    return value
