"""Plain functions: `def handler(request, **path_params)`, which may block."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest
from werkzeug.exceptions import Forbidden

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World
from tests.core.app.serving import answer, dial, hears, open_by_hand, serve, status_of, talk
from tests.core.helpers import CLOSE, close_payload, frame_from, parse_frames, request
from windsock.core import (
    App,
    BlockingWebSocket,
    Disconnected,
    HandshakeError,
    LocalProtocolError,
    Reject,
    Request,
    Response,
    WebSocket,
    WebSocketRequest,
)
from windsock.core.protocol.frames import Role


def routed(handler: Callable[..., Any], path: str = "/chat") -> App:
    app = App()
    app.websocket(path)(handler)
    return app


async def hello(ws: WebSocket) -> list[Any]:
    """A client that greets with both types, and closes once both are answered."""
    await ws.send("hello")
    await ws.send(b"\0")
    return [await ws.receive(), await ws.receive()]


# A conversation


def test_an_echo(world: World) -> None:
    """Text and binary keep their order and type, both ways."""

    def echo(asked: WebSocketRequest) -> None:
        with asked.accept() as websocket:
            for message in websocket:
                websocket.send(message)

    assert talk(world, routed(echo), hello) == ["hello", b"\0"]


def test_it_gets_the_placeholders_and_the_query(world: World) -> None:
    def handler(asked: WebSocketRequest, room: str, limit: int = 5) -> None:
        with asked.accept() as websocket:
            websocket.send(f"{room!r} {limit!r} {asked.args['limit']!r}")

    assert hears(world, routed(handler, "/{room}"), "/a%20b?limit=7") == ["'a b' 7 '7'", 1000]


@pytest.mark.parametrize("wrap", [functools.partial, staticmethod, lambda f: _Callable(f)])
def test_whatever_is_called_like_one(world: World, wrap: Callable[[Any], Any]) -> None:
    def handler(asked: WebSocketRequest) -> None:
        asked.accept().close(3000)

    assert hears(world, wrap(handler)) == [3000]


class _Callable:
    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    def __call__(self, asked: WebSocketRequest) -> None:
        self._function(asked)

    def method(self, asked: WebSocketRequest) -> None:
        self._function(asked)


def test_a_bound_method(world: World) -> None:
    assert hears(world, _Callable(lambda asked: asked.accept().close(3000)).method) == [3000]


# How it ends


def ends(asked: WebSocketRequest) -> None:
    with asked.accept():
        pass


def raises(asked: WebSocketRequest) -> None:
    with asked.accept():
        raise ValueError("x")


def accepts(asked: WebSocketRequest) -> None:
    asked.accept()


def closes(asked: WebSocketRequest) -> None:
    asked.accept().close(3000, "enough")


def rejects(asked: WebSocketRequest) -> None:
    asked.reject(Response("nope", 403))


def rejects_plainly(asked: WebSocketRequest) -> None:
    asked.reject()


def decides_nothing(asked: WebSocketRequest) -> None:
    pass


def closes_the_request(asked: WebSocketRequest) -> None:
    asked.close()
    asked.close()


def fails(asked: WebSocketRequest) -> None:
    raise ValueError("x")


def raises_reject(asked: WebSocketRequest) -> None:
    raise Reject(401, "who?")


def raises_http_exception(asked: WebSocketRequest) -> None:
    raise Forbidden(response=None, description="nope")


@pytest.mark.parametrize(
    ("handler", "heard", "levels"),
    [
        (ends, [1000], []),
        (raises, [1011], ["ERROR"]),
        (accepts, [1000], []),
        (closes, [3000], []),
        (rejects, [403, b"nope"], []),
        (rejects_plainly, [403, b""], []),
        (decides_nothing, [403, b""], ["WARNING"]),
        (closes_the_request, [403, b""], []),
        (fails, [500, b""], ["ERROR"]),
        (raises_reject, [401, b"who?"], []),
    ],
)
def test_how_it_ends(
    world: World,
    caplog: pytest.LogCaptureFixture,
    handler: Callable[[WebSocketRequest], None],
    heard: list[Any],
    levels: list[str],
) -> None:
    caplog.set_level(logging.INFO, "windsock")
    assert hears(world, routed(handler)) == heard
    assert [record.levelname for record in caplog.records] == levels


def test_a_http_exception_is_the_response(world: World) -> None:
    task = dial(world, routed(raises_http_exception), hello)
    assert isinstance(task.error, HandshakeError)
    assert task.error.status == 403
    assert b"nope" in task.error.body
    assert task.error.headers["content-type"] == "text/html; charset=utf-8"


# The request


def test_what_the_request_tells(world: World) -> None:
    seen: list[Any] = []

    def handler(asked: WebSocketRequest) -> None:
        seen.append((asked.method, asked.path, dict(asked.args), asked.remote_addr))
        seen.append(asked.headers.items_as_sent()[-1])
        seen.append(asked.cookies["a"])
        asked.reject()

    serve(world, handler)
    world.peer_sends(request(add=[("Cookie", "a=1"), ("X-Odd-Casing", "kept")]))
    assert seen == [
        ("WEBSOCKET", "/chat", {"room": "1"}, "192.0.2.1"),
        ("X-Odd-Casing", "kept"),
        "1",
    ]


@pytest.mark.parametrize(
    ("client", "seen"), [(("::1", 5), "::1"), ("/run/x", "/run/x"), (None,) * 2]
)
def test_the_remote_address(world: World, client: Any, seen: str | None) -> None:
    found: list[str | None] = []

    def handler(asked: WebSocketRequest) -> None:
        found.append(asked.remote_addr)
        asked.reject()

    dial(world, handler, hello, client=client)
    assert found == [seen]


def test_its_state_and_scope_are_the_websockets(world: World) -> None:
    app = App(state={"from": "the application"})

    @app.websocket("/chat")
    def handler(asked: WebSocketRequest) -> None:
        asked.state["also"] = "from here"
        asked.scope["more"] = True
        with asked.accept() as websocket:
            assert websocket.state is asked.state
            assert websocket.request.scope is asked.scope
            assert asked.app is app
            websocket.send(" ".join(websocket.state.values()))

    assert hears(world, app) == ["the application from here", 1000]


def test_what_it_is_once_decided(world: World) -> None:
    seen: list[tuple[bool, bool]] = []

    def handler(asked: WebSocketRequest) -> None:
        seen.append((asked.is_upgraded(), asked.is_rejected()))
        asked.accept()
        seen.append((asked.is_upgraded(), asked.is_rejected()))
        asked.close()  # too late to mean anything

    assert hears(world, handler) == [1000]
    assert seen == [(False, False), (True, False)]


def test_what_it_is_once_rejected(world: World) -> None:
    seen: list[tuple[bool, bool]] = []

    def handler(asked: WebSocketRequest) -> None:
        asked.reject()
        seen.append((asked.is_upgraded(), asked.is_rejected()))

    assert hears(world, handler) == [403, b""]
    assert seen == [(False, True)]


def test_accept_with_a_subprotocol_and_headers(world: World) -> None:
    def handler(asked: WebSocketRequest) -> None:
        with asked.accept("chat", {"X-Mine": "1"}) as websocket:
            assert websocket.subprotocol == "chat"

    async def body(ws: WebSocket) -> tuple[str | None, str]:
        assert ws.response_headers is not None
        return ws.subprotocol, ws.response_headers["x-mine"]

    assert talk(world, handler, body, subprotocols=("other", "chat")) == ("chat", "1")


@pytest.mark.parametrize("first", ["accept", "reject"])
@pytest.mark.parametrize("second", ["accept", "reject"])
def test_a_second_decision_is_an_error(world: World, first: str, second: str) -> None:
    caught: list[BaseException] = []

    def handler(asked: WebSocketRequest) -> None:
        getattr(asked, first)()
        with pytest.raises(LocalProtocolError, match=second) as info:
            getattr(asked, second)()
        caught.append(info.value)

    hears(world, handler)
    assert len(caught) == 1


# The end of the peer


@pytest.mark.parametrize(
    ("payload", "code"), [(close_payload(1000), 1000), (b"", 1005), (close_payload(3000), 3000)]
)
def test_what_a_receive_after_the_end_raises(world: World, payload: bytes, code: int) -> None:
    seen: list[int] = []

    def handler(asked: WebSocketRequest) -> None:
        websocket = asked.accept()
        world.to_server.data += frame_from(Role.CLIENT, CLOSE, payload)
        for _ in range(2):
            with pytest.raises(Disconnected) as info:
                websocket.receive()
            seen.append(info.value.code)
        assert websocket.receive(default=None) is None

    serving = open_by_hand(world, handler)
    world.peer_ends()
    serving.result()
    assert seen == [code, code]


@pytest.mark.parametrize(("code", "silent"), [(1000, True), (1001, True), (3000, False)])
def test_how_iteration_ends(world: World, code: int, silent: bool) -> None:
    seen: list[Any] = []

    def handler(asked: WebSocketRequest) -> None:
        try:
            seen.extend(asked.accept())
        except Disconnected as gone:
            seen.append(gone.code)

    async def body(ws: WebSocket) -> None:
        await ws.send("1")
        await ws.close(code)

    talk(world, handler, body)
    assert seen == (["1"] if silent else ["1", code])


def test_a_client_that_goes_while_it_decides(world: World) -> None:
    caught: list[str] = []

    def handler(asked: WebSocketRequest) -> None:
        world.peer_ends()
        for decide in (asked.accept, asked.reject):
            with pytest.raises(Disconnected):
                decide()
            caught.append("gone")

    open_by_hand(world, handler).result()
    assert caught == ["gone", "gone"]


@pytest.mark.parametrize("data", [None, 1, ["x"]])
def test_what_is_no_message(world: World, data: Any) -> None:
    def handler(asked: WebSocketRequest) -> None:
        with asked.accept() as websocket:
            with pytest.raises(TypeError, match="a message is str or bytes-like, not"):
                websocket.send(data)

    assert hears(world, handler) == [1000]


# Mistakes


def test_a_function_around_a_coroutine_function(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What many decorators make of a handler."""

    async def handler(ws: WebSocket) -> None:
        """Would not run."""

    def decorated(ws: Any) -> Coroutine[Any, Any, None]:
        return handler(ws)

    assert hears(world, routed(decorated)) == [500, b""]
    assert "ordinary function that returned a coroutine: make it an async def" in caplog.text


def test_a_function_around_an_async_generator(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(scope: Any) -> AsyncGenerator[None]:
        yield

    assert hears(world, routed(lambda asked: handler(asked))) == [500, b""]
    assert "returned a async_generator" in caplog.text


# Plain HTTP


def test_plain_http_in_a_plain_function(world: World) -> None:
    app = App()

    @app.http("/add/{a:int}")
    def add(asked: Request, a: int, b: int = 1) -> Response:
        return Response(str(a + b))

    assert answer(world, app, "GET /add/2?b=3")[2] == b"5"


def test_a_query_that_does_not_convert(make_world: MakeWorld) -> None:
    app = App()

    @app.route("/add", ["GET", "WS"])
    def add(asked: Request, b: int = 1) -> Response:
        raise AssertionError

    status, _, body = answer(make_world(), app, "GET /add?b=x")
    assert (status, body[:25]) == (400, b"The query parameter 'b' m")
    assert status_of(make_world(), app, "/add?b=x") == 400


@pytest.mark.parametrize("made", [None, "ok", 200, (200, "ok")])
def test_what_is_no_response(world: World, caplog: pytest.LogCaptureFixture, made: object) -> None:
    app = App()
    app.http("/")(lambda asked: made)
    assert answer(world, app, "GET /")[0] == 500
    assert f"the handler of '/' returned {type(made).__name__}, not a Response" in caplog.text


def test_a_function_around_a_coroutine_function_for_plain_http(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(asked: Request) -> Response:
        raise AssertionError

    app = App()
    app.http("/")(lambda asked: handler(asked))
    assert answer(world, app, "GET /")[0] == 500
    assert "make it an async def function, too" in caplog.text


def test_without_a_server_it_runs_where_it_is_called(world: World) -> None:
    """As a test of an application, or a tool, calls it."""
    app = App()
    app.http("/")(lambda asked: Response("ok"))
    channel, _ = world.add_client()
    found = world.do(app.handle_http(Request(channel.connection.request)))
    assert found.status == 404
    head = channel.connection.request
    app.http("/chat")(lambda asked: Response("ok"))
    assert world.do(app.handle_http(Request(head))).body == b"ok"


def test_the_peer_sees_whole_frames(world: World) -> None:
    def handler(asked: WebSocketRequest) -> None:
        with asked.accept() as websocket:
            assert isinstance(websocket, BlockingWebSocket)
            websocket.send("x")

    serving = open_by_hand(world, handler)
    assert not serving.done
    sent = world.peer_got().partition(b"\r\n\r\n")[2]
    assert [one.payload for one in parse_frames(sent, Role.SERVER)] == [b"x", close_payload(1000)]
