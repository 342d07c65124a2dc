"""TLS on both sides, and what is wrong with it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import SSL4ServerEndpoint

import windsock.twisted
from tests import reactor_thread
from tests.behaviour.raw_server import RawServer
from tests.behaviour.sync import TIMEOUT, Observed
from tests.certificates import authority, client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST
from windsock.core import Config, WebSocket
from windsock.twisted import Server, WebSocketFactory, make_tls_context

from .running import dial, tcp_address, url

CONFIG = Config(open_timeout=0.4, close_timeout=0.4)


async def assert_lives(server: Server) -> None:
    async with windsock.twisted.connect(url(server, "wss")) as ws:
        await ws.send("still there?")
        assert await ws.receive() == "still there?"


async def test_both_sides(server_tls: Any, trusted: None) -> None:
    codes: list[tuple[str, int | None]] = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        codes.append((ws.request.scheme, ws.code))

    async with windsock.twisted.serve(handler, tls=server_tls) as server:
        async with windsock.twisted.connect(url(server, "wss")) as ws:
            big = bytes(range(256)) * 4000
            await ws.send(big)
            assert await ws.receive() == big
            assert ws.request.scheme == "wss"
        assert ws.code == 1000
    assert codes == [("wss", 1000)]


async def test_the_factory_finds_out_by_itself(
    server_tls: Any, trusted: None, reactor: Any
) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.send(ws.request.scheme)

    factory = WebSocketFactory(handler)
    port = await SSL4ServerEndpoint(reactor, 0, server_tls, interface="127.0.0.1").listen(factory)
    uri = f"wss://127.0.0.1:{port.getHost().port}/"
    async with windsock.twisted.connect(uri) as ws:
        assert await ws.receive() == "wss"
    await port.stopListening()
    await factory.shutdown()


async def test_an_unknown_authority(server_tls: Any) -> None:
    async with windsock.twisted.serve(echo, tls=server_tls) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with windsock.twisted.connect(url(server, "wss")):
                pass


async def test_a_certificate_for_somebody_else(trusted: None, tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    authority().issue_cert("other.example").private_key_and_cert_chain_pem.write_to_path(path)
    tls = make_tls_context(str(path), str(path))
    async with windsock.twisted.serve(echo, tls=tls) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with windsock.twisted.connect(url(server, "wss")):
                pass


async def test_a_standard_context_is_refused() -> None:
    with pytest.raises(TypeError, match="CertificateOptions"):
        async with windsock.twisted.serve(echo, tls=server_context()):
            pass


async def test_a_server_that_speaks_no_tls() -> None:
    async with windsock.twisted.serve(echo) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with windsock.twisted.connect(url(server, "wss")):
                pass


def test_a_client_that_speaks_no_tls_does_not_hurt_the_server(
    server_tls: Any, trusted: None
) -> None:
    with reactor_thread.entered(windsock.twisted.serve(echo, tls=server_tls)) as server:
        with dial(server) as peer:
            peer.send_raw(REQUEST)
            assert b"HTTP" not in peer.read_to_the_end()
        reactor_thread.start(assert_lives, server).result(TIMEOUT)


def test_a_server_that_hangs_up_in_the_tls_handshake() -> None:
    with RawServer() as server:
        used = reactor_thread.start(_connect, server.url.replace("ws:", "wss:"), Config())
        server.accept().hang_up()
        assert isinstance(used.exception(TIMEOUT), OSError)


def test_a_tls_handshake_that_is_not_answered_is_given_up() -> None:
    with RawServer() as server:
        used = reactor_thread.start(_connect, server.url.replace("ws:", "wss:"), CONFIG)
        server.accept()
        with pytest.raises(TimeoutError, match=r"within 0\.4 s"):
            used.result(TIMEOUT)


def test_a_tls_handshake_that_does_not_come_is_given_up(server_tls: Any) -> None:
    serving = windsock.twisted.serve(echo, tls=server_tls, config=CONFIG)
    with reactor_thread.entered(serving) as server, dial(server) as peer:
        began = time.monotonic()
        assert peer.read_to_the_end() == b""
        assert 0.3 < time.monotonic() - began < 5


@pytest.mark.parametrize("polite", [True, False])
def test_a_client_that_hangs_up(server_tls: Any, polite: bool) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        seen.put(ws.code)

    with reactor_thread.entered(windsock.twisted.serve(handler, tls=server_tls)) as server:
        raw = socket.create_connection(tcp_address(server), TIMEOUT)
        with client_context().wrap_socket(raw, server_hostname="127.0.0.1") as sock:
            sock.sendall(REQUEST)
            assert sock.recv(1000)
            if polite:
                with contextlib.suppress(OSError):
                    sock.unwrap()
        assert seen.get() == 1006


def test_a_client_that_never_says_goodbye_is_left(server_tls: Any) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    serving = windsock.twisted.serve(handler, tls=server_tls, config=CONFIG)
    with reactor_thread.entered(serving) as server:
        raw = socket.create_connection(tcp_address(server), TIMEOUT)
        with client_context().wrap_socket(raw, server_hostname="127.0.0.1") as sock:
            sock.sendall(REQUEST)
            began = time.monotonic()
            with contextlib.suppress(OSError):
                while sock.recv(1000):
                    pass
            with contextlib.suppress(OSError):
                raw.recv(1)
            assert time.monotonic() - began < 5


async def _connect(uri: str, config: Config) -> None:
    async with windsock.twisted.connect(uri, config=config):
        pass
