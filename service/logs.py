"""The log: JSON, one object a line. What goes wrong is written to standard error, each request to standard output."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from pydantic_core import to_json

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that is being answered
ACCESS = logging.getLogger("service.access")


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time (ISO 8601, UTC), level, logger, message, then the request's id and a traceback
    where there are any, then what the record's `fields` add."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (id := REQUEST_ID.get()) is not None:
            line["request_id"] = id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        line.update(getattr(record, "fields", {}))
        return to_json(line).decode()


def configure() -> None:
    """Set up logging for the whole process."""
    errors, requests = logging.StreamHandler(sys.stderr), logging.StreamHandler(sys.stdout)
    for handler in (errors, requests):
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[errors])
    ACCESS.addHandler(requests)
    ACCESS.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a client's malformed form is no news here
