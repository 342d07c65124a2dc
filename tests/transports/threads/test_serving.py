"""Where `serve` listens, how it is shut down, and how much it takes on."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator

import pytest

import windsock.threads
from tests.behaviour.peer import Close, WirePeer, handshake_request
from tests.behaviour.sync import Gate, Observed
from tests.transports.handlers import echo, hold
from windsock.core import App, Config, Disconnected, Request, Response, WebSocket

from .running import DEADLINE, beside, blocking, dial, open_peer, tcp_address, until, url


def assert_echo(uri: str, **options: object) -> None:
    with windsock.threads.connect(uri, **options) as ws:  # type: ignore[arg-type]  # any of them
        ws.send("hello")
        assert ws.receive(DEADLINE) == "hello"


# Where


def test_the_server_has_its_addresses() -> None:
    with windsock.threads.serve(echo) as server:
        host, port = tcp_address(server)
        assert host == "127.0.0.1"
        assert port > 0
        assert_echo(url(server))


def test_ipv6(has_ipv6: None) -> None:
    with windsock.threads.serve(echo, "::1") as server:
        assert tcp_address(server)[0] == "::1"
        assert_echo(url(server))


def test_every_interface(has_ipv6: None) -> None:
    with windsock.threads.serve(echo, None) as server:
        addresses = [address for address in server.addresses if isinstance(address, tuple)]
        assert {host for host, _ in addresses} == {"0.0.0.0", "::"}
        for host, port in addresses:
            near = "[::1]" if host == "::" else "127.0.0.1"
            assert_echo(f"ws://{near}:{port}/")


def test_a_port_that_is_taken() -> None:
    with windsock.threads.serve(echo) as server:
        with pytest.raises(OSError) as refused:
            with windsock.threads.serve(echo, *tcp_address(server)):
                pass
        assert refused.value.errno == errno.EADDRINUSE
        assert_echo(url(server))


def test_a_shared_port() -> None:
    with windsock.threads.serve(echo, reuse_port=True) as one:
        with windsock.threads.serve(echo, *tcp_address(one), reuse_port=True) as other:
            assert one.addresses == other.addresses
            assert_echo(url(one))


def test_a_socket_of_ones_own() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    with windsock.threads.serve(echo, sock=sock) as server:
        assert server.addresses == [sock.getsockname()]
        assert_echo(url(server))
    assert sock.fileno() == -1


def test_a_unix_socket(socket_path: str) -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    with windsock.threads.serve(report, unix=socket_path) as server:
        assert server.addresses == [socket_path]
        with windsock.threads.connect("ws://localhost/", unix=socket_path) as ws:
            assert ws.receive_json(DEADLINE) == ["", socket_path]
    assert not os.path.exists(socket_path)
    with pytest.raises(FileNotFoundError):
        assert_echo("ws://localhost/", unix=socket_path)


def test_a_clients_own_socket() -> None:
    with windsock.threads.serve(echo) as server:
        assert_echo("ws://anywhere.invalid/", sock=socket.create_connection(tcp_address(server)))


def test_host_names() -> None:
    with windsock.threads.serve(echo, "localhost") as server:
        port = tcp_address(server)[1]
        assert_echo(f"ws://localhost:{port}/")
    with pytest.raises(OSError):
        assert_echo("ws://nowhere.invalid/")


def test_handlers_see_both_addresses() -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    with windsock.threads.serve(report) as server:
        with dial(server) as peer:
            peer.open(handshake_request("/"))
            mine, servers = peer.socket.getsockname(), tcp_address(server)
            assert peer.receive() == f'["{mine[0]}",{mine[1]}],["{servers[0]}",{servers[1]}]'.join(
                "[]"
            )


def test_what_is_no_application() -> None:
    with pytest.raises(TypeError):
        with windsock.threads.serve("echo"):  # type: ignore[arg-type]  # the point
            pass


# The end


def test_serve_forever_ends_with_shutdown() -> None:
    with windsock.threads.serve(echo) as server:
        waiting = [beside(server.serve_forever) for _ in range(3)]
        stopped = [beside(server.shutdown) for _ in range(3)]
        for future in stopped + waiting:
            future.result(DEADLINE)
        server.shutdown()  # again: nothing
        with pytest.raises(ConnectionError):
            dial(server)


def test_a_handler_may_shut_the_server_down() -> None:
    app = App()

    @app.http("/stop")
    async def stop(request: Request) -> Response:
        servers[0].shutdown()
        return Response("stopped")

    app.websocket("/")(hold)

    with windsock.threads.serve(app) as server:
        servers = [server]
        with open_peer(server) as other, dial(server) as peer:
            peer.send_raw(b"GET /stop HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.receive() == Close(1001)
            other.dispose()
            beside(server.serve_forever).result(DEADLINE)


def test_what_blocks_outlasts_no_shutdown() -> None:
    """A peer that does not answer the Close frame, and one that does not read."""
    told = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        try:
            if ws.request.path == "/send":
                while True:
                    await ws.send(bytes(100_000))
            told.put(await ws.ping())
        except Disconnected as disconnected:
            told.put(disconnected.code)

    with windsock.threads.serve(handler, config=Config(shutdown_timeout=0.2)) as server:
        with (
            open_peer(server, "/ping", answer_pings=False, answer_close=False),
            open_peer(server, "/send", answer_close=False),
        ):
            began = time.monotonic()
            server.shutdown()
            assert 0.15 < time.monotonic() - began < 2
            assert set(told.take(2)) <= {1001, 1006}


def test_a_handler_that_is_busy_elsewhere_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, told = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        told.put("accepted")
        await gate.wait()
        with pytest.raises(Disconnected):
            await ws.send("late")
        told.put("told")

    with windsock.threads.serve(handler, config=Config(shutdown_timeout=0.1)) as server:
        with open_peer(server) as peer:
            assert told.get() == "accepted"
            began = time.monotonic()
            server.shutdown()
            assert time.monotonic() - began < 5
            assert peer.receive() == Close(1001)
            assert peer.ended()
    (record,) = caplog.records
    assert "the handlers of 1 connections still run" in record.message
    gate.open()
    assert told.get() == "told"


def test_the_lifespan_surrounds_the_serving() -> None:
    events: list[str] = []
    app = App()

    @app.lifespan
    async def life() -> AsyncGenerator[dict[str, str]]:
        events.append(f"started on {threading.current_thread().name}")
        yield {"mood": "sunny"}
        events.append("ended")

    @app.websocket("/")
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.send(ws.state["mood"])
            await ws.wait_closed()
            events.append("handled")

    with windsock.threads.serve(app) as server, windsock.threads.connect(url(server)) as ws:
        assert ws.receive(DEADLINE) == "sunny"
    assert events == [f"started on {threading.current_thread().name}", "handled", "ended"]


def test_a_lifespan_that_fails() -> None:
    app = App()
    error = RuntimeError("no database")

    @app.lifespan
    async def life() -> AsyncGenerator[None]:
        raise error
        yield

    with pytest.raises(RuntimeError) as raised:
        with windsock.threads.serve(app):
            pass
    assert raised.value is error


# How much


@pytest.mark.parametrize("request_", [handshake_request("/"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_more_than_max_connections_are_answered_503(request_: bytes) -> None:
    with windsock.threads.serve(echo, max_connections=2) as server:
        with open_peer(server) as one, open_peer(server) as two:
            for _ in range(3):
                with dial(server) as third:
                    third.send_raw(request_)
                    assert third.read_answer().status == 503
                    assert third.ended()
            for peer in (one, two):
                peer.send("unharmed")
                assert peer.receive() == "unharmed"
            one.close()
            assert one.receive() == Close(1000)
            one.dispose()
            until(lambda: len(server._handlers) < 2, "it still counts")
            with open_peer(server) as third:
                third.send("there is room")
                assert third.receive() == "there is room"


def test_connections_that_ask_for_nothing_need_no_thread() -> None:
    with windsock.threads.serve(echo, max_connections=1) as server:
        idle = [dial(server) for _ in range(50)]
        until(lambda: len(server._links) == 50, "not all are accepted")
        assert not server._handlers
        assert_echo(url(server))
        for peer in idle:
            peer.dispose()


def test_accepting_is_paused_and_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windsock.threads._server, "_SPARE", 4)
    with windsock.threads.serve(echo, max_connections=1) as server:
        idle = [dial(server) for _ in range(5)]
        until(lambda: len(server._links) == 5, "not all are accepted")
        with dial(server) as waiting:
            waiting.send_raw(handshake_request("/"))
            waiting.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                waiting.socket.recv(1)
            assert len(server._links) == 5
            idle.pop().abort()
            waiting.socket.settimeout(DEADLINE)
            assert waiting.read_answer().status == 101
        for peer in idle:
            peer.dispose()


def test_max_connections_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="max_connections"):
        with windsock.threads.serve(echo, max_connections=0):
            pass


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Exhausted(threading.Thread):
        def start(self) -> None:
            if self.name == "windsock handler":
                raise RuntimeError("can't start new thread")
            super().start()

    with windsock.threads.serve(echo) as server:
        with monkeypatch.context() as patch, dial(server) as peer:
            patch.setattr(threading, "Thread", Exhausted)
            peer.send_raw(handshake_request("/"))
            assert peer.read_answer().status == 503
        assert_echo(url(server))
    assert "can't start new thread" in caplog.text


def test_no_more_files(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The server waits a moment, instead of trying again and again."""
    caplog.set_level(logging.ERROR)
    attempts = []
    accept = socket.socket.accept

    def fail(sock: socket.socket) -> object:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(sock)

    monkeypatch.setattr(windsock.threads._listeners, "_RETRY_AFTER", 0.1)
    with windsock.threads.serve(echo) as server:
        monkeypatch.setattr(socket.socket, "accept", fail)
        with open_peer(server) as peer:
            peer.send("hello")
            assert peer.receive() == "hello"
    assert attempts[1] - attempts[0] >= 0.1
    assert caplog.text.count("cannot accept") == 2


def test_clients_that_have_gone_before_they_were_accepted() -> None:
    with windsock.threads.serve(echo) as server:
        for _ in range(50):
            dial(server).abort()
        for _ in range(20):
            with WirePeer(tcp_address(server)) as peer:
                peer.send_raw(b"GET /")
                peer.abort()
        assert_echo(url(server))
        until(lambda: not server._links, "some are left")


def test_handlers_that_wait_for_one_another() -> None:
    """Each has a thread, whoever else blocks."""
    barrier = threading.Barrier(20)

    async def handler(ws: WebSocket) -> None:
        barrier.wait(DEADLINE)
        blocking(ws).accept().send("met")

    with windsock.threads.serve(handler) as server:
        peers = [beside(lambda: open_peer(server)) for _ in range(20)]
        for peer in peers:
            with peer.result(DEADLINE) as opened:
                assert opened.receive() == "met"


def test_tcp_ends_with_the_response_though_the_client_has_shut_its_side() -> None:
    app, gate, seen = App(), Gate(), Observed()

    @app.http("/")
    async def page(request: Request) -> Response:
        seen.put("asked")
        await gate.wait()
        return Response("answered")

    with windsock.threads.serve(app) as server, dial(server) as peer:
        peer.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        peer.hang_up()
        assert seen.get() == "asked"
        (link,) = server._links
        until(lambda: link._eof, "the end was not read")
        gate.open()
        began = time.monotonic()
        assert peer.read_answer().body == b"answered"
        assert peer.ended()
        until(lambda: not server._links, "the socket is still open")
        assert time.monotonic() - began < 1


def test_accepting_fails_for_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the reason: it is tried now and then."""
    attempts = []

    def fail(sock: socket.socket) -> object:
        attempts.append(time.monotonic())
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(windsock.threads._listeners, "_RETRY_AFTER", 0.1)
    with windsock.threads.serve(echo) as server:
        monkeypatch.setattr(socket.socket, "accept", fail)
        with dial(server):
            until(lambda: len(attempts) == 4, "it was given up")
    assert attempts[3] - attempts[0] >= 0.3
    assert "Invalid argument" in caplog.text
