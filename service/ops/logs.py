"""The log: JSON, one object a line. What goes wrong is written to standard error, each request to standard output."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

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


class GatheringHandler(logging.StreamHandler[TextIO]):
    """Writes some times a second what an event loop has logged meanwhile, and at once what is logged outside of one.

    Writing each line would give up the interpreter's lock each time, and a busy service's event loop then waits to get
    it back.
    """

    _EVERY = 0.05  # seconds

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:  # as every handler does
            self.handleError(record)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            if len(self._lines) == 1:
                loop.call_later(self._EVERY, self.flush)

    def flush(self) -> None:
        """Also called by `logging` at the end of the process."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(f"{line}\n" for line in lines))
            super().flush()


def configure() -> None:
    """Set up logging for the whole process."""
    errors, requests = logging.StreamHandler(sys.stderr), GatheringHandler(sys.stdout)
    for handler in (errors, requests):
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[errors])
    ACCESS.addHandler(requests)
    ACCESS.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a client's malformed form is no news here
    for name in ("botocore", "aiobotocore"):  # where each found its credentials
        logging.getLogger(name).setLevel(logging.WARNING)
