"""windsock's servers, each listening in every way that clients try."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

import uvicorn

from tests import reactor_thread
from tests.certificates import client_context, server_context
from windsock.core import Config, Deflate

from .app import app
from .loops import TIMEOUT, event_loop
from .places import LOCALHOST, Directory, Place, authority, listen

Places = dict[str, Place]
"""By kind: tcp, tls, unix, ipv6, deflate, deflate-no-takeover."""

Start = Callable[[Directory, bool], AbstractContextManager[Places]]

DEFLATE: Final = Config(compression=Deflate())
NO_TAKEOVER: Final = Config(
    compression=Deflate(server_no_context_takeover=True, client_no_context_takeover=True)
)


def _variants(directory: Directory, ipv6: bool) -> dict[str, dict[str, Any]]:
    """How to call `serve` for each kind of place."""
    found: dict[str, dict[str, Any]] = {
        "tcp": {"host": LOCALHOST},
        "tls": {"host": LOCALHOST, "ssl_context": server_context()},
        "unix": {"unix": directory.socket_path()},
        "deflate": {"host": LOCALHOST, "config": DEFLATE},
        "deflate-no-takeover": {"host": LOCALHOST, "config": NO_TAKEOVER},
    }
    if ipv6:
        found["ipv6"] = {"host": "::1"}
    return found


def _place(kind: str, server: Any) -> Place:
    (address,) = server.addresses
    if isinstance(address, str):
        return Place("localhost", unix=address)
    return Place(authority(address), tls=client_context() if kind == "tls" else None)


@contextlib.contextmanager
def _trio(directory: Directory, ipv6: bool) -> Iterator[Places]:
    import windsock.trio

    with event_loop("trio") as portal:
        places: Places = {}
        running = []
        for kind, options in _variants(directory, ipv6).items():

            async def serve(*, task_status: Any, options: dict[str, Any] = options) -> None:
                await windsock.trio.serve(app, task_status=task_status, **options)

            done, server = portal.start_task(serve)
            running.append((server, done))
            places[kind] = _place(kind, server)
        yield places
        for server, done in running:
            portal.call(server.shutdown)
            done.result(TIMEOUT)  # raises what has ended it, if it was not the shutdown


@contextlib.contextmanager
def _asyncio(directory: Directory, ipv6: bool, *, uvloop: bool) -> Iterator[Places]:
    import windsock.asyncio

    with event_loop("asyncio", uvloop=uvloop) as portal, ExitStack() as stack:
        places: Places = {}
        for kind, options in _variants(directory, ipv6).items():
            serving = portal.wrap_async_context_manager(windsock.asyncio.serve(app, **options))
            places[kind] = _place(kind, stack.enter_context(serving))
        yield places


@contextlib.contextmanager
def _twisted(directory: Directory, ipv6: bool) -> Iterator[Places]:
    import windsock.twisted

    tls = windsock.twisted.make_tls_context(str(directory.certificate), str(directory.certificate))
    with ExitStack() as stack:
        places: Places = {}
        for kind, options in _variants(directory, ipv6).items():
            if "ssl_context" in options:
                options = {"host": options["host"], "tls": tls}
            serving = reactor_thread.entered(windsock.twisted.serve(app, **options))
            places[kind] = _place(kind, stack.enter_context(serving))
        yield places


@contextlib.contextmanager
def _threads(directory: Directory, ipv6: bool) -> Iterator[Places]:
    import windsock.threads

    with ExitStack() as stack:
        yield {
            kind: _place(kind, stack.enter_context(windsock.threads.serve(app, **options)))
            for kind, options in _variants(directory, ipv6).items()
        }


@contextlib.contextmanager
def _uvicorn(directory: Directory, ipv6: bool, *, ws: str) -> Iterator[Places]:
    import windsock.asgi

    sockets = listen(directory, ipv6=ipv6)
    plain = sockets.plain()
    deflate = socket.create_server((LOCALHOST, 0), backlog=100)
    common: dict[str, Any] = {"ws": ws, "log_config": None, "access_log": False}
    certificate = str(directory.certificate)
    servers: list[tuple[list[socket.socket], dict[str, Any]]] = [
        ([*plain], {"ws_per_message_deflate": False}),
        ([sockets.tls], {"ws_per_message_deflate": False, "ssl_certfile": certificate}),
        ([deflate], {"ws_per_message_deflate": True}),
    ]
    with event_loop("asyncio") as portal:
        running = []
        for socks, options in servers:
            config = uvicorn.Config(windsock.asgi.ASGI(app), **common, **options)
            server = uvicorn.Server(config)
            running.append((server, portal.start_task_soon(server.serve, socks)))
        yield {**sockets.places(), "deflate": Place(authority(deflate.getsockname()))}
        for server, done in running:
            server.should_exit = True
            done.result(TIMEOUT)


OUR_SERVERS: Final[dict[str, Start]] = {
    "trio": _trio,
    "asyncio": functools.partial(_asyncio, uvloop=False),
    "asyncio+uvloop": functools.partial(_asyncio, uvloop=True),
    "twisted": _twisted,
    "threads": _threads,
    "uvicorn-websockets": functools.partial(_uvicorn, ws="websockets-sansio"),
    "uvicorn-wsproto": functools.partial(_uvicorn, ws="wsproto"),
}
