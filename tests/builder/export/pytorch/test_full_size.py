"""The whole way at the size that people use: ViT-B/32 and RN50 with random weights, and with OpenAI's where they can be
had.

Random weights have no activations like a trained model's: they prove that the graphs compute what PyTorch does and that
8 bits are carried through, not how faithful 8 bits are to weights that were trained.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.support.checkpoints import RN50, VIT_B_32, random_state, save
from builder.encode.engines import TorchEngine
from builder.export.export import export
from builder.export.named import open_named
from builder.export.published.models import table
from builder.export.pytorch.checkpoint import Checkpoint
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from tests.builder.export.files import stored_bytes
from tests.builder.export.pytorch.conftest import Transform
from tests.builder.export.pytorch.parity import ENGINES_COSINE, check_images, check_pixels, check_texts, check_tokens
from tests.support.drawing import picture
from tests.support.texts import TEXTS

SIZES = ((224, 224), (640, 427), (333, 777), (50, 60))


Exported = tuple[Bundle, Checkpoint]


@pytest.fixture(scope="module", params=["ViT-B/32", "RN50"])
def random(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("full-size")
    state = random_state({"ViT-B/32": VIT_B_32, "RN50": RN50}[request.param])
    checkpoint = Checkpoint.file(save(state, folder / "random.pt"))
    return export(checkpoint, folder / "models" / request.param.replace("/", "-"), precision="int8"), checkpoint


def check(bundle: Bundle, checkpoint: Checkpoint, transform: Transform) -> None:
    """Compare tokens, pixels and vectors of the bundle, which alone is read, with CLIP's own."""
    encoders = Encoders(Bundle.open(bundle.folder))
    for text in TEXTS:
        check_tokens(encoders.tokenizer, text)
    for seed, (width, height) in enumerate(SIZES):
        check_pixels(encoders.preprocessing, transform, picture(seed, width, height))
    model = checkpoint.model()
    check_texts(encoders, model)
    check_images(encoders, model, transform)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_random_weights_are_faithful_end_to_end(random: Exported, clip_transform: Callable[[int], Transform]) -> None:
    bundle, checkpoint = random
    text = "text transformer 12 x 512"
    assert (bundle.architecture, bundle.embedding_dim, bundle.image.size) in (
        (f"CLIP ViT/32 12 x 768, {text}", 512, 224),
        (f"CLIP ModifiedResNet 3-4-6-3 x 64, {text}", 1024, 224),
    )
    assert min(bundle.precisions["fp32"].fidelity.values()) >= 0.99999
    # Half the weights' size in fp32: the checkpoint's matrices are in half precision once clip has read them.
    assert bundle.path("image.onnx").stat().st_size < 200e6
    check(bundle, checkpoint, clip_transform(224))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_random_weights_in_8_bits_are_half_as_large_and_near(random: Exported) -> None:
    bundle, _ = random
    bundle.verify()
    for tower, share in (("text", 0.4), ("image", 0.56)):
        fp32, int8 = (stored_bytes(bundle, f"{tower}{kind}.onnx") for kind in ("", ".int8"))
        assert int8 < share * fp32
    fidelity = bundle.precisions["int8"].fidelity
    assert all(fidelity[f"{tower}_cosine_mean"] >= 0.99 for tower in ("text", "image"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_token_embedding_is_mapped_and_not_copied(random: Exported, precision: str) -> None:
    bundle, _ = random
    code = (
        "import sys; from pathlib import Path; from promptsearch.encoding.bundle import Bundle\n"
        "from promptsearch.encoding.encoders import Encoders\n"
        "encoders = Encoders(Bundle.open(Path(sys.argv[1])), precision=sys.argv[2])\n"
        "encoders.encode_texts(sys.argv[3:])\n"
        "print(Path('/proc/self/smaps').read_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle.folder), precision, *TEXTS],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    data = bundle.path(f"{bundle.precisions[precision].text}.data")
    found = re.findall(rf"{re.escape(str(data.resolve()))}\n(?:\w.*\n)*?Anonymous: +(\d+) kB", done.stdout)
    assert found
    assert set(found) == {"0"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_engines_embed_the_same_with_random_weights(random: Exported) -> None:
    bundle, _ = random
    encoders, engine = Encoders(bundle), TorchEngine(bundle)
    crops = np.stack([np.asarray(engine.preprocessing.crop(picture(seed, 300, 224))) for seed in range(3)])
    assert np.vecdot(engine.encode_texts(TEXTS), encoders.encode_texts(TEXTS)).min() >= ENGINES_COSINE
    assert np.vecdot(engine.encode_crops(crops), encoders.encode_crops(crops)).min() >= ENGINES_COSINE


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
def test_openais_vit_b_32_is_faithful_end_to_end(tmp_path: Path, clip_transform: Callable[[int], Transform]) -> None:
    path = Path("~/.cache/clip/ViT-B-32.pt").expanduser()
    if not path.is_file() and (reason := unreachable(str(table()["ViT-B/32"].url))):
        pytest.skip(f"OpenAI's weights cannot be downloaded: {reason}")
    opened = open_named("ViT-B/32")
    bundle = export(opened.checkpoint, tmp_path / "models" / "vit-b-32", licence=opened.licence)
    checkpoint = Checkpoint.of_bundle(bundle)
    # The hash that is part of the address that OpenAI publishes them at.
    assert bundle.source.sha256 == "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
    assert min(bundle.precisions["fp32"].fidelity.values()) >= 0.99999
    check(bundle, checkpoint, clip_transform(224))


def unreachable(address: str) -> str | None:
    """Return why an address cannot be reached, or None if it can. Takes ten seconds at most."""
    # In a process of its own, since looking up a name can hang for longer than any time-out of ours.
    code = (
        "import sys, urllib.request as r;"
        "print(r.urlopen(r.Request(sys.argv[1], method='HEAD'), timeout=5).headers['Content-Length'])"
    )
    try:
        probe = subprocess.run(
            [sys.executable, "-c", code, address], capture_output=True, text=True, check=False, timeout=10
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    return probe.stderr.strip().splitlines()[-1] if probe.returncode else None
