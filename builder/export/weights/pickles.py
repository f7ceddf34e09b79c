"""Read the pickles of PyTorch's files as data: nothing that they name is imported, and nothing is called.

A pickle is a program for a stack machine. `load` interprets the few instructions with which `torch.save` and
TorchScript write tensors, dictionaries and modules, and refuses all others. What such a program would have Python call
becomes a description: a tensor's place in the archive, or the attributes of a module.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LARGEST = 64 << 20  # bytes of a pickle; those of CLIP's checkpoints have less than a megabyte

# Element types as PyTorch's storages are called, with NumPy's name. NumPy has no bfloat16.
STORAGES = {
    "FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip

_TENSOR = {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")}
_SAME = {  # what these return is their first argument, for our purposes
    ("torch._utils", "_rebuild_parameter"), ("torch.jit._pickle", "restore_type_tag"),
    ("torch.jit._pickle", "build_intlist"), ("torch.jit._pickle", "build_doublelist"),
    ("torch.jit._pickle", "build_boollist"), ("torch.jit._pickle", "build_tensorlist"),
}  # fmt: skip
_DICTIONARY = ("collections", "OrderedDict")


class Refused(Exception):
    """A pickle holds more than weights, or is damaged."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies in its archive. `offset`, `shape` and `strides` count elements."""

    key: str  # of the storage
    dtype: str
    count: int  # elements of the storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Module:
    """A module of TorchScript: its attributes, without its code."""

    attributes: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Name:
    """Something that a pickle names, and that is not imported."""

    module: str
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


_MARK = object()


def load(data: bytes) -> object:
    """Return the content of a pickle: dictionaries, lists, tuples, numbers, texts, StoredTensors and Modules.

    Raises Refused.
    """
    if len(data) > LARGEST:
        raise Refused(f"it describes its tensors in {len(data)} bytes, more than {LARGEST}")
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (ValueError, LookupError, TypeError, UnicodeDecodeError) as error:  # not a pickle, or a damaged one
        raise Refused(f"it is damaged: {error}") from None
    raise Refused("it is damaged: it has no end")


class _Machine:
    """The stack, the memo and the instructions of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps: dict[str, Callable[[Any], object]] = {
            "PROTO": lambda _: None,
            "FRAME": lambda _: None,
            "MARK": lambda _: self.stack.append(_MARK),
            "NONE": lambda _: self.stack.append(None),
            "NEWTRUE": lambda _: self.stack.append(True),
            "NEWFALSE": lambda _: self.stack.append(False),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "EMPTY_TUPLE": lambda _: self.stack.append(()),
            "TUPLE": lambda _: self.stack.append(tuple(self.to_mark())),
            "TUPLE1": lambda _: self.stack.append(tuple(self.pops(1))),
            "TUPLE2": lambda _: self.stack.append(tuple(self.pops(2))),
            "TUPLE3": lambda _: self.stack.append(tuple(self.pops(3))),
            "APPEND": lambda _: self.append(self.pops(1)),
            "APPENDS": lambda _: self.append(self.to_mark()),
            "SETITEM": lambda _: self.set_items(self.pops(2)),
            "SETITEMS": lambda _: self.set_items(self.to_mark()),
            "MEMOIZE": lambda _: self.memo.__setitem__(len(self.memo), self.top()),
            "GLOBAL": lambda name: self.stack.append(_named(*name.split(" ", 1))),
            "STACK_GLOBAL": lambda _: self.stack.append(_named(*self.pops(2))),
            "BINPERSID": lambda _: self.stack.append(_storage(self.pop())),
            "REDUCE": lambda _: self.stack.append(_called(*self.pops(2))),
            "NEWOBJ": lambda _: self.stack.append(_module(*self.pops(2))),
            "BUILD": lambda _: self.build(),
        }
        for name in ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"):
            self.steps[name] = self.stack.append
        for name in ("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINSTRING"):
            self.steps[name] = self.stack.append
        for name in ("BINPUT", "LONG_BINPUT"):
            self.steps[name] = lambda number: self.memo.__setitem__(number, self.top())
        for name in ("BINGET", "LONG_BINGET"):
            self.steps[name] = lambda number: self.stack.append(self.memo[number])

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name not in self.steps:
            raise Refused(f"it has the instruction {name}, which files of weights do without")
        self.steps[name](argument)

    def top(self) -> Any:
        """Return the uppermost value."""
        return self.stack[-1]

    def pop(self) -> Any:
        """Remove and return the uppermost value."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a value is missing")
        return value

    def pops(self, count: int) -> list[Any]:
        """Remove and return the uppermost values, the lowest first."""
        return [self.pop() for _ in range(count)][::-1]

    def to_mark(self) -> list[Any]:
        """Remove and return the values above the uppermost mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def append(self, values: list[Any]) -> None:
        """Add values to the uppermost list."""
        if not isinstance(self.top(), list):
            raise TypeError(f"expected a list, found {type(self.top()).__name__}")
        self.top().extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Add keys and values to the uppermost dictionary."""
        if not isinstance(self.top(), dict) or len(values) % 2:
            raise TypeError("a dictionary is missing")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | float):
                raise TypeError(f"expected keys that are texts or numbers, found {type(key).__name__}")
            self.top()[key] = value

    def build(self) -> None:
        """Give the uppermost module its attributes. A dictionary has none that matter."""
        state = self.pop()
        if isinstance(self.top(), Module) and isinstance(state, dict):
            self.top().attributes = state
        elif not isinstance(self.top(), dict):
            raise Refused("it sets the state of something other than a module")


def _named(module: str, name: str) -> _Name:
    known = (module, name) in _TENSOR | _SAME | {_DICTIONARY}
    if known or _is_module(module) or (module == "torch" and name in STORAGES):
        return _Name(module, name)
    raise Refused(f"it names {module}.{name}, which files of weights do without: nothing of it was run")


def _is_module(module: str) -> bool:
    return module == "__torch__" or module.startswith("__torch__.")


def _storage(reference: Any) -> _Storage:
    kind, type_, key, _, count = reference
    if kind != "storage" or not isinstance(type_, _Name) or type_.name not in STORAGES:
        raise TypeError("a reference is not to a storage")
    if not isinstance(key, str) or not isinstance(count, int):
        raise TypeError("a reference to a storage is malformed")
    return _Storage(key, STORAGES[type_.name], count)


def _called(called: Any, arguments: Any) -> object:
    """Return what describes a call of something known, and call nothing."""
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise TypeError("a call is malformed")
    name = (called.module, called.name)
    if name == _DICTIONARY and not arguments:
        return {}
    if name in _SAME and arguments:
        return arguments[0]
    if name not in _TENSOR:
        raise Refused(f"it calls {called.module}.{called.name}, which files of weights do without")
    storage, offset, shape, strides, *_ = arguments
    sizes = (*shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(number, int) for number in (offset, *sizes)):
        raise TypeError("a tensor is malformed")
    return StoredTensor(storage.key, storage.dtype, storage.count, offset, tuple(shape), tuple(strides))


def _module(type_: Any, arguments: Any) -> Module:
    if not isinstance(type_, _Name) or not _is_module(type_.module) or arguments != ():
        raise Refused("it makes an object of a class that is not TorchScript's")
    return Module()
