"""What stands at the end of a link: a text, a number, a choice between inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from promptsearch.metadata.comfyui.graph import Graph, Link, Node
from promptsearch.metadata.comfyui.names import Role, for_role, is_text, role_of

MAX_DEPTH = 50  # of nodes between a value and where it is used, each of which takes a few calls of functions
MAX_CHARACTERS = 100_000  # of a prompt
_JOINS = re.compile(r"concat|join|combine|append|merge|addtext|prompt ?builder", re.IGNORECASE)
_DELIMITERS = ("delimiter", "separator", "sep", "split", "concat_separator")
_ESCAPES = {"\\n": "\n", "\\t": "\t"}
# Nodes that have a language model write, whose outcome no file has: what they are asked for is the best there is.
_WRITES = re.compile(r"TextGenerate|Gemini|Chat|Claude|LLM|Ollama|GPT|SeedNode|Enhance|Rewrite", re.IGNORECASE)
_SEES = re.compile(r"Florence|Caption|Tagger|Interrogat|QwenVL|Describe|img2txt|image2text", re.IGNORECASE)
# How texts begin that tell a language model what it is.
_INSTRUCTION = re.compile(r"\s*(<\w*>)?\s*\[?(SYSTEM|You are (an?|the) |Role:|Act as |你是)", re.IGNORECASE)
_PROMPT_STARTS = "<Prompt Start>"  # what such a text of Lumina's models ends with
_PLACES = re.compile(r"\{\{|\}\}|\{(\w+)(?::[^{}]*)?\}")
_MAX_PARTS = 200  # of what is asked for
# The name of a node's only value, whatever it is.
_VALUE_NAMES = (
    "value", "Value", "string", "String", "text", "number", "Number", "int", "float", "boolean", "choice", "seed",
    "noise_seed",
)  # fmt: skip
_TEXT_VALUES = ("value", "Value", "String", "choice")
_ON = ("on_true", "tt_value", "true_value", "if_true", "true", "ifTrue")
_OFF = ("on_false", "ff_value", "false_value", "if_false", "false", "ifFalse")
_CONDITIONS = ("switch", "boolean", "condition", "cond", "bool", "boolean_value")
_INDICES = ("select", "index", "Input", "input", "selected", "switch")
_NUMBERED = re.compile(r"(.*?)[_ ]?0*(\d+)$")


class Values:
    """Follows links of one graph to what they stand for. Remembers what it found, so that no node costs twice."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._texts: dict[tuple[str, int, Role], str | None] = {}
        self._values: dict[tuple[str, str], Any] = {}

    def value(self, value: Any, wanted: str = "value", depth: int = 0) -> Any:
        """The number, text or truth that a link leads to; a link that leads to none comes back as it is."""
        node = self.graph.behind(value)
        if node is None or depth > MAX_DEPTH:
            return value
        key = (node.id, wanted)
        if key not in self._values:
            self._values[key] = None  # what leads back to itself has none
            self._values[key] = self._value_of(node, wanted, depth + 1)
        found = self._values[key]
        return value if found is None else found

    def _value_of(self, node: Node, wanted: str, depth: int) -> Any:
        names = self.chosen(node, depth) or [wanted, *_VALUE_NAMES]
        if len(node.inputs) == 1:  # a reroute
            names = [*names, *(name for name, _ in node.links())]
        for name in names:
            found = self.value(node.inputs.get(name), wanted, depth)
            if found is not None and not isinstance(found, Link | list | dict):
                return found
        return None

    def text(self, value: Any, role: Role, depth: int = 0) -> str | None:
        """The text that a value is, or that a link leads to; None if there is none, or it is made while it runs."""
        if isinstance(value, str):
            return value[:MAX_CHARACTERS]
        node = self.graph.behind(value)
        if node is None or depth > MAX_DEPTH:
            return None
        key = (node.id, value.slot, role)
        if key not in self._texts:
            self._texts[key] = None  # what leads back to itself has none
            found = self._text_of(node, value.slot, role, depth + 1)
            self._texts[key] = found.rpartition(_PROMPT_STARTS)[2] if found else None
        return self._texts[key]

    def chosen(self, node: Node, depth: int = 0) -> list[str] | None:
        """The inputs that a switch hands on, the likeliest first; None for other nodes."""
        inputs = node.inputs
        on, off = (next((name for name in names if name in inputs), None) for names in (_ON, _OFF))
        if on or off:
            switch = next((name for name in _CONDITIONS if name in inputs), None)
            condition = self.value(inputs[switch], depth=depth) if switch else None
            order = [off, on] if condition in (False, 0, "false", "False") else [on, off]
            decided = isinstance(condition, bool | int | str)
            return [name for name in (order[:1] if decided else order) if name is not None]
        for name in _INDICES:
            index = self.value(inputs[name], depth=depth) if name in inputs else None
            if isinstance(index, int) and not isinstance(index, bool):
                return self._numbered(node, index) or None
        if "any switch" in node.kind.lower():
            return [name for name, _ in node.links()]
        return None

    def _numbered(self, node: Node, index: int) -> list[str]:
        return [name for name in node.inputs if (match := _NUMBERED.fullmatch(name)) and int(match[2][:9]) == index]

    def _text_of(self, node: Node, slot: int, role: Role, depth: int) -> str | None:
        if (names := self.chosen(node, depth)) is not None:
            return next(self._found(node, names, role, depth), None)
        if _SEES.search(node.kind):
            return None
        if _WRITES.search(node.kind):
            return self._wish(node)
        if node.kind == "StringFormat":
            return self._formatted(node, role, depth)
        if "populated_text" in node.inputs and (found := self.text(node.inputs["populated_text"], role, depth)):
            return found
        held = [name for name, value in node.inputs.items() if is_text(name, value) or name in _TEXT_VALUES]
        names = for_role(held, _role_of_output(node, slot, role))
        texts = self._found(node, names, role, depth)
        if self._joins(node, names):
            return self._joined(node, texts)
        if found := next(texts, None):
            return self._replaced(node, found, role, depth)
        passing = (name for name, _ in node.links() if name not in names and role_of(name) in (None, role))
        fallback = [*passing, "wildcard_text"]
        return next(self._found(node, [name for name in fallback if name in node.inputs], role, depth), None)

    def _found(self, node: Node, names: Iterable[str], role: Role, depth: int) -> Iterator[str]:
        """The texts of these inputs that are not empty."""
        for name in names:
            if (found := self.text(node.inputs[name], role, depth)) and found.strip():
                yield found

    def _joins(self, node: Node, names: list[str]) -> bool:
        """Whether the node puts its texts together, rather than to have several of which one counts."""
        return len(names) > 1 and bool(_JOINS.search(node.kind) or any(name in node.inputs for name in _DELIMITERS))

    def _joined(self, node: Node, texts: Iterable[str]) -> str | None:
        delimiter = next((node.inputs[name] for name in _DELIMITERS if isinstance(node.inputs.get(name), str)), " ")
        parts = list(texts)
        own = [part for part in parts if not _INSTRUCTION.match(part)] or parts
        return _ESCAPES.get(delimiter, delimiter).join(own)[:MAX_CHARACTERS] or None

    def _formatted(self, node: Node, role: Role, depth: int) -> str | None:
        """Python's format, of which nothing but names is looked at."""

        def insert(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]  # a brace that is doubled
            value = self.value(node.inputs.get(f"values.{match[1]}"))
            return str(value) if isinstance(value, int | float) else self.text(value, role, depth) or ""

        template = self.text(node.inputs.get("f_string"), role, depth)
        return _PLACES.sub(insert, template)[:MAX_CHARACTERS] if template else None

    def _wish(self, start: Node) -> str | None:
        """What a language model is asked to write of: the longest text behind it that is no instruction."""
        texts: list[str] = []
        waiting, seen = [start], {start.id}
        while waiting and len(seen) < _MAX_PARTS:
            node = waiting.pop()
            names = [name for name in node.inputs if is_text(name) or name in (*_TEXT_VALUES, "replace")]
            for name in self.chosen(node) or names or [name for name, _ in node.links()]:
                value = node.inputs[name]
                following = self.graph.behind(value)
                template = name == "string" and "replace" in node.inputs
                if isinstance(value, str) and value.strip() and not template and not _INSTRUCTION.match(value):
                    texts.append(value)
                elif following is not None and following.id not in seen:
                    seen.add(following.id)
                    waiting.append(following)
        return max(texts, key=len, default=None)

    def _replaced(self, node: Node, found: str, role: Role, depth: int) -> str:
        """A plain replacement is made; what depends on a pattern is left as it is."""
        if node.kind != "StringReplace":
            return found
        old, new = (self.text(node.inputs.get(name), role, depth) for name in ("find", "replace"))
        return found.replace(old, new or "")[:MAX_CHARACTERS] if old else found


def _role_of_output(node: Node, slot: int, role: Role) -> Role:
    """A node with both prompts, a styler, has the positive one first and the negative one second."""
    roles = {role_of(name) for name in node.inputs if is_text(name)}
    if {"positive", "negative"} <= roles and slot in (0, 1):
        return "negative" if slot == 1 else "positive"
    return role
