"""The files of the containers, checked without starting one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.containers import engine
from tests.support.workspace import ROOT

BIN = Path(sys.executable).parent
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
KUBERNETES = "1.34"

# Settings that are the container's own business, or that want a file in it.
NOT_IN_COMPOSE = {"host", "port", "cache", "otlp_endpoint"}
STORE = "AWS_"  # what begins so is not the service's own


def check(*command: str | Path, folder: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_dockerfiles_are_linted(kind: str) -> None:
    check(BIN / "hadolint", f"Dockerfile.{kind}")


def test_workflows_are_linted() -> None:
    check(BIN / "jactionlint")


@pytest.mark.parametrize(
    "manifest", [path for path in MANIFESTS if path.name != "kustomization.yaml"], ids=lambda path: path.name
)
def test_kubernetes_manifests_fit_the_schema(manifest: Path) -> None:
    check(BIN / "kubernetes-validate", "--strict", "--kubernetes-version", KUBERNETES, manifest)


def test_the_kustomization_names_every_manifest() -> None:
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert sorted([*kustomization["resources"], "kustomization.yaml"]) == [path.name for path in MANIFESTS]


def test_kubernetes_manifests_match_the_image() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsUser"] == user_of("Dockerfile.cpu")
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")} == {"/readyz"}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert manifest("hpa")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]
    assert (
        manifest("service")["spec"]["selector"].items()
        <= manifest("deployment")["spec"]["template"]["metadata"]["labels"].items()
    )


def manifest(name: str) -> Any:
    return yaml.safe_load((ROOT / "deploy" / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8"))


def user_of(dockerfile: str) -> int:
    return int(re.findall(r"^USER (\d+)$", (ROOT / dockerfile).read_text(), re.MULTILINE)[-1])


def test_compose_passes_every_setting_on() -> None:
    settings = [name for name in engine.compose()["x-settings"] if not name.startswith(STORE)]
    passed = {name.removeprefix("PROMPT_SEARCH_").lower() for name in settings}
    assert passed == set(Settings.model_fields) - NOT_IN_COMPOSE


def test_env_example_names_the_variables_of_compose() -> None:
    files = "".join((ROOT / name).read_text() for name in ("docker-compose.yml", "docker-compose.cpu.yml"))
    example = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+)", files)) <= example
    settings = {f"PROMPT_SEARCH_{name}".upper() for name in Settings.model_fields}
    settings |= set(engine.compose()["x-store"])
    assert example - set(re.findall(r"\$\{([A-Z_]+)", files)) - {"COMPOSE_FILE"} <= settings


@pytest.mark.containers
def test_compose_fits_the_schema(tmp_path: Path) -> None:
    """docker-compose 1 refuses unknown keys. It does not know !reset yet: the rest of the override is read without."""
    if engine.docker_answers():
        check("docker", "compose", "config", "--quiet")
        check("docker", "compose", "-f", "docker-compose.yml", "-f", "docker-compose.cpu.yml", "config", "--quiet")
        return
    if shutil.which("docker-compose") is None and not engine.required():
        pytest.skip("docker-compose, which has the schema, is not here")
    override = (ROOT / "docker-compose.cpu.yml").read_text(encoding="utf-8").replace("!reset ", "")
    (tmp_path / "cpu.yml").write_text(override, encoding="utf-8")
    (tmp_path / "docker-compose.yml").write_text((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    check("docker-compose", "--file", "docker-compose.yml", "config", "--quiet", folder=tmp_path)
    check("docker-compose", "-f", "docker-compose.yml", "-f", "cpu.yml", "config", "--quiet", folder=tmp_path)


def test_mounted_files_exist() -> None:
    for name, service in engine.compose()["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), f"{name}: {source}"


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    services = engine.compose()["services"]
    [source] = yaml.safe_load((ROOT / "deploy" / "grafana" / "datasources.yml").read_text())["datasources"]
    assert re.fullmatch(r"http://(\w+):9090", source["url"])[1] in services  # type: ignore[index]
    [provider] = yaml.safe_load((ROOT / "deploy" / "grafana" / "dashboards.yml").read_text())["providers"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) == provider["options"]["path"]
    assert any(volume.endswith(f":{home}:ro") for volume in services["grafana"]["volumes"])
    variable = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text())["templating"]["list"][0]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])


def test_images_and_tests_have_the_same_packages() -> None:
    def pinned(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        return set(re.findall(r"^[\w.-]+==[^ \\;]+", text, re.MULTILINE))

    for name in ("service", "builder", "export", "stores"):
        assert pinned(name)
        assert pinned(name) <= pinned("dev"), f"requirements/{name}.txt"


def test_images_are_pinned() -> None:
    for image in engine.base_images():
        assert re.search(r":v?\d+\.\d+\.\d+(-|$)", image), f"{image} has no version"
