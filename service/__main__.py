"""The service's command line: `python -m service --help`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import CliApp

from promptsearch.errors import PromptSearchError, StartError

from .http.problems import describe
from .ops import logs
from .server.processes import Processes
from .server.server import serve, serve_beside
from .settings import Settings


def greeting(host: str, port: int) -> str:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return f"""
prompt-search is serving at {address}

  curl '{address}/search/images?q=happy+dog'
  curl '{address}/search/prompts?q=happy+dog'
  curl -F image=@cat.png {address}/search/images
  curl -F image=@cat.png -F q=angry {address}/search/images

The API is described at {address}/docs; Ctrl-C ends the service.
"""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises StartError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise StartError(f"cannot listen on {host} port {port}: {error}; choose another with --port") from error


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, in this process or in several."""
    with listen(settings.host, settings.port) as listening:
        greeted = greeting(*listening.getsockname()[:2])
        if settings.workers == 1:
            serve(settings, listening, lambda: print(greeted, flush=True))
        else:
            Processes(settings, listening, serve_beside).run(lambda: print(greeted, flush=True))


def main(arguments: Sequence[str] | None = None) -> None:
    logs.configure()
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
