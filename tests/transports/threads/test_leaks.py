"""Nothing is left over after many connections; the fixture of all these tests looks besides."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import windsock.threads
from tests.behaviour.peer import handshake_request
from tests.certificates import client_context, server_context
from tests.transports.handlers import echo
from windsock.core import HandshakeError, WebSocket

from .running import dial, open_files, open_peer, tcp_address, until, url


def polite(uri: str) -> None:
    with windsock.threads.connect(uri) as ws:
        ws.send("hello")
        ws.receive()


def secure(uri: str) -> None:
    with windsock.threads.connect(uri, ssl_context=client_context()) as ws:
        ws.send("hello")
        ws.receive()


def interrupted(uri: str) -> None:
    with pytest.raises(KeyboardInterrupt), windsock.threads.connect(uri):
        raise KeyboardInterrupt


def rejected(uri: str) -> None:
    with pytest.raises(HandshakeError), windsock.threads.connect(uri):
        pass


async def handler(ws: WebSocket) -> None:
    if ws.request.path == "/reject":
        await ws.reject()
    else:
        await echo(ws)


CLIENTS: list[tuple[Callable[[str], None], str, str, int]] = [
    (polite, "ws", "", 300),
    (secure, "wss", "", 40),
    (interrupted, "ws", "", 100),
    (rejected, "ws", "reject", 100),
]


@pytest.mark.parametrize(("client", "scheme", "path", "count"), CLIENTS)
def test_connections(client: Callable[[str], None], scheme: str, path: str, count: int) -> None:
    context = server_context() if scheme == "wss" else None
    with windsock.threads.serve(handler, ssl_context=context) as server:
        uri = url(server, scheme) + path
        client(uri)
        until(lambda: not server._links and not server._handlers, "a connection is left")
        files, threads = open_files(), threading.active_count()
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(client, [uri] * count))
        until(lambda: not server._links and not server._handlers, "a connection is left")
        until(lambda: open_files() <= files, "files are left")
        until(lambda: threading.active_count() <= threads, "threads are left")


def test_raw_peers_that_vanish() -> None:
    with windsock.threads.serve(handler) as server:
        files = open_files()
        for number in range(100):
            if number % 4 == 2:
                peer = open_peer(server)
            else:
                peer = dial(server)
            if number % 4 == 1:
                peer.send_raw(handshake_request("/")[:40])
            elif number % 4 == 3:
                peer.send_raw(bytes(100))
                peer.read_to_the_end()
            peer.abort()
        until(lambda: not server._links and not server._handlers, "a connection is left")
        until(lambda: open_files() <= files, "files are left")


def test_failed_connects() -> None:
    with windsock.threads.serve(handler) as server:
        for _ in range(20):
            with pytest.raises(OSError):
                secure(url(server, "wss"))
    with pytest.raises(OSError):
        polite(url(server))


def test_clients_share_one_thread() -> None:
    with windsock.threads.serve(handler) as server:
        before = threading.active_count()
        with windsock.threads.connect(url(server)), windsock.threads.connect(url(server)):
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("windsock clients") == 1
        until(lambda: threading.active_count() == before, "a thread is left")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_has_clients_of_its_own() -> None:
    with windsock.threads.serve(handler) as server, windsock.threads.connect(url(server)) as ws:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                polite(url(server))
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        ws.send("the parent's own is unharmed")
        assert ws.receive(10) == "the parent's own is unharmed"


def test_the_address_is_free_again() -> None:
    with windsock.threads.serve(handler) as server:
        polite(url(server))
    with windsock.threads.serve(handler, *tcp_address(server)) as again:
        polite(url(again))


def test_a_client_for_which_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with windsock.threads.serve(handler) as server:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                polite(url(server))
        polite(url(server))
