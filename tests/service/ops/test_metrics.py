"""`/metrics`, as Prometheus reads it, and its dashboard."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from promptsearch.engines.stages import STAGES
from promptsearch.search.collection import Collection
from service.ops.metrics import Metrics
from tests.service.support.load import wait_for
from tests.service.support.serving import ROOT, Service, serving

DASHBOARD = ROOT / "docs" / "grafana-dashboard.json"
Labels = frozenset[tuple[str, str]]


def samples(service: Service, headers: dict[str, str] | None = None) -> dict[tuple[str, Labels], float]:
    answer = httpx.get(f"{service.url}/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def counted(service: Service, name: str, headers: dict[str, str] | None = None, **labels: str) -> float:
    return samples(service, headers).get((f"prompt_search_{name}", frozenset(labels.items())), 0.0)


def test_requests_are_counted_by_route_and_status(server: Service) -> None:
    for path, route, status in (
        ("/search/images?q=fox", "/search/images", "200"),
        ("/search/images?limit=0", "/search/images", "400"),
        ("/images/unknown", "/images/{id}", "404"),
        ("/invented/by/a/client", "unknown", "404"),
        ("/style.css", "/style.css", "200"),
    ):
        before = counted(server, "requests_total", method="GET", route=route, status=status)
        httpx.get(server.url + path)
        assert counted(server, "requests_total", method="GET", route=route, status=status) == before + 1
        assert counted(server, "request_duration_seconds_count", route=route) >= before + 1


def test_unknown_methods_create_no_series(server: Service) -> None:
    httpx.request("PROPFIND", f"{server.url}/healthz")
    assert not [labels for _, labels in samples(server) if ("method", "PROPFIND") in labels]


def test_in_flight_counts_the_metrics_request_itself(server: Service) -> None:
    assert counted(server, "in_flight") == 1


def test_renamed_metrics_keep_their_old_names(server: Service) -> None:
    server.get("/healthz")
    exported = samples(server)
    new_name, old_name = "prompt_search_request_duration_seconds", "prompt_search_request_seconds"
    renamed = {key: value for key, value in exported.items() if key[0].startswith(new_name)}
    assert (f"{new_name}_count", frozenset({("route", "/healthz")})) in renamed
    for (name, labels), value in renamed.items():
        assert exported[name.replace(new_name, old_name), labels] == value
    assert counted(server, "queue_depth") == counted(server, "admitted_requests") == 0


def test_several_workers_answer_with_the_metrics_of_all(indices: Path, models: Path, tmp_path: Path) -> None:
    flags = ("--indices", str(indices), "--models", str(models), "--workers", "2")
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    with serving(tmp_path, flags) as service:
        for _ in range(16):  # each on a connection of its own, which either process takes
            assert service.get("/healthz").status_code == 200
        wait_for(lambda: counted(service, "requests_total", None, **labels) == 16, "count all requests")
        for _ in range(5):
            exported = samples(service)
            assert exported["prompt_search_requests_total", frozenset(labels.items())] == 16
            assert exported["prompt_search_request_seconds_count", frozenset({("route", "/healthz")})] == 16
            assert {value for (name, _), value in exported.items() if name == "prompt_search_version_info"} == {1}
        workers = children(service.process.pid)
        assert len(workers) == 2
        largest = max(resident(pid) for pid in workers)
        assert samples(service)["process_resident_memory_bytes", frozenset()] > 1.5 * largest
        assert service.end() == 0
    assert not service.errors()


def children(pid: int) -> list[int]:
    """Return the ids of the processes that serve: `multiprocessing` also starts one that tracks resources."""
    ids = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(id) for id in ids if b"spawn_main" in Path(f"/proc/{id}/cmdline").read_bytes()]


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def test_version_info_names_the_served_version(server: Service, tiny: Collection) -> None:
    assert counted(server, "version_info", collection="tiny", version=tiny.version) == 1


def test_a_new_version_takes_the_place_of_the_old_one() -> None:
    metrics = Metrics()
    metrics.serves("a", "1")
    metrics.serves("a", "2")
    metrics.serves("b", "1")
    shown = re.findall(r'^prompt_search_version_info\{collection="(.)",version="(.)"\} 1', text(metrics), re.MULTILINE)
    assert shown == [("a", "2"), ("b", "1")]


def test_every_stage_is_exported_from_the_start() -> None:
    stages = re.findall(r'^prompt_search_stage_seconds_count\{stage="([^"]+)"\} 0.0$', text(Metrics()), re.MULTILINE)
    assert tuple(stages) == STAGES


def test_a_stage_is_timed_even_if_it_fails() -> None:
    metrics = Metrics()
    for _ in range(2):
        try:
            with metrics.stage("decode"):
                raise ValueError
        except ValueError:
            pass
    assert 'prompt_search_stage_seconds_count{stage="decode"} 2.0' in text(metrics)


def text(metrics: Metrics) -> str:
    return metrics.exposition().decode()


def test_the_dashboard_uses_existing_metrics() -> None:
    metrics = Metrics()
    names = {family.name for family in metrics.registry.collect()}
    names |= {f"{name}{suffix}" for name in names for suffix in ("_total", "_bucket", "_count", "_sum")}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            shown = set(re.findall(r"\b(?:prompt_search|process)_\w+", target["expr"]))
            assert shown, panel["title"]
            assert shown <= names


def test_the_dashboard_leaves_none_out() -> None:
    shown = DASHBOARD.read_text(encoding="utf-8")
    ours = [family.name for family in Metrics().registry.collect() if family.name.startswith("prompt_search_")]
    assert [name for name in ours if name not in shown] == []
