"""Counters and timings for Prometheus, of one process or of all workers together."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from promptsearch.engines.stages import STAGES, StageName

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# The folder in which workers share their metrics. prometheus_client reads the variable as it is imported, so the
# process that starts them sets it: see service/server/processes.py.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

UNKNOWN = "unknown"  # the route or method of a request that matches none

# Seconds: from a cached text's fraction of a millisecond to a deadline's seconds.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Names before they were changed, exported too until the release after 0.1.
_OLD_NAMES = {
    "prompt_search_admitted_requests": "prompt_search_queue_depth",
    "prompt_search_request_duration_seconds": "prompt_search_request_seconds",
}


class Metrics:
    """Counters, gauges and histograms of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "prompt_search_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.request_duration = Histogram(
            "prompt_search_request_duration_seconds",
            "Seconds from a request's first byte to its response's last",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "prompt_search_stage_seconds",
            "Seconds of each stage of a search",
            ("stage",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = self._gauge("in_flight", "Requests in progress")
        self.admitted_requests = self._gauge("admitted_requests", "Requests admitted, running or waiting")
        self.cache_lookups = Counter(
            "prompt_search_cache_lookups",
            "Lookups by cache and outcome: hit, miss, shared (computed for another request)",
            ("cache", "outcome"),
            registry=self.registry,
        )
        self.rejected = Counter(
            "prompt_search_rejected", "Requests rejected, by reason", ("reason",), registry=self.registry
        )
        self.version = Gauge(
            "prompt_search_version_info",
            "1 for the version of each collection that is served",
            ("collection", "version"),
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.reload_failures = Counter(
            "prompt_search_reload_failures",
            "New versions that could not be served",
            ("collection",),
            registry=self.registry,
        )
        for stage in STAGES:  # so that each is exported, at zero, before the first search
            self.stage_seconds.labels(stage)
        self._shared = os.environ.get(SHARED_FOLDER)
        self._versions: dict[str, str] = {}
        self._exported = _exported(self.registry, self._shared)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Time a stage, in any thread."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(name).observe(time.perf_counter() - started)

    def cache_lookup(self, cache: str, outcome: Literal["hit", "miss", "shared"]) -> None:
        """Count a lookup."""
        self.cache_lookups.labels(cache, outcome).inc()

    def serves(self, collection: str, version: str) -> None:
        """Record the version of a collection that is served from now on."""
        previous = self._versions.get(collection)
        self._versions[collection] = version
        if previous is not None and self._shared:
            self.version.labels(collection, previous).set(0)  # what workers share cannot be removed
        elif previous is not None:
            self.version.remove(collection, previous)
        self.version.labels(collection, version).set(1)

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text format (MEDIA_TYPE)."""
        return generate_latest(self._exported)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        """Return a gauge that is the sum of those of all workers."""
        return Gauge(f"prompt_search_{name}", documentation, multiprocess_mode="livesum", registry=self.registry)


def _exported(registry: CollectorRegistry, shared: str | None) -> CollectorRegistry:
    """Return what `/metrics` shows of a registry: of this process alone, or of all that share a folder."""
    if shared is None:
        ProcessCollector(registry=registry)
        collectors: list[Collector] = [registry]
    else:
        workers = MultiProcessCollector(None, shared)  # type: ignore[no-untyped-call]
        collectors = [workers, _Processes(Path(shared))]
    exported = CollectorRegistry()
    exported.register(_WithOldNames(collectors))
    return exported


class _WithOldNames(Collector):
    """All metrics, those that were renamed by both names."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for metric in collector.collect():
                yield metric
                if old_name := _OLD_NAMES.get(metric.name):
                    old = Metric(old_name, f"Use {metric.name} instead", metric.type)
                    old.samples = [
                        sample._replace(name=old_name + sample.name.removeprefix(metric.name))
                        for sample in metric.samples
                    ]
                    yield old


class _Processes(Collector):
    """CPU time, memory and open files of all workers: the sum, or the maximum of start time and file limit."""

    _LARGEST = ("process_start_time_seconds", "process_max_fds")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, Metric] = {}
        for file in self._folder.glob("gauge_livesum_*.db"):  # removed when its process has ended
            pid = file.stem.rpartition("_")[2]
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                combined = metrics.setdefault(metric.name, metric)
                if combined is not metric:
                    ours, theirs = combined.samples[0], metric.samples[0].value
                    value = max(ours.value, theirs) if metric.name in self._LARGEST else ours.value + theirs
                    combined.samples = [ours._replace(value=value)]
        yield from metrics.values()
