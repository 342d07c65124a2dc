"""What every `connect` shares: the opening handshake on entry, the closing handshake on exit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import Cancelled, CancelledByError, World, unreachable
from tests.core.helpers import ACCEPT, CLOSE, close_payload, frame, head, switching
from windsock.core import (
    App,
    Disconnected,
    HandshakeError,
    Headers,
    LocalProtocolError,
    Reject,
    Request,
    Response,
    WebSocket,
)
from windsock.core.protocol.uri import parse_uri


async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send(message)


def request_sent(world: World, uri: str, **options: Any) -> tuple[str, Headers]:
    """The request line and header fields that a client sends."""
    world.connect(unreachable, parse_uri(uri), **options)
    world.links[1].reading = False
    world.server.reading = False
    world.run()
    line, *fields = world.to_server.take().decode().removesuffix("\r\n\r\n").split("\r\n")
    pairs = (field.split(": ", 1) for field in fields)
    return line, Headers((name, value) for name, value in pairs)


# The opening handshake


def test_the_request(world: World) -> None:
    line, headers = request_sent(
        world,
        "ws://example.com:8080/chat?room=1",
        subprotocols=("a", "b"),
        headers=(("Origin", "https://example.com"), ("Cookie", "a=1")),
    )
    assert line == "GET /chat?room=1 HTTP/1.1"
    assert headers["Host"] == "example.com:8080"
    assert headers["Sec-WebSocket-Protocol"] == "a, b"
    assert (headers["Origin"], headers["Cookie"]) == ("https://example.com", "a=1")
    assert "authorization" not in headers


def test_credentials_of_the_uri(world: World) -> None:
    _, headers = request_sent(world, "ws://user:pass%20word@example.com/")
    assert headers["Authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="
    assert headers["Host"] == "example.com"


@pytest.mark.parametrize(
    "given", [(("authorization", "Bearer x"),), Headers([("Authorization", "Bearer x")])]
)
def test_an_authorization_of_the_callers_goes_before(world: World, given: Any) -> None:
    _, headers = request_sent(world, "ws://user:password@example.com/", headers=given)
    assert headers.get_all("Authorization") == ["Bearer x"]


@pytest.mark.parametrize(
    "options",
    [{"subprotocols": ("a b",)}, {"headers": (("X", "a\nb"),)}, {"headers": (("Upgrade", "x"),)}],
)
def test_what_cannot_be_sent(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        world.connect(unreachable, **options)


@pytest.mark.parametrize(
    ("uri", "scheme"), [("ws://example.com/a?b", "ws"), ("wss://[::1]/", "wss")]
)
def test_what_a_clients_websocket_says(world: World, uri: str, scheme: str) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept("chat", {"X": "1"})
        await ws.receive(default=None)

    async def body(ws: WebSocket) -> None:
        parsed = parse_uri(uri)
        assert ws.subprotocol == "chat"
        assert ws.response_headers is not None
        assert ws.response_headers["X"] == "1"
        assert ws.request.target == parsed.target
        assert ws.request.url == uri
        assert (ws.request.scheme, ws.request.client) == (scheme, None)
        assert ws.request.server == (parsed.host, parsed.port)
        assert ws.catch_disconnect is False

    world.serve(handler)
    task = world.connect(body, parse_uri(uri), subprotocols=("chat",))
    world.run()
    task.result()


def test_a_refusal(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        raise Reject(Response("who?", 401, {"X": "1"}))

    world.serve(handler)
    task = world.connect(unreachable)
    world.run()
    error = task.error
    assert isinstance(error, HandshakeError)
    assert (error.status, error.headers["X"], error.body) == (401, "1", b"who?")
    assert "401" in str(error)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Sw", b"\x15\x03\x01"])
def test_a_server_that_goes_before_it_answers(world: World, answer: bytes) -> None:
    task = world.connect(unreachable)
    world.server.reading = False
    world.to_client.data += answer
    world.to_client.ended = True
    world.run()
    error = task.error
    assert isinstance(error, HandshakeError)
    assert error.status is None


def test_an_answer_that_breaks_the_rules(world: World) -> None:
    task = world.connect(unreachable)
    world.server.reading = False
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]
    world.to_client.data += head("HTTP/1.1 101 Switching Protocols", fields)
    world.run()
    error = task.error
    assert isinstance(error, HandshakeError)
    assert error.status == 101


def test_no_answer_in_time(make_world: MakeWorld) -> None:
    world = make_world(open_timeout=5)
    task = world.connect(unreachable)
    world.server.reading = False
    world.run()
    assert not task.done
    world.advance(5)
    error = task.error
    assert isinstance(error, HandshakeError)
    assert (error.status, str(error)) == (None, "no answer within 5 s")


def test_a_request_that_cannot_be_written(world: World) -> None:
    task = world.connect(unreachable)
    world.links[1].broken = True
    world.run()
    error = task.error
    assert isinstance(error, HandshakeError)
    assert (error.status, str(error)) == (None, "the connection ended before an answer")


# The closing handshake


def test_a_conversation(world: World) -> None:
    async def body(ws: WebSocket) -> list[str | bytes]:
        await ws.send("a")
        await ws.send(b"b")
        return [await ws.receive(), await ws.receive()]

    serving = world.serve(echo)
    task = world.connect(body)
    world.run()
    assert task.result() == ["a", b"b"]
    serving.result()
    for link in world.links:
        assert link.channel.finished
        closed = link.channel.closed
        assert closed is not None
        assert (closed.code, closed.clean) == (1000, True)


def test_it_returns_when_tcp_has_ended(world: World) -> None:
    """The server ends TCP first, and until then the client waits for it."""
    gate = world.gate()

    async def body(ws: WebSocket) -> None:
        await gate.wait()

    serving = world.serve(echo)
    task = world.connect(body)
    world.run()
    world.to_client.capacity = 0
    gate.open()
    world.run()
    assert not task.done
    world.to_client.capacity = 1 << 20
    world.run()
    task.result()
    serving.result()


@pytest.mark.parametrize("error", [ValueError("x"), ExceptionGroup("nursery", [ValueError("x")])])
def test_an_error_in_the_body_comes_out_as_it_is(world: World, error: Exception) -> None:
    codes: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive(default=None)
        codes.append(ws.code)

    async def body(ws: WebSocket) -> None:
        raise error

    world.serve(handler)
    task = world.connect(body)
    world.run()
    assert task.error is error
    assert codes == [1011]
    assert all(link.channel.finished for link in world.links)


@pytest.mark.parametrize("cancelled", [Cancelled(), CancelledByError()])
def test_a_cancelled_body_says_goodbye_and_does_not_wait(
    world: World, cancelled: BaseException
) -> None:
    codes: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive(default=None)
        codes.append(ws.code)

    async def body(ws: WebSocket) -> None:
        await ws.receive()

    world.serve(handler)
    task = world.connect(body)
    world.links[-1].cancelled = (CancelledByError,)
    world.run()
    world.to_client.capacity = 0
    task.cancel(cancelled)
    world.run()
    assert task.error is cancelled
    assert codes == [1001]


@pytest.mark.parametrize("code", [1000, 3000])
def test_a_disconnect_in_the_body_is_not_swallowed(world: World, code: int) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(code)

    async def body(ws: WebSocket) -> None:
        while True:
            await ws.receive()

    world.serve(handler)
    task = world.connect(body)
    world.run()
    error = task.error
    assert isinstance(error, Disconnected)
    assert error.code == code


def test_the_body_may_swallow_it(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    async def body(ws: WebSocket) -> None:
        ws.catch_disconnect = {1000}
        await ws.receive()

    world.serve(handler)
    task = world.connect(body)
    world.run()
    task.result()


def test_a_server_that_never_ends_tcp_is_waited_for_a_while_only(make_world: MakeWorld) -> None:
    world = make_world(close_timeout=3)

    async def body(ws: WebSocket) -> None:
        await ws.receive(default=None)

    task = world.connect(body)
    world.server.reading = False
    connection = world.links[1].channel.connection
    world.to_client.data += switching(connection) + frame(CLOSE, close_payload(1000))
    world.run()
    assert connection.closed.clean
    assert not task.done
    world.advance(2.9)
    assert not task.done
    world.advance(0.2)
    task.result()


# A plain application and a client


def test_a_client_where_there_is_plain_http_only(world: World) -> None:
    app = App()

    @app.http("/chat")
    async def page(asked: Request) -> Response:
        return Response("a page")

    world.serve(app)
    task = world.connect(unreachable)
    world.run()
    error = task.error
    assert isinstance(error, HandshakeError)
    assert error.status == 405
