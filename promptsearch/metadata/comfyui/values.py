"""Resolve links to the values behind them: a text, a number, a choice between inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from promptsearch.metadata.comfyui.graph import Graph, Link, Node
from promptsearch.metadata.comfyui.names import Role, for_role, is_text, role_of

MAX_DEPTH = 50  # of nodes between a value and its use; each takes a few nested calls
MAX_CHARACTERS = 100_000  # of a prompt
_JOINS = re.compile(r"concat|join|combine|append|merge|addtext|prompt ?builder", re.IGNORECASE)
_DELIMITERS = ("delimiter", "separator", "sep", "split", "concat_separator")
_ESCAPES = {"\\n": "\n", "\\t": "\t"}
# Nodes that run a language model, whose output no file has: its request is the best substitute.
_WRITES = re.compile(r"TextGenerate|Gemini|Chat|Claude|LLM|Ollama|GPT|SeedNode|Enhance|Rewrite", re.IGNORECASE)
_SEES = re.compile(r"Florence|Caption|Tagger|Interrogat|QwenVL|Describe|img2txt|image2text", re.IGNORECASE)
# Beginnings of system prompts of language models.
_INSTRUCTION = re.compile(r"\s*(<\w*>)?\s*\[?(SYSTEM|You are (an?|the) |Role:|Act as |你是)", re.IGNORECASE)
_PROMPT_STARTS = "<Prompt Start>"  # the end of the system prompt in texts for Lumina's models
_PLACES = re.compile(r"\{\{|\}\}|\{(\w+)(?::[^{}]*)?\}")
_MAX_PARTS = 200  # nodes behind a request to a language model
# Names of the value of nodes that have a single value.
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
    """Resolves the links of one graph. Results are cached, so that no node is resolved twice."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._texts: dict[tuple[str, int, Role], str | None] = {}
        self._values: dict[tuple[str, str], Any] = {}

    def value(self, value: Any, wanted: str = "value", depth: int = 0) -> Any:
        """Return the number, text or boolean that a link leads to, or the argument if it is no link or leads to none.

        `wanted` is the name of the input that needs the value; nodes with several values are searched for it first.
        """
        node = self.graph.behind(value)
        if node is None or depth > MAX_DEPTH:
            return value
        key = (node.id, wanted)
        if key not in self._values:
            self._values[key] = None  # for cycles
            self._values[key] = self._value_of(node, wanted, depth + 1)
        resolved = self._values[key]
        return value if resolved is None else resolved

    def _value_of(self, node: Node, wanted: str, depth: int) -> Any:
        names = self.chosen(node, depth) or [wanted, *_VALUE_NAMES]
        if len(node.inputs) == 1:  # a reroute
            names = [*names, *(name for name, _ in node.links())]
        for name in names:
            value = self.value(node.inputs.get(name), wanted, depth)
            if value is not None and not isinstance(value, Link | list | dict):
                return value
        return None

    def text(self, value: Any, role: Role, depth: int = 0) -> str | None:
        """Return the text of a value or behind a link; None if there is none, or only a run would compute it."""
        if isinstance(value, str):
            return value[:MAX_CHARACTERS]
        node = self.graph.behind(value)
        if node is None or depth > MAX_DEPTH:
            return None
        key = (node.id, value.slot, role)
        if key not in self._texts:
            self._texts[key] = None  # for cycles
            resolved = self._text_of(node, value.slot, role, depth + 1)
            self._texts[key] = resolved.rpartition(_PROMPT_STARTS)[2] if resolved else None
        return self._texts[key]

    def chosen(self, node: Node, depth: int = 0) -> list[str] | None:
        """Return the inputs that a switch may select, the likeliest first; None for other nodes."""
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
            return next(self._texts_of(node, names, role, depth), None)
        if _SEES.search(node.kind):
            return None
        if _WRITES.search(node.kind):
            return self._request(node)
        if node.kind == "StringFormat":
            return self._formatted(node, role, depth)
        if "populated_text" in node.inputs and (text := self.text(node.inputs["populated_text"], role, depth)):
            return text
        held = [name for name, value in node.inputs.items() if is_text(name, value) or name in _TEXT_VALUES]
        names = for_role(held, _role_of_output(node, slot, role))
        texts = self._texts_of(node, names, role, depth)
        if self._joins(node, names):
            return self._joined(node, texts)
        if text := next(texts, None):
            return self._replaced(node, text, role, depth)
        passing = (name for name, _ in node.links() if name not in names and role_of(name) in (None, role))
        fallback = [*passing, "wildcard_text"]
        return next(self._texts_of(node, [name for name in fallback if name in node.inputs], role, depth), None)

    def _texts_of(self, node: Node, names: Iterable[str], role: Role, depth: int) -> Iterator[str]:
        """Yield the texts of these inputs that are not empty."""
        for name in names:
            if (text := self.text(node.inputs[name], role, depth)) and text.strip():
                yield text

    def _joins(self, node: Node, names: list[str]) -> bool:
        """Return whether the node concatenates its texts, rather than uses one of them."""
        return len(names) > 1 and bool(_JOINS.search(node.kind) or any(name in node.inputs for name in _DELIMITERS))

    def _joined(self, node: Node, texts: Iterable[str]) -> str | None:
        delimiter = next((node.inputs[name] for name in _DELIMITERS if isinstance(node.inputs.get(name), str)), " ")
        parts = list(texts)
        own = [part for part in parts if not _INSTRUCTION.match(part)] or parts
        return _ESCAPES.get(delimiter, delimiter).join(own)[:MAX_CHARACTERS] or None

    def _formatted(self, node: Node, role: Role, depth: int) -> str | None:
        """Return the result of StringFormat, Python's format, of which only names are supported."""

        def insert(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]  # an escaped brace
            value = self.value(node.inputs.get(f"values.{match[1]}"))
            return str(value) if isinstance(value, int | float) else self.text(value, role, depth) or ""

        template = self.text(node.inputs.get("f_string"), role, depth)
        return _PLACES.sub(insert, template)[:MAX_CHARACTERS] if template else None

    def _request(self, start: Node) -> str | None:
        """Return the request to a language model: the longest text behind it that is not an instruction."""
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

    def _replaced(self, node: Node, text: str, role: Role, depth: int) -> str:
        """Return the text after a plain replacement; nodes that replace patterns leave it unchanged."""
        if node.kind != "StringReplace":
            return text
        old, new = (self.text(node.inputs.get(name), role, depth) for name in ("find", "replace"))
        return text.replace(old, new or "")[:MAX_CHARACTERS] if old else text


def _role_of_output(node: Node, slot: int, role: Role) -> Role:
    """Return the role of a node's output: a styler with both prompts has the positive one first."""
    roles = {role_of(name) for name in node.inputs if is_text(name)}
    if {"positive", "negative"} <= roles and slot in (0, 1):
        return "negative" if slot == 1 else "positive"
    return role
