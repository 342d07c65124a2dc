"""TLS on both sides, and what is wrong with it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest
import trustme

import windsock.threads
from tests.behaviour.peer import handshake_request
from tests.behaviour.raw_server import RawServer
from tests.behaviour.sync import Observed
from tests.certificates import authority, client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import frame
from windsock import _nonblocking
from windsock.core import Config, HandshakeError, WebSocket
from windsock.threads import Server

from .running import DEADLINE, beside, dial, tcp_address, until, url


def assert_lives(server: Server) -> None:
    with windsock.threads.connect(url(server, "wss"), ssl_context=client_context()) as ws:
        ws.send("still there?")
        assert ws.receive(DEADLINE) == "still there?"


def versions() -> list[ssl.TLSVersion]:
    return [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", versions())
def test_both_sides(version: ssl.TLSVersion) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        seen.put((ws.request.scheme, ws.code))

    context = server_context()
    context.minimum_version = context.maximum_version = version
    with windsock.threads.serve(handler, ssl_context=context) as server:
        with windsock.threads.connect(url(server, "wss"), ssl_context=client_context()) as ws:
            big = bytes(range(256)) * 4000
            for _ in range(5):
                ws.send(big)
            for _ in range(5):
                assert ws.receive(DEADLINE) == big
            assert ws.request.scheme == "wss"
        assert ws.code == 1000
        assert seen.get() == ("wss", 1000)


def test_plain_http_over_tls() -> None:
    with windsock.threads.serve(echo, ssl_context=server_context()) as server:
        with socket.create_connection(tcp_address(server)) as bare:
            context = client_context()
            with context.wrap_socket(
                bare, server_hostname="localhost", suppress_ragged_eofs=False
            ) as sock:
                sock.settimeout(DEADLINE)
                sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                while data := sock.recv(1000):  # up to TLS's own goodbye, else it raises
                    answer += data
                assert answer.startswith(b"HTTP/1.1 426 ")


def test_an_unknown_authority() -> None:
    with windsock.threads.serve(echo, ssl_context=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            with windsock.threads.connect(url(server, "wss")):
                pass
        assert_lives(server)


def test_a_certificate_for_somebody_else() -> None:
    cert: trustme.LeafCert = authority().issue_cert("other.example")
    with windsock.threads.serve(echo, ssl_context=server_context(cert)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            with windsock.threads.connect(url(server, "wss"), ssl_context=client_context()):
                pass


def test_a_client_that_speaks_no_tls_does_not_hurt_the_server() -> None:
    with windsock.threads.serve(echo, ssl_context=server_context()) as server:
        plain = handshake_request("/")
        for garbage in (plain, bytes(100), b"\x16\x03\x01\xff\xff" + bytes(100), b""):
            with dial(server) as peer:
                peer.send_raw(garbage)
                with contextlib.suppress(OSError):  # it may be quicker
                    peer.hang_up()
                peer.read_to_the_end()
        with pytest.raises((HandshakeError, OSError)):
            with windsock.threads.connect(url(server)):
                pass
        assert_lives(server)


def test_a_client_that_is_slow_in_its_handshake() -> None:
    with windsock.threads.serve(
        echo, ssl_context=server_context(), config=Config(open_timeout=0.3)
    ) as server:
        with dial(server) as peer:
            peer.send_raw(b"\x16\x03\x01\x02\x00\x01")
            assert_lives(server)
            began = time.monotonic()
            assert peer.read_to_the_end() == b""
            assert time.monotonic() - began < 2


def test_a_server_that_speaks_no_tls() -> None:
    with windsock.threads.serve(echo) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with windsock.threads.connect(url(server, "wss"), ssl_context=client_context()):
                pass


def test_a_server_that_hangs_up_in_the_handshake() -> None:
    def connect() -> None:
        with pytest.raises(OSError):
            with windsock.threads.connect(raw.url.replace("ws:", "wss:")):
                pass

    with RawServer() as raw:
        used = beside(connect)
        raw.accept().abort()
        used.result(DEADLINE)


@pytest.mark.parametrize("polite", [True, False])
def test_a_client_that_hangs_up(polite: bool) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        seen.put(ws.code)

    with windsock.threads.serve(handler, ssl_context=server_context()) as server:
        bare = socket.create_connection(tcp_address(server))
        sock = client_context().wrap_socket(bare, server_hostname="localhost")
        sock.settimeout(DEADLINE)
        with sock:
            sock.sendall(handshake_request("/"))
            sock.recv(1000)
            if polite:
                with contextlib.suppress(OSError):
                    sock.settimeout(0.1)
                    sock.unwrap()
        assert seen.get() == 1006
        assert_lives(server)


@pytest.mark.parametrize("read_size", [100, 64 * 1024])
def test_records_of_any_size(read_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However TCP, TLS and our reads cut the stream, every message comes out at once."""
    monkeypatch.setattr(_nonblocking, "_READ_SIZE", read_size)
    with windsock.threads.serve(echo, ssl_context=server_context()) as server:
        bare = socket.create_connection(tcp_address(server))
        with client_context().wrap_socket(bare, server_hostname="localhost") as sock:
            sock.settimeout(DEADLINE)
            sock.sendall(handshake_request("/"))
            sock.recv(1000)
            many = b"".join(frame(2, bytes([number]) * 100) for number in range(200))
            for size in (1, 7, 1000, 16384, 20_000):
                for start in range(0, len(many), size):
                    sock.sendall(many[start : start + size])
                answer = b""
                while len(answer) < 200 * 102:
                    answer += sock.recv(65536)
                assert len(answer) == 200 * 102


def test_a_peer_that_takes_its_time_to_read() -> None:
    """The backlog is written when there is room, and the Close frame after it."""
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for number in range(100):
                await ws.send(number.to_bytes(4, "big") * 100_000)
        seen.put(ws.code)

    with windsock.threads.serve(handler, ssl_context=server_context()) as server:
        with windsock.threads.connect(url(server, "wss"), ssl_context=client_context()) as ws:
            until(lambda: any(link._unsent for link in server._links), "nothing is left over")
            messages = [ws.receive(DEADLINE) for _ in range(100)]
        assert messages == [number.to_bytes(4, "big") * 100_000 for number in range(100)]
        assert seen.get() == 1000
