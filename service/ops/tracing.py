"""Traces for an OpenTelemetry collector, by OpenTelemetry's own instrumentation; only if an endpoint is set."""

from __future__ import annotations

from fastapi import FastAPI

from promptsearch.errors import StartError


def trace(app: FastAPI, endpoint: str) -> None:
    """Send a span of each request to the collector at `endpoint` (OTLP over HTTP), the last ones as the process ends.

    OpenTelemetry reads further settings from its own OTEL_* variables. Raises StartError if the extra `tracing` is not
    installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise StartError(
            f"cannot send traces to {endpoint}: OpenTelemetry is not installed ({error}). Run "
            "pip install 'prompt-search[tracing]', or set neither --otlp-endpoint nor OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "prompt-search"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # Probes and scrapes arrive every few seconds and are of no interest.
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="healthz,readyz,metrics")
