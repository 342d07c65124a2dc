"""An application on a server of its own, from its lifespan's start to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final

from anyio.from_thread import start_blocking_portal

import windsock.asyncio
import windsock.trio
from tests.behaviour.peer import Answer, WirePeer, handshake_request
from tests.behaviour.sync import TIMEOUT
from windsock.core import App

LOCALHOST: Final = "127.0.0.1"


class Served:
    """The running server, as its clients see it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def open(self, target: str) -> WirePeer:
        """Open a WebSocket."""
        peer = WirePeer(self._address)
        peer.open(handshake_request(target))
        assert peer.answer.status == 101
        return peer

    def get(self, target: str) -> Answer:
        """Fetch a page."""
        with WirePeer(self._address) as peer:
            peer.send_raw(f"GET {target} HTTP/1.1\r\nHost: test.example\r\n\r\n".encode())
            return peer.read_answer()


@contextlib.contextmanager
def in_lifespan(app: App, backend: str) -> Iterator[Served]:
    """Serve `app` on trio or asyncio; at the end the server shuts down."""
    with start_blocking_portal(backend) as portal:
        started: Future[Any] = Future()
        serve = {"trio": _trio, "asyncio": _asyncio}[backend]
        served = portal.start_task_soon(serve, app, started)
        address, stop = started.result(TIMEOUT)
        try:
            yield Served(address)
        finally:
            portal.start_task_soon(stop)
            served.result(TIMEOUT)


async def _trio(app: App, started: Future[Any]) -> None:
    import trio

    async with trio.open_nursery() as nursery:
        server = await nursery.start(windsock.trio.serve, app, LOCALHOST, 0)
        started.set_result((server.addresses[0], server.shutdown))


async def _asyncio(app: App, started: Future[Any]) -> None:
    async with windsock.asyncio.serve(app, LOCALHOST, 0) as server:
        started.set_result((server.addresses[0], server.shutdown))
        await server.serve_forever()
