"""Traces reach an OpenTelemetry collector, here a test's own that keeps them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.service.support.serving import ROOT, START, environment, serving


@contextmanager
def collector(received: list[ExportTraceServiceRequest]) -> Iterator[str]:
    """Yield the address of a collector that appends the exports it receives to `received`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["flag", "OpenTelemetry's variable"])
def test_each_request_is_a_span(indices: Path, models: Path, tmp_path: Path, way: str) -> None:
    received: list[ExportTraceServiceRequest] = []
    flags = ["--indices", str(indices), "--models", str(models)]
    with collector(received) as address:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address} if way != "flag" else {}
        flags += ["--otlp-endpoint", address] if way == "flag" else []
        with serving(tmp_path, flags, settings=environment) as service:
            assert service.get("/search/images", q="fox").status_code == 200
            assert service.get("/healthz").status_code == 200
            assert service.end() == 0
            assert service.errors() == []
    resources = [entry for request in received for entry in request.resource_spans]
    assert {("service.name", "prompt-search")} <= {
        (entry.key, entry.value.string_value) for resource in resources for entry in resource.resource.attributes
    }
    names = {span.name for resource in resources for scope in resource.scope_spans for span in scope.spans}
    assert "GET /search/images" in names
    assert not [name for name in names if "healthz" in name]


WITHOUT = """
import sys
sys.modules["opentelemetry.sdk"] = None  # as if it were not installed
from service.__main__ import main
main()
"""


def test_tracing_without_its_extra_fails_with_a_remedy(indices: Path, models: Path) -> None:
    flags = ["--port", "0", "--indices", str(indices), "--models", str(models), "--otlp-endpoint", "http://127.0.0.1:1"]
    command = [sys.executable, "-c", WITHOUT, *flags]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=START
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot send traces to http://127.0.0.1:1: OpenTelemetry is not installed")
    assert "pip install 'prompt-search[tracing]'" in done.stderr
