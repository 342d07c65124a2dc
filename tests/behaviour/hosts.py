"""The servers that the suite runs over, each on an event loop in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

import hypercorn.asyncio
import hypercorn.config
import hypercorn.trio
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal

import windsock.asgi
import windsock.asyncio
import windsock.threads
import windsock.trio
import windsock.twisted
from tests import reactor_thread
from windsock.core import App, Config

from .memory import MemorySite
from .sites import Site, Switchboard, WireSite
from .sync import TIMEOUT, Gate

LOCALHOST: Final = "127.0.0.1"


class Running(ABC):
    """A server that runs until the context is left."""

    site: Site

    @abstractmethod
    def shutdown(self) -> Future[Any]:
        """Begin a graceful shutdown; done when the server is."""


Start = Callable[[Config], AbstractContextManager[Running]]


class _Server(Running):
    def __init__(self, site: Site, begin_shutdown: Callable[[], Future[Any]]) -> None:
        self.site = site
        self._begin_shutdown = begin_shutdown

    def shutdown(self) -> Future[Any]:
        return self._begin_shutdown()


@contextlib.contextmanager
def _event_loop(backend: str, *, uvloop: bool = False) -> Iterator[BlockingPortal]:
    options = {"use_uvloop": True} if uvloop else {}
    with start_blocking_portal(backend, options) as portal:
        try:
            yield portal
        finally:
            portal.start_task_soon(portal.stop, True).result(TIMEOUT)


def _listen() -> socket.socket:
    """A socket that takes connections from now on, whenever its server comes to accept them."""
    sock = socket.create_server((LOCALHOST, 0), backlog=100)
    sock.setblocking(False)
    return sock


def _address(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return host, port


@contextlib.contextmanager
def _trio(name: str, config: Config) -> Iterator[Running]:
    app = Switchboard()
    with _event_loop("trio") as portal:

        async def serve(*, task_status: Any) -> None:
            await windsock.trio.serve(app, LOCALHOST, 0, config=config, task_status=task_status)

        served, server = portal.start_task(serve)
        site = WireSite(name, config, app, server.addresses[0])

        def shutdown() -> Future[Any]:
            portal.start_task_soon(server.shutdown)
            return served

        yield _Server(site, shutdown)


@contextlib.contextmanager
def _asyncio(name: str, config: Config, *, uvloop: bool) -> Iterator[Running]:
    app = Switchboard()
    with _event_loop("asyncio", uvloop=uvloop) as portal, ExitStack() as stack:
        server = stack.enter_context(
            portal.wrap_async_context_manager(
                windsock.asyncio.serve(app, LOCALHOST, 0, config=config)
            )
        )
        address = server.addresses[0]
        assert isinstance(address, tuple)
        served = portal.start_task_soon(server.serve_forever)

        def shutdown() -> Future[Any]:
            portal.start_task_soon(server.shutdown)
            return served

        yield _Server(WireSite(name, config, app, address), shutdown)


@contextlib.contextmanager
def _twisted(name: str, config: Config) -> Iterator[Running]:
    app = Switchboard()
    with reactor_thread.entered(windsock.twisted.serve(app, config=config)) as server:
        address = server.addresses[0]
        assert isinstance(address, tuple)
        site = WireSite(name, config, app, address)
        yield _Server(site, lambda: reactor_thread.start(server.shutdown))


@contextlib.contextmanager
def _threads(name: str, config: Config) -> Iterator[Running]:
    app = Switchboard()
    with (
        ThreadPoolExecutor(1) as pool,
        windsock.threads.serve(app, config=config) as server,
    ):
        address = server.addresses[0]
        assert isinstance(address, tuple)
        yield _Server(WireSite(name, config, app, address), lambda: pool.submit(server.shutdown))


def _asgi(app: App, config: Config) -> Any:
    return windsock.asgi.ASGI(app, config=config)


@contextlib.contextmanager
def _uvicorn(name: str, config: Config) -> Iterator[Running]:
    app = Switchboard()
    sock = _listen()
    server = uvicorn.Server(
        uvicorn.Config(
            _asgi(app, config),
            ws_max_size=config.max_message_size,
            ws_ping_interval=config.ping_interval,
            ws_ping_timeout=config.ping_timeout,
            timeout_graceful_shutdown=round(config.shutdown_timeout),
            log_config=None,
            access_log=False,
        )
    )
    site = WireSite(name, config, app, _address(sock))
    with sock, _event_loop("asyncio") as portal:
        served = portal.start_task_soon(server.serve, [sock])

        def shutdown() -> Future[Any]:
            server.should_exit = True
            return served

        yield _Server(site, shutdown)
        shutdown().result(TIMEOUT)


@contextlib.contextmanager
def _hypercorn(name: str, config: Config, *, worker: str) -> Iterator[Running]:
    app = Switchboard()
    sock = _listen()
    settings = hypercorn.config.Config()
    address = _address(sock)
    settings.bind = [f"fd://{sock.detach()}"]  # hypercorn closes it
    settings.websocket_max_message_size = config.max_message_size
    if config.ping_interval < Config().ping_interval:
        # Its pinging tasks outlive their connections by up to an interval, so only where tested.
        settings.websocket_ping_interval = config.ping_interval
    # Connections that it has refused or failed are left behind, and awaited as long as this.
    settings.graceful_timeout = min(config.shutdown_timeout, 2)
    settings.errorlog = None
    site = WireSite(name, config, app, address)
    serve: Any = hypercorn.trio.serve if worker == "trio" else hypercorn.asyncio.serve
    with _event_loop(worker) as portal:
        stop = Gate()

        async def run() -> None:
            await serve(_asgi(app, config), settings, shutdown_trigger=stop.wait)

        served = portal.start_task_soon(run)

        def shutdown() -> Future[Any]:
            stop.open()
            return served

        yield _Server(site, shutdown)
        shutdown().result(TIMEOUT)


@contextlib.contextmanager
def _memory(name: str, config: Config) -> Iterator[Running]:
    app = Switchboard()
    with (
        _event_loop("asyncio") as portal,
        portal.wrap_async_context_manager(app.running()),
    ):
        site = MemorySite(name, config, app, _asgi(app, config), portal)

        def shutdown() -> Future[Any]:
            raise NotImplementedError("there is nothing to shut down")

        yield _Server(site, shutdown)


HOSTS: Final[dict[str, Start]] = {
    "trio": lambda config: _trio("trio", config),
    "asyncio": lambda config: _asyncio("asyncio", config, uvloop=False),
    "asyncio+uvloop": lambda config: _asyncio("asyncio+uvloop", config, uvloop=True),
    "twisted": lambda config: _twisted("twisted", config),
    "threads": lambda config: _threads("threads", config),
    "uvicorn": lambda config: _uvicorn("uvicorn", config),
    "hypercorn-asyncio": lambda config: _hypercorn("hypercorn-asyncio", config, worker="asyncio"),
    "hypercorn-trio": lambda config: _hypercorn("hypercorn-trio", config, worker="trio"),
    "memory": lambda config: _memory("memory", config),
}

NATIVE: Final = frozenset({"trio", "asyncio", "asyncio+uvloop", "twisted", "threads"})
"""Hosts that are windsock's own servers, so that it owns the frames."""
