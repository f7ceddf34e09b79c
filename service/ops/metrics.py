"""What the service counts and times, for Prometheus to read at `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from promptsearch.engines.stages import STAGES, StageName

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

UNKNOWN = "unknown"  # the route or method of a request that has none of ours

# Seconds: from a cached text's fraction of a millisecond to a deadline's seconds.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters, gauges and histograms of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "prompt_search_requests", "Answered requests", ("method", "route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "prompt_search_request_seconds",
            "From a request's first byte to its answer's last",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "prompt_search_stage_seconds",
            "What a search spends its time on",
            ("stage",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("prompt_search_in_flight", "Requests that are being answered", registry=self.registry)
        self.queue_depth = Gauge("prompt_search_queue_depth", "Accepted work that waits", registry=self.registry)
        self.cache_lookups = Counter(
            "prompt_search_cache_lookups",
            "By cache and outcome: hit, miss, shared (being computed for another)",
            ("cache", "outcome"),
            registry=self.registry,
        )
        self.rejected = Counter(
            "prompt_search_rejected", "Requests turned away, by reason", ("reason",), registry=self.registry
        )
        self.version = Gauge(
            "prompt_search_version_info",
            "1 for the version of each collection that is served",
            ("collection", "version"),
            registry=self.registry,
        )
        self.reload_failures = Counter(
            "prompt_search_reload_failures", "New versions that were refused", ("collection",), registry=self.registry
        )
        for stage in STAGES:  # so that each is there, at zero, before the first search
            self.stage_seconds.labels(stage)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Times what it encloses, whatever thread that runs in."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(name).observe(time.perf_counter() - started)

    def cache_lookup(self, cache: str, outcome: Literal["hit", "miss", "shared"]) -> None:
        self.cache_lookups.labels(cache, outcome).inc()

    def serves(self, collection: str, version: str) -> None:
        """`version` is now the one of `collection` that is served."""
        self.version.remove_by_labels({"collection": collection})
        self.version.labels(collection, version).set(1)

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format (MEDIA_TYPE)."""
        return generate_latest(self.registry)
