"""The service's command line: `python -m service --help`."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import CliApp

from promptsearch.errors import PromptSearchError, StartError

from .http.problems import describe
from .ops import logs
from .server.processes import Processes
from .server.server import serve, serve_as_worker
from .settings import Settings, unknown_variables

log = logging.getLogger(__name__)


def greeting(host: str, port: int) -> str:
    """Return what is printed once the service serves."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return f"""
prompt-search is serving at {url}

  curl '{url}/search/images?q=happy+dog'
  curl '{url}/search/prompts?q=happy+dog'
  curl -F image=@cat.png {url}/search/images
  curl -F image=@cat.png -F q=angry {url}/search/images

API documentation: {url}/docs. Ctrl-C stops the service.
"""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises StartError if it cannot be opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise StartError(f"cannot listen on {host} port {port}: {error}; choose another with --port") from error


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, in this process or in several."""
    with listen(settings.host, settings.port) as listening:
        text = greeting(*listening.getsockname()[:2])
        if settings.workers == 1:
            serve(settings, listening, lambda: print(text, flush=True))
        else:
            Processes(settings, listening, serve_as_worker).run(lambda: print(text, flush=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit with 2 for wrong settings and with 1 for a start that fails."""
    logs.configure()
    for line in unknown_variables(os.environ):
        log.warning(line)
    try:
        run(CliApp.run(Settings, cli_args=list(sys.argv[1:] if arguments is None else arguments)))
    except ValidationError as error:
        print(f"error: {describe(error.errors())}", file=sys.stderr)
        sys.exit(2)
    except PromptSearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
