"""The service's image: its documented size, without the build's packages, and running without any rights."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builder.export.files import tiny_weights, write_safetensors
from tests.containers.engine import Engine
from tests.support.workspace import free_port

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]  # images are built the first time

LOCKED_IN = (
    "--read-only --tmpfs /tmp:rw,size=64m,mode=1777 --cap-drop ALL --security-opt no-new-privileges "
    "--memory 512m --memory-swap 512m --cpus 1 --pids-limit 128"
)
CURL = "curl --silent --show-error --fail-with-body"
DOG = "builder/demo/emoji/images/noto/1f436.webp"


class Container:
    def __init__(self, engine: Engine, name: str, port: int) -> None:
        self.engine, self.name, self.address = engine, name, f"127.0.0.1:{port}"

    def inside(self, command: str) -> str:
        return self.engine.output(f"docker exec {self.name} {command}")

    def state(self, field: str) -> str:
        return self.engine.output(f"docker inspect --format '{{{{.State.{field}}}}}' {self.name}")

    def search(self, query: str) -> list[str]:
        """Search with curl; return the prompts of the images."""
        results = json.loads(self.engine.output(f"{CURL} {query}"))["results"]
        return [result["prompt"]["text"] for result in results]

    def await_ready(self) -> None:
        url = f"http://{self.address}/readyz"
        self.engine.output(f"{CURL} --retry 60 --retry-delay 1 --retry-all-errors --output /dev/null {url}")


@pytest.fixture(scope="module")
def container(cpu_images: Engine) -> Iterator[Container]:
    port = free_port()
    name = f"prompt-search-{port}"
    cpu_images.output(f"docker run --detach --name {name} --publish 127.0.0.1:{port}:8000 {LOCKED_IN} prompt-search")
    running = Container(cpu_images, name, port)
    try:
        running.await_ready()
        yield running
    except AssertionError as error:
        raise AssertionError(cpu_images.run(f"docker logs {name}").stdout) from error
    finally:
        cpu_images.output(f"docker rm --force --volumes {name}")


def test_a_text_and_an_upload_find_the_demo(container: Container) -> None:
    assert "dog" in container.search(f"'{container.address}/search/images?q=happy+dog&limit=3'")[0]
    assert container.search(f"-F image=@{DOG} -F limit=2 {container.address}/search/images") == ["dog face"] * 2


def test_originals_are_served(container: Container) -> None:
    differences = f"{CURL} {container.address}/images/63301c87dd7301ec4537/file | cmp - {DOG}"
    assert container.engine.output(differences) == ""


def test_the_health_check_passes(container: Container) -> None:
    if container.engine.name == "podman":  # which has no timer without systemd
        container.engine.output(f"podman healthcheck run {container.name}")
    else:
        for _ in range(60):
            if container.state("Health.Status") == "healthy":
                break
            time.sleep(1)
        assert container.state("Health.Status") == "healthy"


def test_container_runs_without_privileges(container: Container) -> None:
    assert container.inside("id -u") == "10001"
    status = container.inside("cat /proc/1/status")
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert container.engine.run(f"docker exec {container.name} touch /opt/prompt-search/x").returncode != 0


def test_available_cores_equal_the_containers_cpus(container: Container) -> None:
    assert (
        container.inside("python -c 'from promptsearch.system.cpus import available_cores; print(available_cores())'")
        == "1"
    )


def test_image_contains_neither_torch_nor_build_tools(container: Container) -> None:
    for module in ("torch", "autofaiss", "builder", "pip", "uv"):
        done = container.engine.run(f"docker exec {container.name} python -c 'import {module}'")
        assert "ModuleNotFoundError" in done.stderr, module
    assert not container.engine.run(f"docker exec {container.name} sh -c 'command -v gcc cc make uv'").stdout


def test_image_size_is_limited(cpu_images: Engine) -> None:
    assert int(cpu_images.output("docker image inspect --format '{{.Size}}' prompt-search")) <= 700_000_000


def test_the_builder_exports_a_checkpoint_as_anyone(cpu_images: Engine, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    write_safetensors(tiny_weights(), tmp_path / "work" / "tiny.safetensors")
    (tmp_path / "work").chmod(0o777)
    locked_in = "--user 12345:12345 --network none --cap-drop ALL --security-opt no-new-privileges"
    exported = cpu_images.output(
        f"docker run --rm {locked_in} --volume {tmp_path / 'work'}:/data/work prompt-search-builder:cpu "
        "export work/tiny.safetensors --out work/models/tiny"
    )
    assert "fp32 against NumPy: text_cosine_min" in exported


def test_sigterm_ends_it_with_0(container: Container) -> None:
    container.engine.output(f"docker stop --time 40 {container.name}")
    assert container.state("ExitCode") == "0"
