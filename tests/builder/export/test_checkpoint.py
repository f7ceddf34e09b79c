from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import clip.clip
import pytest
import torch

from bench.support.checkpoints import save
from builder.export.checkpoint import Checkpoint, StateDict
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import BundleError, ExportError
from promptsearch.system.files import sha256_of
from tests.builder.export import checkpoints


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


def test_a_bundle_of_other_graphs_holds_none(vit_bundle: Bundle) -> None:
    files = replace(vit_bundle.precisions["fp32"], text="image.onnx")
    with pytest.raises(BundleError, match="holds no named CLIP weights: export it again"):
        Checkpoint.of_bundle(replace(vit_bundle, precisions={"fp32": files}))


# clip's own download leaves files to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_named_model_is_downloaded_once(
    archive: Path, vit_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    copy = Path(shutil.copy(archive, tmp_path / "tiny.pt"))
    checkpoints.offer(monkeypatch, "tiny", copy, sha256_of(copy), tmp_path / "unused")
    checkpoint = Checkpoint.named("tiny")
    assert (checkpoint.name, checkpoint.sha256) == ("tiny", sha256_of(archive))
    assert same(checkpoint, vit_checkpoint)
    shutil.rmtree(tmp_path / checkpoint.sha256)  # what was downloaded is kept
    assert Checkpoint.named("tiny").sha256 == checkpoint.sha256


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_download_that_is_not_what_clip_knows_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    copy = Path(shutil.copy(archive, tmp_path / "tiny.pt"))
    checkpoints.offer(monkeypatch, "tiny", copy, "0" * 64, tmp_path / "unused")
    with pytest.raises(ExportError, match=r"the weights of tiny cannot be downloaded .*pass --checkpoint FILE"):
        Checkpoint.named("tiny")


def test_a_download_that_is_not_there_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(clip.clip._MODELS, "tiny", (tmp_path / ("0" * 64) / "tiny.pt").as_uri())
    with pytest.raises(ExportError, match=r"the weights of tiny cannot be downloaded .*pass --checkpoint FILE"):
        Checkpoint.named("tiny")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(ExportError, match=r"RN50, ViT-B/32\), got ViT-L/14: for any other pass --checkpoint FILE"):
        Checkpoint.named("ViT-L/14")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"there is no checkpoint .*missing\.pt"):
        Checkpoint.file(tmp_path / "missing.pt")


@pytest.mark.parametrize(
    "content", [b"", b"x", b"hello world" * 100, b"PK\x03\x04" + b"\0" * 100, pickle.dumps(Path("x"), 2), b"\x80\x02."]
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(
        ExportError, match=r"bad\.pt cannot be read as a checkpoint|expected a state dict .* in .*bad\.pt"
    ):
        Checkpoint.file(tmp_path / "bad.pt")


def test_half_an_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    data = archive.read_bytes()
    (tmp_path / "half.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExportError, match="cannot be read as a checkpoint"):
        Checkpoint.file(tmp_path / "half.pt")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(2), {"state_dict": {"a": "b"}}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ExportError, match="expected a state dict"):
        Checkpoint.file(tmp_path / "other.pt")


def test_other_architectures_are_refused(vit_state: StateDict) -> None:
    without = {name: value for name, value in vit_state.items() if name != "text_projection"}
    scalars = {name: torch.tensor(0.0) for name in vit_state}
    wrong = {**vit_state, "text_projection": torch.zeros(3, 3)}
    for state in ({}, {"weight": torch.zeros(2)}, without, scalars, wrong):
        with pytest.raises(ExportError, match="other is not a checkpoint of OpenAI's CLIP architecture"):
            Checkpoint("other", "0" * 64, state).model()
