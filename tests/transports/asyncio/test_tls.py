"""TLS on both sides, and what is wrong with it."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

import windsock.asyncio
from tests.certificates import authority, client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST
from windsock.asyncio import Server
from windsock.core import HandshakeError, WebSocket

from .running import RawPeer, dial, raw_server, tcp_address, url


async def assert_lives(server: Server) -> None:
    async with windsock.asyncio.connect(url(server, "wss"), ssl_context=client_context()) as ws:
        await ws.send("still there?")
        assert await ws.receive() == "still there?"


async def test_both_sides() -> None:
    codes: list[tuple[str, int | None]] = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        codes.append((ws.request.scheme, ws.code))

    async with windsock.asyncio.serve(handler, ssl_context=server_context()) as server:
        async with windsock.asyncio.connect(url(server, "wss"), ssl_context=client_context()) as ws:
            big = bytes(range(256)) * 4000
            await ws.send(big)
            assert await ws.receive() == big
            assert ws.request.scheme == "wss"
        assert ws.code == 1000
    assert codes == [("wss", 1000)]


async def test_large_messages_in_flight_all_come_back() -> None:
    """Reading and writing stop and go on all the time, each because of the other."""
    message = bytes(range(256)) * 64
    async with (
        asyncio.timeout(20),
        windsock.asyncio.serve(echo, ssl_context=server_context()) as server,
        windsock.asyncio.connect(url(server, "wss"), ssl_context=client_context()) as ws,
    ):
        for _ in range(4):
            await ws.send(message)
        for _ in range(200):
            assert await ws.receive() == message
            await ws.send(message)


async def test_an_unknown_authority() -> None:
    async with windsock.asyncio.serve(echo, ssl_context=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with windsock.asyncio.connect(url(server, "wss")):
                pass
        await assert_lives(server)


async def test_a_certificate_for_somebody_else() -> None:
    cert: trustme.LeafCert = authority().issue_cert("other.example")
    async with windsock.asyncio.serve(echo, ssl_context=server_context(cert)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            async with windsock.asyncio.connect(url(server, "wss"), ssl_context=client_context()):
                pass


async def test_a_client_that_speaks_no_tls_does_not_hurt_the_server() -> None:
    async with windsock.asyncio.serve(echo, ssl_context=server_context()) as server:
        for garbage in (REQUEST, bytes(100), b"\x16\x03\x01\xff\xff" + bytes(100), b""):
            async with dial(server) as raw:
                await raw.send(garbage)
                raw.send_eof()
                await raw.read_all()
        with pytest.raises((HandshakeError, OSError)):
            async with windsock.asyncio.connect(url(server)):
                pass
        await assert_lives(server)


async def test_a_server_that_speaks_no_tls() -> None:
    async with windsock.asyncio.serve(echo) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with windsock.asyncio.connect(url(server, "wss"), ssl_context=client_context()):
                pass


async def test_a_server_that_hangs_up_in_the_tls_handshake() -> None:
    async def hang_up(raw: RawPeer) -> None:
        await raw.read()

    async with raw_server(hang_up) as uri:
        with pytest.raises(OSError):
            async with windsock.asyncio.connect(uri.replace("ws:", "wss:")):
                pass


async def test_a_client_that_hangs_up() -> None:
    codes: asyncio.Queue[int | None] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        codes.put_nowait(ws.code)

    async with windsock.asyncio.serve(handler, ssl_context=server_context()) as server:
        for polite in (True, False):
            reader, writer = await asyncio.open_connection(
                *tcp_address(server), ssl=client_context(), server_hostname="127.0.0.1"
            )
            writer.write(REQUEST)
            await reader.read(1000)
            if polite:
                writer.close()
                await writer.wait_closed()
            else:
                writer.transport.abort()
            assert await codes.get() == 1006
