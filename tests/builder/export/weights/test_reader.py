"""Whole files: what is read of them, and what is refused. tests/builder/export/pytorch/ reads PyTorch's own files."""

from __future__ import annotations

import os
import pickle
import struct
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.export.weights.reader import read_weights
from promptsearch.errors import ExportError
from tests.builder.export.files import (
    EMPTY,
    Arrays,
    Tensor,
    described,
    module,
    named,
    number,
    pickled,
    pickled_tensor,
    state_dict,
    text,
    write_archive,
    write_safetensors,
    write_state_dict,
    write_torchscript,
)

ARRAYS: Arrays = {
    "weight": np.arange(6, dtype="<f4").reshape(2, 3),
    "half": np.array([0.5, -2], dtype="<f2"),
    "scale": np.array(4.6, dtype="<f4"),
    "deep.er.bias": np.ones(3, dtype="<f8"),
}
ONE = Tensor("0", (2, 3), (3, 1), 6)
DATA = {"0": ARRAYS["weight"].tobytes()}


def check(found: dict[str, Any], expected: Arrays = ARRAYS) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as refusal:
        read_weights(path)
    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def outcome(path: Path) -> object:
    """Return what is read, or the message of the refusal; any other error fails the test."""
    try:
        return read_weights(path)
    except ExportError as error:
        return str(error)


def test_safetensors_are_read(tmp_path: Path) -> None:
    check(read_weights(write_safetensors(ARRAYS, tmp_path / "a.safetensors")))


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    exact = {"weight": np.array([[1.5, -0.25], [3.0, 1e30]], dtype="<f4").astype("<f4")}
    exact["weight"].view("<u4")[...] &= 0xFFFF0000
    check(read_weights(write_safetensors(exact, tmp_path / "a.safetensors", bfloat16=True)), exact)
    bits = (exact["weight"].view("<u4") >> 16).astype("<u2")
    tensor = Tensor("0", (2, 2), (2, 1), 4, storage="BFloat16Storage")
    path = write_archive(tmp_path / "a.pt", pickled(state_dict({"weight": tensor})), {"0": bits.tobytes()})
    check(read_weights(path), exact)


def test_a_state_dict_is_read(tmp_path: Path) -> None:
    check(read_weights(write_state_dict(ARRAYS, tmp_path / "a.pt")))


def test_a_state_dict_may_lie_in_a_training_checkpoint(tmp_path: Path) -> None:
    tensors, data = described(ARRAYS)
    content = b"}(" + text("epoch") + number(3) + text("state_dict") + state_dict(tensors) + b"u"
    check(read_weights(write_archive(tmp_path / "a.pt", pickled(content), data)))


def test_torchscript_is_read_without_its_code(tmp_path: Path) -> None:
    found = read_weights(write_torchscript(ARRAYS, tmp_path / "a.pt"))
    numbers = {name: found.pop(name) for name in ("input_resolution", "context_length", "vocab_size")}
    assert [int(value) for value in numbers.values()] == [64, 77, 49408]
    check(found)


def test_parts_and_transposes_of_a_storage_are_tensors_of_their_own(tmp_path: Path) -> None:
    tensors = {"column": Tensor("0", (2,), (3,), 6, offset=1), "transposed": Tensor("0", (3, 2), (1, 3), 6)}
    path = write_archive(tmp_path / "a.pt", pickled(state_dict(tensors)), DATA)
    check(read_weights(path), {"column": ARRAYS["weight"][:, 1], "transposed": ARRAYS["weight"].T})


def test_changing_read_arrays_leaves_the_file_unchanged(tmp_path: Path) -> None:
    path = write_state_dict(ARRAYS, tmp_path / "a.pt")
    before = path.read_bytes()
    read_weights(path)["weight"][...] = 7
    assert path.read_bytes() == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing.pt") == f"{tmp_path / 'missing.pt'} does not exist: pass a checkpoint file"


@pytest.mark.parametrize("content", [b"", b"x", b"hello world" * 100, b"PK\x03\x04" + b"\0" * 100, b"\x80\x02."])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, content: bytes, ending: str) -> None:
    (tmp_path / f"bad.{ending}").write_bytes(content)
    assert "cannot be read as a checkpoint" in refused(tmp_path / f"bad.{ending}")


def test_old_pytorch_formats_raise_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "old.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"rest")
    assert "before 1.6: save it again" in refused(tmp_path / "old.pt")


class Shell:
    """A pickle of this runs a command in Python's own unpickler."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("around", [lambda shell: shell, lambda shell: {"state_dict": {"weight": [shell]}}])
def test_a_command_in_a_pickle_is_not_run(tmp_path: Path, protocol: int, around: Any) -> None:
    proof = tmp_path / "proof"
    content = pickle.dumps(around(Shell(f"touch {proof}")), protocol)
    pickle.loads(content)
    assert proof.exists()  # it is a real one
    proof.unlink()
    refused(write_archive(tmp_path / "evil.pt", content, {}))
    (tmp_path / "raw.pt").write_bytes(content)
    refused(tmp_path / "raw.pt")
    assert not proof.exists()


@pytest.mark.parametrize(
    ("module_", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch._utils", "__builtins__"),
        ("torch.hub", "load"),
        ("collections", "OrderedDict.update.__globals__"),
        ("numpy", "core.multiarray"),
        ("__torch__x", "y"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "FloatStorage.__init__"),
    ],
)
def test_names_of_other_things_are_refused(tmp_path: Path, module_: str, name: str) -> None:
    path = write_archive(tmp_path / "a.pt", pickled(named(module_, name) + b")R"), {})
    message = refused(path)
    assert module_ in message
    assert name in message


def test_known_names_are_not_called_with_other_arguments(tmp_path: Path) -> None:
    for content in (
        named("collections", "OrderedDict") + b"(" + text("x") + b"tR",  # a dictionary of something
        named("torch", "FloatStorage") + b")R",
        named("__torch__.os", "system") + b"(" + text("true") + b"tR",
        named("torch", "FloatStorage") + b")\x81",
        named("torch._utils", "_rebuild_tensor_v2") + b"}b",  # state for a function
        named("torch._utils", "_rebuild_tensor_v2") + b")R",
        text("storage") + b"Q",
    ):
        assert "cannot be read" in refused(write_archive(tmp_path / "a.pt", pickled(content), {}))


@pytest.mark.parametrize(
    "instructions",
    [
        b"0",
        b"2",
        b"i__main__\nx\n",
        b"(o",
        b"\x82\x01",
        b"P1\n",
        b"\x95" + struct.pack("<Q", 2**60),
        b"Vx\n",
        b"r\xff\xff\xff\x7f",
        b"X\xff\xff\xff\x7fx",
        b"\x8d" + struct.pack("<Q", 2**62),
        b"\x8b" + struct.pack("<I", 2**31 - 1),
        b"h\x05",
        b"u",
        b"e",
        b"t",
        b"(.",
    ],
)
def test_odd_instructions_and_huge_sizes_are_refused(tmp_path: Path, instructions: bytes) -> None:
    assert "cannot be read" in refused(write_archive(tmp_path / "a.pt", pickled(instructions), {}))


@pytest.mark.parametrize(
    "lie",
    [
        {"count": 7},
        {"count": -1},
        {"count": 2**62},
        {"shape": (3, 3)},
        {"shape": (2**40, 2**40)},
        {"shape": (-2, -3)},
        {"strides": (4, 1)},
        {"strides": (3,)},
        {"strides": (-3, -1)},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**62},
        {"shape": (2**30, 3), "strides": (0, 1)},
        {"key": "1"},
        {"key": "../../etc/passwd"},
        {"key": "/etc/passwd"},
        {"key": ""},
        {"storage": "DoubleStorage"},
        {"storage": "QUInt8Storage"},
    ],
)
def test_tensors_that_lie_about_their_size_or_place_are_refused(tmp_path: Path, lie: dict[str, Any]) -> None:
    content = pickled(state_dict({"weight": replace(ONE, **lie)}))
    assert "cannot be read" in refused(write_archive(tmp_path / "a.pt", content, DATA))


def test_compressed_entries_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    content = pickled(state_dict({"weight": ONE}))
    path = write_archive(tmp_path / "a.pt", content, {"0": bytes(10**7)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    assert "is compressed" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(10**7), compress_type=zipfile.ZIP_DEFLATED)
    assert "is compressed" in refused(path)


def test_archives_of_other_layouts_are_refused(tmp_path: Path) -> None:
    for names in (
        (),
        ("data.pkl",),
        ("a/data.pkl", "b/data.pkl"),
        ("../../a/data.pkl",),
        ("/data.pkl",),
        ("a/b/data.pkl",),
    ):
        with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
            for name in names:
                archive.writestr(name, pickled(EMPTY))
        assert "it has no data.pkl in its one folder" in refused(tmp_path / "a.pt"), names


def test_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_state_dict(ARRAYS, tmp_path / "a.pt")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", pickled(EMPTY))
    assert "two of its entries have the same name" in refused(path)


def test_big_endian_numbers_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickled(EMPTY))
        archive.writestr("archive/byteorder", b"big")
    assert "big-endian" in refused(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content",
    [
        b"N",
        number(3),
        b"](" + number(1) + b"e",
        b"}(" + text("a") + number(1) + b"u",
        b"}(" + number(1) + pickled_tensor(ONE) + b"u",
        pickled_tensor(ONE),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, content: bytes) -> None:
    message = refused(write_archive(tmp_path / "a.pt", pickled(content), DATA))
    assert "expected a state dict" in message


def test_modules_that_hold_each_other_are_refused(tmp_path: Path) -> None:
    # A module that is an attribute of its own, and forty levels with two ways into each next one.
    itself = named("__torch__.m", "M") + b")\x81q\x01}(" + text("again") + b"h\x01ub"
    wide = module({"weight": pickled_tensor(ONE)}) + b"q\x00"
    for _ in range(40):
        wide = named("__torch__.m", "M") + b")\x81}(" + text("a") + wide + text("b") + b"h\x00ubq\x00"
    for content in (itself, wide):
        started = time.process_time()
        assert "nested too deeply, or are too many" in refused(write_archive(tmp_path / "a.pt", pickled(content), DATA))
        assert time.process_time() - started < 20  # of CPU, instead of for ever


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    data = write_state_dict(ARRAYS, tmp_path / "a.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(data[: len(data) // 2])
    assert "cannot be read as a checkpoint" in refused(tmp_path / "half.pt")


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b"\xff" * 20,
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4000, 4004]}}',
        b"[" * 100_000,
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
        b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1e3], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
    ],
)
def test_safetensors_with_a_wrong_header_are_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert "cannot be read as a checkpoint" in refused(path)


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    assert "its header is said to have" in refused(tmp_path / "a.safetensors")


@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever a byte is changed to, there is no other error, and nothing takes long."""
    folder = tmp_path_factory.mktemp("damaged")
    write = data.draw(st.sampled_from([write_state_dict, write_torchscript, write_safetensors]))
    path = write(ARRAYS, folder / ("a.safetensors" if write is write_safetensors else "a.pt"))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert isinstance(outcome(path), dict | str)


@given(content=st.binary(max_size=60))
def test_any_bytes_as_a_pickle_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write_archive(tmp_path_factory.mktemp("any") / "a.pt", b"\x80\x02" + content, {})
    assert isinstance(outcome(path), dict | str)
