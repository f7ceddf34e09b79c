"""The builder's image with PyTorch, on a CPU if there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers.engine import Engine
from tests.support import source

# Five gigabytes of PyTorch are unpacked the first time.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def test_gpu_image_builds_a_collection_with_pytorch(gpu_image: Engine, tmp_path: Path) -> None:
    source.write(tmp_path / "pictures")
    indices = tmp_path / "indices"
    indices.mkdir()
    indices.chmod(0o777)  # the container's user is another than ours
    locked_in = "--cap-drop ALL --security-opt no-new-privileges"
    mounted = f"--volume {tmp_path / 'pictures'}:/data/pictures:ro --volume {indices}:/data/indices"
    built = gpu_image.output(
        f"docker run --rm {locked_in} {mounted} prompt-search-builder:gpu build manifest pictures --engine torch "
        "--model /opt/prompt-search/models/emoji --collection mine"
    )
    assert "published mine" in built
    assert (indices / "mine" / "current").is_file()


def test_gpu_image_has_pytorch_for_cuda(gpu_image: Engine) -> None:
    code = "import torch; print(torch.version.cuda)"
    image = "--entrypoint python prompt-search-builder:gpu"
    assert gpu_image.output(f"docker run --rm {image} -c '{code}'").startswith("13.")
