"""Servers, peers and other threads for the tests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from tests.behaviour.peer import WirePeer, handshake_request
from windsock.core import BlockingWebSocket, WebSocket
from windsock.threads import Server

T = TypeVar("T")

DEADLINE: Final = 20.0
"""Seconds after which anything is overdue; only a failing test takes so long."""


def url(server: Server, scheme: str = "ws") -> str:
    """The URL of a server's first address."""
    host, port = tcp_address(server)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def tcp_address(server: Server) -> tuple[str, int]:
    """The server's first address, which is no Unix socket's."""
    address = server.addresses[0]
    assert isinstance(address, tuple)
    return address


def dial(server: Server, **options: Any) -> WirePeer:
    """A bare connection to a server."""
    return WirePeer(tcp_address(server), **options)


def open_peer(server: Server, target: str = "/", **options: Any) -> WirePeer:
    """A bare connection with an open WebSocket."""
    peer = dial(server, **options)
    peer.open(handshake_request(target))
    assert peer.answer.status == 101
    return peer


def beside(function: Callable[[], T]) -> Future[T]:
    """Run a function on another thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # the thread's boundary: for who asks
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def blocking(ws: WebSocket) -> BlockingWebSocket:
    """For plain functions in a handler."""
    return BlockingWebSocket(ws, ws.link)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that nobody announces."""
    overdue = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < overdue, what
        time.sleep(0.001)


def until_waiting(ws: WebSocket | BlockingWebSocket, count: int = 1) -> None:
    """Wait until as many threads as that wait for news of a WebSocket."""
    channel = (ws._ws if isinstance(ws, BlockingWebSocket) else ws)._channel
    until(lambda: channel.waiting == count, f"{channel.waiting} wait, not {count}")


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
