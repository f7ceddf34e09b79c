from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.support.checkpoints import save
from builder.export.pytorch.checkpoint import Checkpoint, StateDict
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BundleError, ExportError
from promptsearch.system.files import sha256_of
from tests.builder.export.pytorch import checkpoints


@pytest.fixture(scope="module")
def archive(vit_state: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.save_torchscript(vit_state, tmp_path_factory.mktemp("archive") / "tiny.pt", 64)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    first, second = one.model().state_dict(), other.model().state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_state_dict_is_read_with_its_hash(vit_state: StateDict, tmp_path: Path) -> None:
    checkpoint = Checkpoint.file(save(vit_state, tmp_path / "tiny.pt"))
    assert (checkpoint.name, checkpoint.sha256) == ("tiny.pt", sha256_of(tmp_path / "tiny.pt"))
    assert all(torch.equal(checkpoint.state[name], value) for name, value in vit_state.items())


def test_the_reference_is_in_full_precision_for_inference(vit_checkpoint: Checkpoint) -> None:
    model = vit_checkpoint.model()
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_state_dict_may_lie_in_a_training_checkpoint(
    vit_state: StateDict, vit_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    torch.save({"epoch": 3, "state_dict": vit_state}, tmp_path / "epoch.pt")
    assert same(Checkpoint.file(tmp_path / "epoch.pt"), vit_checkpoint)


def test_an_archive_as_openai_publishes_them_is_read(archive: Path, vit_checkpoint: Checkpoint) -> None:
    assert same(Checkpoint.file(archive), vit_checkpoint)


def test_a_bundle_holds_its_checkpoint(vit_bundle: Bundle, vit_checkpoint: Checkpoint) -> None:
    back = Checkpoint.of_bundle(vit_bundle)
    assert (back.name, back.sha256) == (vit_checkpoint.name, vit_checkpoint.sha256)
    assert same(back, vit_checkpoint)


def test_a_bundle_of_other_graphs_raises_an_error(vit_bundle: Bundle) -> None:
    files = replace(vit_bundle.precisions["fp32"], text="image.onnx")
    with pytest.raises(BundleError, match="holds no named CLIP weights: export it again"):
        Checkpoint.of_bundle(replace(vit_bundle, precisions={"fp32": files}))


def test_half_an_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    data = archive.read_bytes()
    (tmp_path / "half.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExportError, match="cannot be read as a checkpoint"):
        Checkpoint.file(tmp_path / "half.pt")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(2), {"state_dict": {"a": "b"}}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ExportError, match="expected a state dict, a mapping of names to tensors"):
        Checkpoint.file(tmp_path / "other.pt")


def test_other_architectures_are_refused(vit_state: StateDict) -> None:
    without = {name: value for name, value in vit_state.items() if name != "text_projection"}
    scalars = {name: torch.tensor(0.0) for name in vit_state}
    wrong = {**vit_state, "text_projection": torch.zeros(3, 3)}
    for state in ({}, {"weight": torch.zeros(2)}, without, scalars, wrong):
        with pytest.raises(ExportError, match="other is not a checkpoint of OpenAI's CLIP architecture"):
            Checkpoint("other", "0" * 64, state).model()
