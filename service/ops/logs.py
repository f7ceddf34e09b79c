"""The logs, one JSON object per line: errors on standard error, requests on standard output."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from pydantic_core import to_json

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the current request
ACCESS = logging.getLogger("service.access")


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time (ISO 8601, UTC), level, logger, message, then the request's id and a
    traceback if there are any, then the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON of a record, without a line break."""
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


class BufferedHandler(logging.StreamHandler[TextIO]):
    """Writes records of an event loop several times a second, and other records at once.

    Writing a line releases the GIL, and a busy service's event loop then has to wait to get it back.
    """

    _INTERVAL = 0.05  # seconds

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Buffer a record, and write it now or soon."""
        try:
            self._lines.append(self.format(record))
        except Exception:  # as in every handler
            self.handleError(record)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            if len(self._lines) == 1:
                loop.call_later(self._INTERVAL, self.flush)

    def flush(self) -> None:
        """Write the buffer; `logging` also calls it at the end of the process."""
        with self.lock or nullcontext():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(f"{line}\n" for line in lines))
            super().flush()


def configure() -> None:
    """Set up logging for the whole process."""
    errors, requests = logging.StreamHandler(sys.stderr), BufferedHandler(sys.stdout)
    for handler in (errors, requests):
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[errors])
    logging.captureWarnings(capture=True)  # NumPy's, among others
    ACCESS.addHandler(requests)
    ACCESS.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # warns of malformed forms of clients
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # logs what is wrong with a client's file, besides raising
    for name in ("botocore", "aiobotocore"):  # log where they found credentials
        logging.getLogger(name).setLevel(logging.WARNING)
