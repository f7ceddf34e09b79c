"""Traces for an OpenTelemetry collector, by OpenTelemetry's own instrumentation; only where a collector is named."""

from __future__ import annotations

from fastapi import FastAPI

from promptsearch.errors import StartError


def trace(app: FastAPI, endpoint: str) -> None:
    """Send a span of each request to the collector at `endpoint` (OTLP over HTTP), at the latest when the process ends.

    What else there is to set, OpenTelemetry reads from its own OTEL_* variables. Raises StartError where the extra
    `tracing` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise StartError(
            f"traces are to be sent to {endpoint}, but OpenTelemetry is not installed ({error}): "
            "pip install 'prompt-search[tracing]', or leave --otlp-endpoint and OTEL_EXPORTER_OTLP_ENDPOINT out"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "prompt-search"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # Probes and scrapes come every few seconds and tell nothing.
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="healthz,readyz,metrics")
