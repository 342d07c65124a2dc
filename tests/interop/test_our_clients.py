"""windsock's clients with everybody's servers."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Any, Final

import anyio
import anyio.to_thread
import pytest

import windsock.asyncio
import windsock.trio
from tests.behaviour.blocking import connect_blocking
from windsock.core import Config, Deflate, Disconnected, HandshakeError, WebSocket

from .conftest import scenario_of
from .loops import TIMEOUT
from .places import Directory
from .scenarios import SERVERS_CANNOT, scenario
from .servers import aiohttp_server, asgi_servers, trio_websocket_server, websockets_servers
from .servers.base import FRAGMENTS, GOODBYE, Places, Start, report_of

CLIENTS: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "trio": (windsock.trio.connect, {"backend": "trio"}),
    "asyncio": (windsock.asyncio.connect, {"backend": "asyncio"}),
    "asyncio+uvloop": (
        windsock.asyncio.connect,
        {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    ),
    "threads": (connect_blocking, {"backend": "asyncio"}),  # it has the loop to itself
}

SERVERS: Final[dict[str, Start]] = {
    "websockets-asyncio": websockets_servers.on_asyncio,
    "websockets-trio": websockets_servers.on_trio,
    "trio-websocket": trio_websocket_server.serve,
    "uvicorn-websockets": functools.partial(asgi_servers.on_uvicorn, ws="websockets-sansio"),
    "uvicorn-wsproto": functools.partial(asgi_servers.on_uvicorn, ws="wsproto"),
    "hypercorn-asyncio": functools.partial(asgi_servers.on_hypercorn, worker="asyncio"),
    "hypercorn-trio": functools.partial(asgi_servers.on_hypercorn, worker="trio"),
    "aiohttp": aiohttp_server.serve,
}

_cases = itertools.count()

Open = Callable[..., AbstractAsyncContextManager[WebSocket]]


class Peers:
    """Servers, started when first asked for."""

    def __init__(self, stack: ExitStack, directory: Directory, has_ipv6: bool) -> None:
        self._stack = stack
        self._start_options = (directory, has_ipv6)
        self._places: dict[str, Places] = {}

    def places(self, server: str) -> Places:
        """Where a server listens."""
        if server not in self._places:
            start = SERVERS[server](*self._start_options)
            self._places[server] = self._stack.enter_context(start)
        return self._places[server]


@pytest.fixture(scope="session")
def peers(stack: ExitStack, directory: Directory, has_ipv6: bool) -> Peers:
    return Peers(stack, directory, has_ipv6)


@pytest.fixture(params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def _ability(request: pytest.FixtureRequest) -> None:
    what, server = scenario_of(request.node), request.getfixturevalue("server_name")
    if reason := SERVERS_CANNOT.get((server, what)):
        pytest.skip(f"server of {server}, {what}: {reason}")


@pytest.fixture
def connect(peers: Peers, client_name: str, server_name: str) -> Open:
    """Opens a WebSocket from the client to the server."""
    places = peers.places(server_name)  # may start the server, which takes a moment

    def connect(
        target: str, *, kind: str = "tcp", **options: Any
    ) -> AbstractAsyncContextManager[WebSocket]:
        place = places[kind]
        opened: AbstractAsyncContextManager[WebSocket] = CLIENTS[client_name][0](
            place.url(target), unix=place.unix, ssl_context=place.tls, **options
        )
        return opened

    return connect


def on_its_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run a coroutine function as a test, on the client's event loop."""

    @functools.wraps(test)
    def run(client_name: str, **arguments: Any) -> None:
        async def with_deadline() -> None:
            with anyio.fail_after(TIMEOUT):
                await test(**arguments)

        anyio.run(with_deadline, **CLIENTS[client_name][1])

    signature = inspect.signature(test)
    name = inspect.Parameter("client_name", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [name, *signature.parameters.values()]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what pytest reads
    return run


async def assert_echo(ws: WebSocket, *messages: str | bytes) -> None:
    for message in messages:
        await ws.send(message)
        assert await ws.receive() == message


@scenario("text")
@on_its_loop
async def test_text(connect: Open) -> None:
    async with connect("/echo") as ws:
        await assert_echo(ws, "hello", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536)


@scenario("binary")
@on_its_loop
async def test_binary(connect: Open) -> None:
    async with connect("/echo") as ws:
        await assert_echo(ws, bytes(range(256)), b"x" * 65536)


@scenario("empty messages")
@on_its_loop
async def test_empty_messages(connect: Open) -> None:
    async with connect("/echo") as ws:
        await assert_echo(ws, "", b"", "")


@scenario("unicode")
@on_its_loop
async def test_unicode(connect: Open) -> None:
    async with connect("/echo") as ws:
        await assert_echo(ws, "Grüße, Ελλάδα, 日本語, 🦀\0\uffff\U0010ffff")


@scenario("1 MiB")
@on_its_loop
async def test_one_mebibyte(connect: Open) -> None:
    async with connect("/echo") as ws:
        await assert_echo(ws, "é" * 512 * 1024, bytes(range(256)) * 4096)


@scenario("peer sends fragments")
@on_its_loop
async def test_server_sends_fragments(connect: Open) -> None:
    async with connect("/fragments") as ws:
        assert await ws.receive() == "".join(FRAGMENTS)


@scenario("peer pings")
@on_its_loop
async def test_server_pings(connect: Open) -> None:
    async with connect("/ping") as ws:
        assert await ws.receive() == "answered"


@scenario("windsock pings")
@on_its_loop
async def test_client_pings(connect: Open) -> None:
    async with connect("/wait") as ws:
        assert await ws.ping() < TIMEOUT
        assert ws.latency is not None


@scenario("subprotocol")
@on_its_loop
async def test_subprotocol(connect: Open) -> None:
    async with connect("/wait", subprotocols=["first", "second"]) as ws:
        assert ws.subprotocol == "second"


@scenario("headers")
@on_its_loop
async def test_headers(connect: Open) -> None:
    async with connect("/headers", headers=[("X-Question", "stressed")]) as ws:
        assert ws.response_headers is not None
        assert ws.response_headers["X-Answer"] == "desserts"


@scenario("query string")
@on_its_loop
async def test_query_string(connect: Open) -> None:
    async with connect("/query?a=1&b=%C3%BC&a=two+words&empty=") as ws:
        assert await ws.receive() == "a=1&b=%C3%BC&a=two+words&empty="


@scenario("windsock closes")
@on_its_loop
async def test_client_closes(connect: Open) -> None:
    case = str(next(_cases))
    async with connect(f"/observe/{case}") as ws:
        assert await ws.receive() == "ready"
        await ws.close(3456, GOODBYE)
        assert (ws.code, ws.reason) == (3456, GOODBYE)
    seen = await anyio.to_thread.run_sync(report_of, case)
    assert seen.code == 3456
    assert seen.reason in {GOODBYE, None}


@scenario("peer closes")
@pytest.mark.parametrize("code", [1000, 1011, 4999])
@on_its_loop
async def test_server_closes(connect: Open, code: int) -> None:
    async with connect(f"/close/{code}") as ws:
        with pytest.raises(Disconnected) as end:
            await ws.receive()
    assert (end.value.code, end.value.reason, end.value.clean) == (code, GOODBYE, True)


@scenario("rejection status")
@on_its_loop
async def test_rejection_status(connect: Open) -> None:
    with pytest.raises(HandshakeError) as refused:
        async with connect("/reject"):
            pass
    assert refused.value.status == 418


@scenario("rejection body")
@on_its_loop
async def test_rejection_body(connect: Open) -> None:
    with pytest.raises(HandshakeError) as refused:
        async with connect("/reject"):
            pass
    assert refused.value.body == b"no tea here"


@scenario("peer sends at once")
@on_its_loop
async def test_server_sends_at_once(connect: Open) -> None:
    async with connect("/greet") as ws:
        assert await ws.receive() == "first"
        assert await ws.receive() == b"second"


@scenario("windsock sends at once")
@on_its_loop
async def test_client_sends_at_once(connect: Open) -> None:
    async with connect("/echo") as ws:
        await ws.send("first")
        await ws.send(b"second")
        assert await ws.receive() == "first"
        assert await ws.receive() == b"second"


COMPRESSIBLE: Final = ("ab" * 5000, b"ab" * 5000, "", "ab" * 5000, "é" * 512 * 1024)
DEFLATE: Final = Config(compression=Deflate())
NO_TAKEOVER: Final = Config(
    compression=Deflate(server_no_context_takeover=True, client_no_context_takeover=True)
)


@scenario("compression")
@on_its_loop
async def test_compression(connect: Open) -> None:
    async with connect("/echo", config=DEFLATE) as ws:
        assert ws.response_headers is not None
        assert "permessage-deflate" in ws.response_headers["Sec-WebSocket-Extensions"]
        await assert_echo(ws, *COMPRESSIBLE)


@scenario("compression without context takeover")
@on_its_loop
async def test_compression_without_context_takeover(connect: Open) -> None:
    async with connect("/echo", config=NO_TAKEOVER) as ws:
        assert ws.response_headers is not None
        agreed = ws.response_headers["Sec-WebSocket-Extensions"]
        assert "server_no_context_takeover" in agreed
        await assert_echo(ws, *COMPRESSIBLE)


@scenario("compression declined")
@on_its_loop
async def test_compression_declined(connect: Open) -> None:
    async with connect("/echo", kind="tls", config=DEFLATE) as ws:
        assert ws.response_headers is not None
        assert "Sec-WebSocket-Extensions" not in ws.response_headers
        await assert_echo(ws, *COMPRESSIBLE)


@scenario("TLS")
@on_its_loop
async def test_tls(connect: Open) -> None:
    async with connect("/echo", kind="tls") as ws:
        await assert_echo(ws, "secret", "é" * 512 * 1024)


@scenario("Unix socket")
@on_its_loop
async def test_unix_socket(connect: Open) -> None:
    async with connect("/echo", kind="unix") as ws:
        await assert_echo(ws, "near")


@scenario("IPv6")
@on_its_loop
async def test_ipv6(connect: Open, has_ipv6: bool) -> None:
    if not has_ipv6:
        pytest.skip("this machine has no IPv6 loopback address")
    async with connect("/echo", kind="ipv6") as ws:
        await assert_echo(ws, "six")
