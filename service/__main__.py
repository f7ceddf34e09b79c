"""The service's command line: `python -m service --help`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import CliApp

from promptsearch.errors import PromptSearchError, StartError
from service import logs
from service.app import create_app
from service.catalogue import Catalogue
from service.draining import Draining
from service.problems import describe
from service.protocol import Protocol
from service.settings import Settings

LEAVE = 0.5  # seconds in which busy clients hear that they should connect elsewhere


class Server(uvicorn.Server):
    """uvicorn that says where to go once it listens, looks for new versions at once on SIGHUP, and takes leave of its
    clients before it ends."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, draining: Draining) -> None:
        super().__init__(config)
        self._app = app
        self._draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._app.state.reloading.ask)
        if self.started and sockets:
            print(greeting(*sockets[0].getsockname()[:2]), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections:
            self._draining.leave()
            await asyncio.sleep(LEAVE)
            await self._stop_listening(sockets or [])
        await super().shutdown(sockets)

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Closing a listening socket resets the connections that wait on it, and what was asked on them: so they are
        accepted first, on a copy that is closed with none left."""
        loop = asyncio.get_running_loop()
        for listening in sockets:
            with listening.dup() as copy:
                copy.setblocking(False)
                for server in self.servers:
                    server.close()
                listening.close()
                with suppress(BlockingIOError):
                    while True:
                        await loop.connect_accepted_socket(self._protocol, copy.accept()[0])
        await asyncio.sleep(LEAVE)

    def _protocol(self) -> Protocol:
        return Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


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


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight."""
    with listen(settings.host, settings.port) as listening:
        app = create_app(settings, Catalogue.open(settings))
        draining = Draining(app)
        config = uvicorn.Config(
            draining,
            log_config=None,
            http=Protocol,
            ws="none",
            log_level="error",  # what uvicorn warns of is what clients sent
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=30,
        )
        # uvicorn stops gracefully and then raises the signal once more: that one ends the process without an error.
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        Server(config, app, draining).run(sockets=[listening])


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    logs.configure()
    try:
        serve(CliApp.run(Settings, cli_args=list(sys.argv[1:] if arguments is None else arguments)))
    except ValidationError as error:
        print(f"error: {describe(error.errors())}", file=sys.stderr)
        sys.exit(2)
    except PromptSearchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
