"""The commands of docs/containers.md, unchanged, and the containers that they start."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from promptsearch.version import __version__
from tests.containers.engine import Engine, compose
from tests.docs.pages import CONTAINERS, blocks, commands
from tests.service.support.load import wait_for
from tests.service.support.paging import paging
from tests.support import source
from tests.support.drawing import as_bytes, picture
from tests.support.workspace import ROOT, free_port, make_workspace

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

PORTS = {"PORT": "8000", "PROXY_PORT": "8080", "PROMETHEUS_PORT": "9090", "GRAFANA_PORT": "3000"}
MANY = 40  # pictures
DEMO, OWN, SCALED, IMAGES = blocks(CONTAINERS, "sh")


@dataclass(frozen=True)
class Checkout:
    """A checkout for a machine without a GPU, according to the page, with free ports instead of the usual ones."""

    engine: Engine
    folder: Path
    ports: dict[str, str]

    def run(self, command: str) -> str:
        for name, usual in PORTS.items():
            command = command.replace(f"localhost:{usual}", f"localhost:{self.ports[name]}")
        return self.engine.output(command, self.folder)

    def run_all(self, block: str) -> dict[str, str]:
        """Run the commands of a block; return what each printed."""
        return {command: self.run(command) for command in commands(block)}

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers."""
        labels = f"label=com.docker.compose.project={self.project} label=com.docker.compose.service={service}"
        filters = " ".join(f"--filter {label}" for label in labels.split())
        return self.engine.output(f"docker ps --quiet {filters}").split()

    @property
    def project(self) -> str:
        return f"prompt-search-{self.ports['PORT']}"


@pytest.fixture(scope="module")
def checkout(cpu_images: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Yield a checkout in which the first block has run; remove its containers and volumes afterwards."""
    folder = make_workspace(tmp_path_factory.mktemp("containers") / "checkout")
    source.write(folder / "sources" / "my-pictures")
    created = Checkout(cpu_images, folder, {name: str(free_port()) for name in PORTS})
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    without_gpu = re.sub(r"^#(COMPOSE_FILE=)", r"\1", example, flags=re.MULTILINE)
    ours = {**created.ports, "COMPOSE_PROJECT_NAME": created.project}
    (folder / ".env").write_text(without_gpu + "".join(f"{name}={value}\n" for name, value in ours.items()))
    try:
        for command, printed in created.run_all(DEMO).items():
            if command.startswith("curl"):
                assert json.loads(printed)["collection"] == "emoji"
        yield created
    finally:
        created.run("docker compose --profile scale --profile observe down --volumes")


def test_limits_are_those_of_the_file(checkout: Checkout) -> None:
    [service] = checkout.containers("service")
    host = json.loads(checkout.engine.output(f"docker inspect {service}"))[0]["HostConfig"]
    limits = compose()["services"]["service"]["deploy"]["resources"]["limits"]
    assert limits == {"cpus": "${SERVICE_CPUS:-2}", "memory": "${SERVICE_MEMORY:-2g}"}
    assert host["Memory"] == 2 * 2**30
    assert host["NanoCpus"] == 2 * 10**9
    assert host["ReadonlyRootfs"]
    assert host["PidsLimit"] == 256


def test_built_collections_are_served(checkout: Checkout, gpu_image: Engine) -> None:
    for command in commands(OWN):
        if " exporter " in command:
            export(command, checkout)
        elif command.startswith("curl"):
            answer = json.loads(checkout.run(command))
            assert answer["collection"] == "mine"
            sources = {result["image"]["source"] for result in answer["results"]}
            assert set(source.PICTURES) <= sources
        else:
            assert "mine" in checkout.run(command)
    [build] = [command for command in commands(OWN) if " builder build " in command]
    [request] = [command for command in commands(OWN) if command.startswith("curl")]
    change(checkout.folder / "sources" / "my-pictures")
    checkout.run(build)  # the next version of what is served already
    for _ in range(60):
        if json.loads(checkout.run(request))["version"] != answer["version"]:
            return
        time.sleep(1)
    raise AssertionError("the service has not picked the new version up")


def change(folder: Path) -> None:
    """Change a manifest without adding or removing an item: a build without changes publishes nothing."""
    manifest = folder / "manifest.csv"
    text = manifest.read_text(encoding="utf-8")
    assert "prompt" in text.splitlines()[0]
    header, rows = text.split("\n", 1)
    manifest.write_text(f"{header},note\n" + rows.replace("\n", ",changed\n"), encoding="utf-8")


def export(command: str, checkout: Checkout) -> None:
    """Run an export as documented; if OpenAI's server cannot be reached, put the demo's model in its place."""
    done = checkout.engine.run(command, checkout.folder)
    if done.returncode:
        assert "cannot be downloaded" in done.stdout + done.stderr
        model = "/opt/prompt-search/models/emoji models/ViT-B-32"
        checkout.run(f"docker compose run --rm --entrypoint cp exporter -r {model}")


def test_no_client_notices_that_a_version_is_replaced_and_a_replica_dies(checkout: Checkout) -> None:
    """Each replica sees the new version at another time, and the one that was killed begins after that."""
    pictures = checkout.folder / "sources" / "many"
    pictures.mkdir()
    for number in range(MANY):
        (pictures / f"{number}.png").write_bytes(as_bytes(picture(number)))
    rows = "".join(f"{number}.png,picture {number}\n" for number in range(MANY))
    (pictures / "manifest.csv").write_text("image,prompt\n" + rows)
    build = "docker compose run --rm builder build manifest sources/many --model /opt/prompt-search/models/emoji"
    checkout.run(f"{build} --collection many")
    checkout.run("docker compose --profile scale up --detach proxy")
    address = f"{checkout.url('PROXY_PORT')}/search/images?collection=many&q="
    for number in range(10):  # of both replicas
        checkout.run(f"curl --silent --fail --retry 60 --retry-delay 1 --retry-all-errors '{address}{number}'")
    with paging(checkout.url("PROXY_PORT"), 3, "many") as read:
        change(pictures)
        checkout.run(f"{build} --collection many")
        wait_for(lambda: len(read.versions) == 2, "serve the new version")
        first, _ = checkout.containers("replica")
        checkout.run(f"docker kill --signal KILL {first}")
        time.sleep(7)  # long enough for it to be tried again, and left out again
        checkout.run(f"docker start {first}")
        time.sleep(5)
    assert read.failed == []
    assert read.mixed == 0
    assert read.rounds > 10
    assert [len(order) for order in read.orders.values()] == [1] * len(read.orders)
    for [ids] in read.orders.values():
        assert len(ids) == len(set(ids)) == MANY


def test_replicas_share_the_work_and_are_watched(checkout: Checkout) -> None:
    *start, end = commands(SCALED)
    for command in start:
        printed = checkout.run(command)
        assert not command.startswith("curl") or json.loads(printed)
    assert len(checkout.containers("replica")) == 2

    with httpx.Client(base_url=checkout.url("PROXY_PORT"), timeout=30) as proxy:
        assert proxy.get("/metrics").status_code == 404
        assert proxy.post("/search/images", files={"image": b"x" * (21 * 2**20)}).status_code == 413
        first, _ = checkout.containers("replica")
        checkout.run(f"docker stop {first}")
        for number in range(10):
            assert proxy.get("/search/images", params={"q": f"dog {number}"}).status_code == 200
        checkout.run(f"docker start {first}")
    wait_for_scrapes(checkout, 3)  # the replicas, and the demo's own

    checkout.run(end)
    assert not checkout.containers("service")


def wait_for_scrapes(checkout: Checkout, count: int) -> None:
    """Wait until Prometheus has found and read so many services."""
    url = checkout.url("PROMETHEUS_PORT") + "/api/v1/query"
    for _ in range(60):
        result = httpx.get(url, params={"query": "sum(up)"}, timeout=30).json()["data"]["result"]
        if result and int(result[0]["value"][1]) == count:
            return
        time.sleep(1)
    raise AssertionError(f"Prometheus reads {result}")


def test_the_images_run_by_themselves(checkout: Checkout) -> None:
    make, run = commands(IMAGES)
    parts = checkout.engine.output("make --dry-run image-cpu image-gpu")  # which are made for these tests
    assert checkout.engine.output(f"{make} --dry-run") == parts
    port = free_port()
    container = checkout.run(run.replace("run ", "run --detach ", 1).replace("8000:8000", f"{port}:8000"))
    retrying = "curl --silent --fail --retry 30 --retry-delay 1 --retry-all-errors"
    answer = json.loads(checkout.run(f"{retrying} 'http://127.0.0.1:{port}/search/images?q=happy+dog'"))
    assert len(answer["results"]) == 20
    checkout.run(f"docker stop {container}")
    [image] = json.loads(checkout.run("docker image inspect prompt-search"))
    labels = {name.rpartition(".")[2]: value for name, value in image["Config"]["Labels"].items()}
    revision = checkout.engine.output("git rev-parse HEAD 2>/dev/null || echo unknown")
    assert (labels["title"], labels["version"], labels["revision"]) == ("prompt-search", __version__, revision)
