"""TLS on both sides, and what is wrong with it."""

from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio
import trio.testing
import trustme
from trio.abc import Stream

import windsock.trio
from tests.certificates import authority, client_context, server_context
from tests.transports.handlers import echo
from tests.transports.wire import REQUEST
from windsock.core import Config, HandshakeError, WebSocket

from .running import MemoryListener, dial, read_all, serving, url


async def assert_lives(server: windsock.trio.Server) -> None:
    async with windsock.trio.connect(url(server, "wss"), ssl_context=client_context()) as ws:
        await ws.send("still there?")
        assert await ws.receive() == "still there?"


async def test_both_sides() -> None:
    codes: list[tuple[str, int | None]] = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        codes.append((ws.request.scheme, ws.code))

    async with serving(handler, ssl_context=server_context()) as server:
        async with windsock.trio.connect(url(server, "wss"), ssl_context=client_context()) as ws:
            big = bytes(range(256)) * 4000
            await ws.send(big)
            assert await ws.receive() == big
            assert ws.request.scheme == "wss"
        assert ws.code == 1000
    assert codes == [("wss", 1000)]


async def test_an_unknown_authority() -> None:
    async with serving(echo, ssl_context=server_context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"self.signed|issuer"):
            async with windsock.trio.connect(url(server, "wss")):
                pass
        await assert_lives(server)


async def test_a_certificate_for_somebody_else() -> None:
    cert: trustme.LeafCert = authority().issue_cert("other.example")
    async with serving(echo, ssl_context=server_context(cert)) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
            async with windsock.trio.connect(url(server, "wss"), ssl_context=client_context()):
                pass


async def test_a_client_that_speaks_no_tls_does_not_hurt_the_server() -> None:
    async with serving(echo, ssl_context=server_context()) as server:
        for garbage in (REQUEST, bytes(100), b"\x16\x03\x01\xff\xff" + bytes(100), b""):
            async with await dial(server) as stream:
                await stream.send_all(garbage)
                await stream.send_eof()
                await read_all(stream)
        with pytest.raises((HandshakeError, OSError)):
            async with windsock.trio.connect(url(server)):
                pass
        await assert_lives(server)


async def test_a_server_that_speaks_no_tls() -> None:
    async with serving(echo) as server:
        with pytest.raises(OSError) as refused:
            async with windsock.trio.connect(url(server, "wss"), ssl_context=client_context()):
                pass
        assert isinstance(refused.value, (ssl.SSLError, ConnectionError))


async def test_a_server_that_hangs_up_in_the_tls_handshake() -> None:
    listener, *_ = await trio.open_tcp_listeners(0, host="127.0.0.1")
    _, port = listener.socket.getsockname()

    async def hang_up() -> None:
        stream = await listener.accept()
        await stream.receive_some()
        await stream.aclose()

    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(hang_up)
        with pytest.raises(OSError):
            async with windsock.trio.connect(f"wss://127.0.0.1:{port}/"):
                pass


@pytest.mark.mock_clock
async def test_server_gives_up_a_tls_handshake_that_does_not_come() -> None:
    listener = MemoryListener()
    config = Config(open_timeout=3)
    async with trio.open_nursery() as nursery:
        serve = partial(
            windsock.trio.serve_listeners,
            echo,
            [listener],
            ssl_context=server_context(),
            config=config,
        )
        server: windsock.trio.Server = await nursery.start(serve)
        silent = listener.connect()
        assert await read_all(silent) == b""
        assert trio.current_time() == config.open_timeout
        await server.shutdown()


@pytest.mark.mock_clock
async def test_client_gives_up_a_tls_handshake_that_is_not_answered() -> None:
    listener, *_ = await trio.open_tcp_listeners(0, host="127.0.0.1")
    _, port = listener.socket.getsockname()
    async with listener:
        with pytest.raises(TimeoutError, match="within 3 s"):
            async with windsock.trio.connect(
                f"wss://127.0.0.1:{port}/", config=Config(open_timeout=3)
            ):
                pass
    assert trio.current_time() == 3


@pytest.mark.parametrize("polite", [True, False])
async def test_a_client_that_hangs_up(polite: bool) -> None:
    codes: list[int | None] = []
    ended = trio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.wait_closed()
        codes.append(ws.code)
        ended.set()

    async with serving(handler, ssl_context=server_context()) as server:
        tcp = await dial(server)
        stream = trio.SSLStream(tcp, client_context(), server_hostname="127.0.0.1")
        await stream.send_all(REQUEST)
        await stream.receive_some()
        await (stream.aclose() if polite else tcp.aclose())
        await ended.wait()
    assert codes == [1006]


@pytest.mark.parametrize("over", ["memory", "tcp"])
async def test_streams_that_speak_tls_themselves(over: str) -> None:
    """SSLStreams of somebody else's, who has not shaken hands on them yet."""
    ours: Stream
    theirs: Stream
    if over == "memory":
        ours, theirs = trio.testing.memory_stream_pair()
    else:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            ours = await trio.open_tcp_stream(*listener.socket.getsockname())
            theirs = await listener.accept()
    codes: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        await echo(ws)
        codes.append(ws.code)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            secured = trio.SSLStream(theirs, server_context(), server_side=True)
            nursery.start_soon(windsock.trio.serve_stream, handler, secured)
            stream = trio.SSLStream(ours, client_context(), server_hostname="localhost")
            async with windsock.trio.connect_stream(stream, "wss://localhost/") as ws:
                big = bytes(range(256)) * 4000
                await ws.send(big)
                assert await ws.receive() == big
            assert ws.code == 1000
    assert codes == [1000]


async def test_a_stream_whose_tls_handshake_fails() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            secured = trio.SSLStream(theirs, server_context(), server_side=True)
            nursery.start_soon(windsock.trio.serve_stream, echo, secured)
            await ours.send_all(REQUEST)
            await read_all(ours)  # it hangs up, and goes on living
