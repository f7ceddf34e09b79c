"""The engine that runs the images: docker if its daemon answers, else podman and buildah under docker's name.

The latter need no daemon and no registry: the images that ours begin from are laid out from Debian packages
(`stand_in.sh`), once, in a folder that is kept with all layers, so that a second run takes a fraction of the first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promptsearch.system.locks import exclusive_lock
from tests.support.workspace import ROOT

HERE = Path(__file__).parent
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prompt-search" / "containers"
BUILD = 1500  # seconds that a command may take: PyTorch's image is large
NEEDED = ("podman", "buildah", "debootstrap", "runc", "iptables", "netavark", "aardvark-dns")

# No systemd, no cgroup delegation and no raising of limits is taken for granted: it may itself run in a container.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=2048:2048"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@dataclass(frozen=True)
class Engine:
    """Commands as a user of docker types them, in an environment in which they work."""

    name: str  # docker | podman
    environment: dict[str, str]

    def run(self, command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD,
        )

    def output(self, command: str, folder: Path = ROOT) -> str:
        """Run a command that must succeed; return its output."""
        done = self.run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


def required() -> bool:
    """Return whether a test that cannot run here fails instead of being skipped."""
    return os.environ.get("PROMPT_SEARCH_CONTAINERS") == "required"


def missing() -> str:
    """Return what is missing to run containers here; empty if nothing is."""
    if docker_answers():
        return ""
    places = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/lib/podman"])
    absent = [name for name in NEEDED if shutil.which(name, path=places) is None]
    if absent:
        return f"neither docker nor {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "no docker, and podman is used as root only"


@contextmanager
def started() -> Iterator[Engine]:
    """Yield the engine, ready to build from the images that our files name; one session at a time may use KEPT."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(KEPT / "lock"):
        yield _start()


def _start() -> Engine:
    programs = os.environ["PATH"].split(os.pathsep)
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), *programs])}
    if docker_answers():
        return Engine("docker", environment)
    scratch = KEPT / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # what a build that was ended has left
    # Where buildah keeps what is mounted at /root/.cache/uv: nothing is downloaded that this machine has.
    mounted = scratch / "buildah-cache" / "root" / ".cache" / "uv"
    mounted.parent.mkdir(parents=True, exist_ok=True)
    uv_cache = Path(subprocess.check_output(["uv", "cache", "dir"], env=environment, text=True).strip())
    uv_cache.mkdir(parents=True, exist_ok=True)
    mounted.symlink_to(uv_cache)
    (KEPT / "uv.toml").write_text("system-certs = true\n")
    (KEPT / "containers.conf").write_text(CONTAINERS_CONF)
    (KEPT / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{KEPT / "storage"}"\nrunroot = "/run/prompt-search-containers"\n'
    )
    environment |= {
        "PATH": os.pathsep.join([str(HERE / "podman"), environment["PATH"]]),
        "CONTAINERS": str(KEPT),
        "CONTAINERS_CONF": str(KEPT / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(KEPT / "storage.conf"),
        "TMPDIR": str(scratch),
    }
    engine = Engine("podman", environment)
    engine.output("buildah rm --all && podman image prune --force --filter until=168h")
    engine.output(" ".join([str(HERE / "stand_in.sh"), str(KEPT), *base_images()]))
    return engine


def base_images() -> list[str]:
    """Return the images of Python and CUDA, and those of others in the compose file: Caddy, Prometheus, Grafana."""
    services = compose()["services"]
    return [
        *(
            re.findall(r"^ARG \w+_IMAGE=(\S+)$", (ROOT / f"Dockerfile.{kind}").read_text(), re.MULTILINE)[0]
            for kind in ("cpu", "gpu")
        ),
        *(services[name]["image"] for name in ("proxy", "prometheus", "grafana")),
    ]


def compose() -> Any:
    """Return the parsed docker-compose.yml."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=60).returncode == 0
