"""windsock's servers with everybody's clients."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

import pytest

from .app import report_of
from .clients import (
    aiohttp_client,
    node_client,
    trio_websocket_client,
    websocket_client_client,
    websockets_clients,
    wsproto_client,
)
from .clients.base import Client, ClientSocket, Close, Compression, Offer, PortalSocket, Refused
from .conftest import scenario_of
from .loops import event_loop
from .our_servers import OUR_SERVERS, Places
from .places import Directory, Place
from .scenarios import CLIENTS_CANNOT, SERVERS_OF_OURS_CANNOT, scenario

CLIENTS: Final[dict[str, Any]] = {
    "websockets-asyncio": ("asyncio", websockets_clients.on_asyncio),
    "websockets-trio": ("trio", websockets_clients.on_trio),
    "websockets-threads": (None, websockets_clients.on_threads),
    "trio-websocket": ("trio", trio_websocket_client.connect),
    "aiohttp": ("asyncio", aiohttp_client.connect),
    "websocket-client": (None, websocket_client_client.connect),
    "wsproto": (None, wsproto_client.connect),
    "node-ws": ("node", node_client.connect),
}

_cases = itertools.count()

Open = Callable[..., AbstractContextManager[ClientSocket]]


class Peers:
    """Clients and servers, started when first asked for."""

    def __init__(self, stack: ExitStack, directory: Directory, has_ipv6: bool) -> None:
        self._stack = stack
        self._directory = directory
        self._has_ipv6 = has_ipv6
        self._portals: dict[str, Any] = {}
        self._places: dict[str, Places] = {}

    def places(self, server: str) -> Places:
        """Where a server of ours listens."""
        if server not in self._places:
            start = OUR_SERVERS[server](self._directory, self._has_ipv6)
            self._places[server] = self._stack.enter_context(start)
        return self._places[server]

    def client(self, name: str) -> Client:
        """A client, to be called from a plain function."""
        runs_on, connect = CLIENTS[name]
        if runs_on is None:
            found: Client = connect
            return found
        if runs_on not in self._portals:
            runner = (
                node_client.run(self._directory.path) if runs_on == "node" else event_loop(runs_on)
            )
            self._portals[runs_on] = self._stack.enter_context(runner)
        if runs_on == "node":
            return functools.partial(connect, self._portals["node"])
        return functools.partial(self._call, self._portals[runs_on], connect)

    @contextlib.contextmanager
    def _call(self, portal: Any, connect: Any, place: Place, offer: Offer) -> Iterator[Any]:
        with portal.wrap_async_context_manager(connect(place, offer)) as found:
            yield PortalSocket(portal, found)


@pytest.fixture(scope="session")
def peers(stack: ExitStack, directory: Directory, has_ipv6: bool) -> Peers:
    return Peers(stack, directory, has_ipv6)


@pytest.fixture(params=CLIENTS)
def client_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=OUR_SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def _ability(request: pytest.FixtureRequest) -> None:
    what = scenario_of(request.node)
    client, server = request.getfixturevalue("client_name"), request.getfixturevalue("server_name")
    if reason := CLIENTS_CANNOT.get((client, what)):
        pytest.skip(f"client of {client}, {what}: {reason}")
    if reason := SERVERS_OF_OURS_CANNOT.get((server, what)):
        pytest.skip(f"windsock in {server}, {what}: {reason}")
    if client == "node-ws" and (why := node_client.why_not()):
        pytest.skip(f"client of node-ws: {why}")


@pytest.fixture
def connect(peers: Peers, client_name: str, server_name: str) -> Open:
    """Opens a WebSocket from the client to the server."""

    def connect(
        target: str, *, kind: str = "tcp", **offered: Any
    ) -> AbstractContextManager[ClientSocket]:
        place = peers.places(server_name)[kind]
        return peers.client(client_name)(place, Offer(target=target, **offered))

    return connect


def assert_echo(socket: ClientSocket, *messages: str | bytes) -> None:
    for message in messages:
        socket.send(message)
        assert socket.receive() == message


@scenario("text")
def test_text(connect: Open) -> None:
    with connect("/echo") as socket:
        assert_echo(socket, "hello", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536)


@scenario("binary")
def test_binary(connect: Open) -> None:
    with connect("/echo") as socket:
        assert_echo(socket, bytes(range(256)), b"x" * 65536)


@scenario("empty messages")
def test_empty_messages(connect: Open) -> None:
    with connect("/echo") as socket:
        assert_echo(socket, "", b"", "")


@scenario("unicode")
def test_unicode(connect: Open) -> None:
    with connect("/echo") as socket:
        assert_echo(socket, "Grüße, Ελλάδα, 日本語, 🦀\0\uffff\U0010ffff")


@scenario("1 MiB")
def test_one_mebibyte(connect: Open) -> None:
    with connect("/echo") as socket:
        assert_echo(socket, "é" * 512 * 1024, bytes(range(256)) * 4096)


@scenario("peer sends fragments")
def test_client_sends_fragments(connect: Open) -> None:
    with connect("/echo") as socket:
        socket.send_fragments(["one ", "two ", "", "thr€e"])
        assert socket.receive() == "one two thr€e"


@scenario("peer pings")
def test_client_pings(connect: Open) -> None:
    with connect("/echo") as socket:
        socket.ping(b"are you there?")
        assert_echo(socket, "yes")


@scenario("windsock pings")
def test_server_pings(connect: Open) -> None:
    with connect("/ping") as socket:
        answer = socket.receive()
        assert isinstance(answer, str)
        assert answer.startswith("answered in ")


@scenario("subprotocol")
def test_subprotocol(connect: Open) -> None:
    with connect("/chosen/second", subprotocols=("first", "second")) as socket:
        assert socket.subprotocol == "second"
        assert socket.receive() == "first second"


@scenario("headers")
def test_headers(connect: Open) -> None:
    with connect("/headers", headers=(("X-Question", "stressed"),)) as socket:
        assert socket.headers["x-answer"] == "desserts"


@scenario("query string")
def test_query_string(connect: Open) -> None:
    with connect("/query?a=1&b=%C3%BC&a=two+words&empty=") as socket:
        answer = socket.receive()
        assert isinstance(answer, str)
        assert json.loads(answer) == {"a": ["1", "two words"], "b": ["ü"], "empty": [""]}


@scenario("peer closes")
def test_client_closes(connect: Open) -> None:
    case = str(next(_cases))
    with connect(f"/observe/{case}") as socket:
        socket.close(3456, "that is all – ✓")
    assert report_of(case) == (3456, "that is all – ✓", True)


@scenario("windsock closes")
@pytest.mark.parametrize("code", [1000, 1011, 4999])
def test_server_closes(connect: Open, code: int) -> None:
    with connect(f"/close/{code}") as socket:
        assert socket.receive() == Close(code, "that is all – ✓")


@scenario("rejection status")
def test_rejection_status(connect: Open) -> None:
    with pytest.raises(Refused) as refused, connect("/reject"):
        pass
    assert refused.value.status == 418


@scenario("rejection body")
def test_rejection_body(connect: Open) -> None:
    with pytest.raises(Refused) as refused, connect("/reject"):
        pass
    assert refused.value.body == b"no tea here"


@scenario("peer sends at once")
def test_client_sends_at_once(connect: Open) -> None:
    with connect("/echo", early="first") as socket:
        assert socket.receive() == "first"
        assert_echo(socket, "second")


@scenario("windsock sends at once")
def test_server_sends_at_once(connect: Open) -> None:
    with connect("/greet") as socket:
        assert socket.receive() == "first"
        assert socket.receive() == b"second"


COMPRESSIBLE: Final = ("ab" * 5000, b"ab" * 5000, "", "ab" * 5000, "é" * 512 * 1024)


@scenario("compression")
def test_compression(connect: Open) -> None:
    with connect("/echo", kind="deflate", compression=Compression.DEFLATE) as socket:
        assert "permessage-deflate" in socket.headers["sec-websocket-extensions"]
        assert_echo(socket, *COMPRESSIBLE)


@scenario("compression without context takeover")
def test_compression_without_context_takeover(connect: Open) -> None:
    kind = "deflate-no-takeover"
    with connect("/echo", kind=kind, compression=Compression.DEFLATE) as socket:
        assert "permessage-deflate" in socket.headers["sec-websocket-extensions"]
        assert_echo(socket, *COMPRESSIBLE)


@scenario("compression declined")
def test_compression_declined(connect: Open) -> None:
    with connect("/echo", compression=Compression.DEFLATE) as socket:
        assert "sec-websocket-extensions" not in socket.headers
        assert_echo(socket, *COMPRESSIBLE)


@scenario("TLS")
def test_tls(connect: Open) -> None:
    with connect("/echo", kind="tls") as socket:
        assert_echo(socket, "secret", "é" * 512 * 1024)


@scenario("Unix socket")
def test_unix_socket(connect: Open) -> None:
    with connect("/echo", kind="unix") as socket:
        assert_echo(socket, "near")


@scenario("IPv6")
def test_ipv6(connect: Open, has_ipv6: bool) -> None:
    if not has_ipv6:
        pytest.skip("this machine has no IPv6 loopback address")
    with connect("/echo", kind="ipv6") as socket:
        assert_echo(socket, "six")
