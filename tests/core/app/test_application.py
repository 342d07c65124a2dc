"""`App`: handlers by path, and what else can be served."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World, unreachable
from tests.core.helpers import head, parse_response
from windsock.core import (
    App,
    HandshakeError,
    Reject,
    Request,
    Response,
    Router,
    WebSocket,
    as_app,
)
from windsock.core.protocol.uri import parse_uri


async def name_it(ws: WebSocket, **params: str) -> None:
    async with ws:
        await ws.send(f"{ws.path_params} {params}")


async def first_message(ws: WebSocket) -> str | bytes:
    return await ws.receive()


def status_of(world: World, app: App, target: str) -> int | None:
    """What a client gets that wants a WebSocket there."""
    uri = parse_uri(f"ws://example.com{target}")
    world.serve(app)
    task = world.connect(first_message, uri)
    world.run()
    if isinstance(task.error, HandshakeError):
        return task.error.status
    task.result()
    return 101


def answer(world: World, app: App, line: str) -> tuple[int, dict[str, str], bytes]:
    """What a plain HTTP request gets; without the fields that all responses have."""
    serving = world.serve(app)
    world.peer_sends(head(line, [("Host", "example.com")]))
    status, headers, body = parse_response(world.peer_got())
    world.peer_ends()
    assert serving.done
    fields = dict(headers)
    del fields["connection"], fields["content-length"]
    return status, fields, body


# WebSockets


def test_a_handler_gets_the_websocket_and_the_placeholders(world: World) -> None:
    app = App()
    app.websocket("/chat/{room}/{name}")(name_it)
    world.serve(app)
    task = world.connect(first_message, parse_uri("ws://example.com/chat/one%20x/me?q=1"))
    world.run()
    params = {"room": "one x", "name": "me"}
    assert task.result() == f"{params} {params}"


def test_a_websocket_for_which_there_is_no_handler(world: World) -> None:
    app = App()
    app.websocket("/chat")(unreachable)
    assert status_of(world, app, "/other") == 404


@pytest.mark.parametrize(
    ("given", "seen"), [(True, True), (False, False), ({1001, 3000}, {1001, 3000})]
)
def test_which_disconnects_are_swallowed_is_the_routes_to_say(
    world: World, given: Any, seen: Any
) -> None:
    app = App()
    found: list[object] = []

    @app.websocket("/chat", catch_disconnect=given)
    async def handler(ws: WebSocket) -> None:
        found.append(ws.catch_disconnect)
        await ws.reject()

    assert status_of(world, app, "/chat") == 403
    assert found == [seen]


def test_swallowed_codes_are_looked_at_once() -> None:
    app = App()
    codes = iter([1001])
    app.websocket("/", catch_disconnect=codes)(unreachable)
    assert list(codes) == []


# Plain HTTP


def test_a_http_handler_gets_the_request_and_the_placeholders(world: World) -> None:
    app = App()

    @app.http("/hello/{name}", methods=["GET", "PUT"])
    async def hello(asked: Request, name: str) -> Response:
        return Response(f"{asked.method} {asked.path} {name}")

    assert answer(world, app, "PUT /hello/you%21?x HTTP/1.1") == (
        200,
        {"content-type": "text/plain; charset=utf-8"},
        b"PUT /hello/you! you!",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /health HTTP/1.1", (200, {"content-type": "text/plain; charset=utf-8"}, b"ok")),
        ("HEAD /health HTTP/1.1", (200, {"content-type": "text/plain; charset=utf-8"}, b"")),
        ("PUT /health HTTP/1.1", (405, {"allow": "GET, HEAD"}, b"")),
        ("GET /none HTTP/1.1", (404, {}, b"")),
        ("GET /chat HTTP/1.1", (426, {"upgrade": "websocket"}, b"")),
        ("GET /secret HTTP/1.1", (401, {"x": "1"}, b"")),
    ],
)
def test_plain_requests(
    world: World, line: str, expected: tuple[int, dict[str, str], bytes]
) -> None:
    app = App()
    app.websocket("/chat")(unreachable)

    @app.http("/health")
    async def health(asked: Request) -> Response:
        return Response("ok")

    @app.http("/secret")
    async def secret(asked: Request) -> Response:
        raise Reject(401, headers={"X": "1"})

    assert answer(world, app, line) == expected


def test_a_http_handler_that_returns_no_response(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()

    @app.http("/")
    async def wrong(asked: Request) -> Any:
        return "ok"

    assert answer(world, app, "GET / HTTP/1.1")[0] == 500
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "the handler of '/' returned str, not a Response" in caplog.text


# Handlers


async def function(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send("here")


async def function_of_two(greeting: str, ws: WebSocket) -> None:
    await ws.accept()
    await ws.send(greeting)


class Handler:
    async def __call__(self, ws: WebSocket) -> None:
        await function(ws)

    async def method(self, ws: WebSocket) -> None:
        await function(ws)

    @classmethod
    async def of_class(cls, ws: WebSocket) -> None:
        await function(ws)

    @staticmethod
    async def static(ws: WebSocket) -> None:
        await function(ws)


GOOD_HANDLERS = [
    function,
    partial(function_of_two, "here"),
    partial(partial(function_of_two), "here"),
    Handler(),
    Handler().method,
    Handler.of_class,
    Handler.static,
]


BAD_HANDLERS = [Handler, WebSocket, None, "module:app", sys, 1, App(), Router()]


@pytest.mark.parametrize("handler", GOOD_HANDLERS)
def test_what_can_handle_websockets(world: World, handler: Any) -> None:
    app = App()
    assert app.websocket("/")(handler) is handler
    world.serve(app)
    task = world.connect(first_message, uri=parse_uri("ws://example.com/"))
    world.run()
    assert task.result() == "here"


@pytest.mark.parametrize("handler", GOOD_HANDLERS)
def test_what_can_be_served_for_every_path(world: World, handler: Any) -> None:
    world.serve(as_app(handler))
    task = world.connect(first_message)
    world.run()
    assert task.result() == "here"


@pytest.mark.parametrize("handler", BAD_HANDLERS, ids=repr)
def test_what_cannot_handle_anything(handler: Any) -> None:
    app = App()
    with pytest.raises(TypeError, match="the handler of '/a' must be a function, not"):
        app.websocket("/a")(handler)
    with pytest.raises(TypeError, match="the plain HTTP handler of '/b' must be a function of the"):
        app.http("/b")(handler)


@pytest.mark.parametrize("application", [one for one in BAD_HANDLERS if not isinstance(one, App)])
def test_what_cannot_be_served(application: Any) -> None:
    with pytest.raises(TypeError, match="an App or a WebSocket handler is needed, not"):
        as_app(application)


def test_an_app_is_served_as_it_is() -> None:
    app = App()
    assert as_app(app) is app


def test_a_handler_of_all_websockets_answers_no_plain_request(world: World) -> None:
    """RFC 9110 §15.5.22: it says what to ask for instead."""
    found = answer(world, as_app(unreachable), "GET / HTTP/1.1")
    assert found == (426, {"upgrade": "websocket"}, b"")


def test_a_wrong_handler_leaves_the_path_free(world: World) -> None:
    app = App()
    with pytest.raises(TypeError):
        app.websocket("/chat")(None)  # type: ignore[type-var]  # that is the point
    app.websocket("/chat")(function)
    assert status_of(world, app, "/chat") == 101


def test_a_path_has_one_handler() -> None:
    app = App()
    app.websocket("/chat")(unreachable)
    with pytest.raises(ValueError, match="already"):
        app.websocket("/chat")(unreachable)
    app.http("/chat")(unreachable)
    with pytest.raises(ValueError, match="already"):
        app.http("/chat", methods=("POST", "GET"))(unreachable)


def test_one_method_may_stand_alone_but_none_at_all_is_refused(make_world: MakeWorld) -> None:
    app = App()

    @app.http("/only", methods="POST")
    async def only(request: Request) -> Response:
        return Response("posted")

    assert answer(make_world(), app, "POST /only HTTP/1.1")[2] == b"posted"
    assert answer(make_world(), app, "GET /only HTTP/1.1")[:2] == (405, {"allow": "POST"})
    with pytest.raises(ValueError, match="'/none' needs at least one method"):
        app.http("/none", methods=())(unreachable)


def test_a_method_is_no_websocket(world: World) -> None:
    """No client gets to a WebSocket handler by a method of that name."""
    assert answer(world, _both(), "WEBSOCKET /both HTTP/1.1")[:2] == (405, {"allow": "GET, HEAD"})


def test_a_websocket_where_there_is_plain_http_only(world: World) -> None:
    app = App()
    app.http("/page")(unreachable)
    assert status_of(world, app, "/page") == 405


def test_one_handler_for_both(make_world: MakeWorld) -> None:
    app = _both()
    assert answer(make_world(), app, "GET /both HTTP/1.1")[2] == b"a page"
    assert status_of(make_world(), app, "/both") == 101


def _both() -> App:
    app = App()

    @app.route("/both", ["GET", "WS"])
    async def both(asked: WebSocket | Request) -> Response | None:
        if isinstance(asked, Request):
            return Response("a page")
        await function(asked)
        return None

    return app
