"""ComfyUI's graph of nodes, in one form for the prompt that ran and for the editor's workflow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_NODES = 20_000


class Link(NamedTuple):
    """An output of a node, used as the input of another node."""

    node: str
    slot: int


@dataclass(frozen=True)
class Node:
    """A node of the graph."""

    id: str
    kind: str  # ComfyUI's class_type
    inputs: Mapping[str, Any]  # values, and Links, whose nodes may be missing

    def links(self) -> Iterator[tuple[str, Link]]:
        """Yield the names and links of the inputs that are linked."""
        return ((name, value) for name, value in self.inputs.items() if isinstance(value, Link))


class Graph:
    """Nodes by id, in the order of the file."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: dict[str, Node] = {node.id: node for node in nodes}

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def behind(self, value: Any) -> Node | None:
        """Return the node that a link leads to; None for values, and for links to missing nodes."""
        return self.nodes.get(value.node) if isinstance(value, Link) else None

    def upstream(self, starts: Iterable[Node]) -> list[Node]:
        """Return these nodes and all that they depend on, nearest first, each once."""
        nodes = {node.id: node for node in starts}
        waiting = deque(nodes.values())
        while waiting:
            for _, link in waiting.popleft().links():
                node = self.nodes.get(link.node)
                if node is not None and node.id not in nodes:
                    nodes[node.id] = node
                    waiting.append(node)
        return list(nodes.values())

    def ends(self) -> list[Node]:
        """Return the nodes that no other node depends on."""
        used = {link.node for node in self for _, link in node.links()}
        return [node for node in self if node.id not in used]


def read_prompt(prompt: Mapping[str, Any]) -> Graph:
    """Return the graph that ran: `{id: {"class_type": …, "inputs": {name: value | [id, slot]}}}`.

    It is empty if there are no nodes of that form, or more than MAX_NODES.
    """
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
    """Convert an input: a list of a node's id and the number of its output is a Link, anything else a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int) and not isinstance(value[1], bool):
        node, slot = value
        if isinstance(node, str) or (isinstance(node, int) and str(node) in entries):
            return Link(str(node), slot)
    return value
