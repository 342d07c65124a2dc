"""Four arguments: `async def handler(scope, info, matches, web_socket)`."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.core.app.link import World
from tests.core.app.serving import hears, open_by_hand, talk
from tests.core.helpers import CLOSE, close_payload, frame_from
from windsock.core import (
    App,
    Disconnected,
    FourArgumentsRequest,
    FourArgumentsWebSocket,
    LocalProtocolError,
    WebSocket,
    four_arguments,
)
from windsock.core.protocol.frames import Role


def test_an_echo_of_every_message(world: World) -> None:
    """`receive` gives None at the end, and only then: an empty message is none."""
    seen: list[Any] = []

    @four_arguments
    async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        await web_socket.accept()
        while (message := await web_socket.receive()) is not None:
            seen.append(message)
            await web_socket.send(message)
        seen.append(web_socket.code)

    async def body(ws: WebSocket) -> list[Any]:
        for message in ("hello", "", b"", b"\0"):
            await ws.send(message)
        heard = [await ws.receive() for _ in range(4)]
        await ws.close(3000)
        return heard

    assert talk(world, handler, body) == ["hello", "", b"", b"\0"]
    assert seen == ["hello", "", b"", b"\0", 3000]


def test_the_four(world: World) -> None:
    app = App(state={"db": "a database"})
    seen: list[Any] = []

    @app.websocket("/rooms/{room}/{number:int}")
    @four_arguments
    async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        seen.extend([scope["path"], info, matches, web_socket.code])
        assert info is app.state
        assert isinstance(web_socket, FourArgumentsWebSocket)
        await web_socket.close()

    assert hears(world, app, "/rooms/a/1") == [403, b""]
    assert seen == ["/rooms/a/1", {"db": "a database"}, {"room": "a", "number": 1}, None]


def test_one_argument_with_the_four_as_attributes(world: World) -> None:
    app = App(state={"db": "a database"})

    @app.websocket("/{room}")
    @four_arguments
    async def handler(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        request.context["more"] = "context"
        assert request.scope["state"] is request.context
        await request.web_socket.accept()
        await request.web_socket.send(f"{request.info} {request.matches} {request.context}")

    told = "{'db': 'a database'} {'room': 'x'} {'db': 'a database', 'more': 'context'}"
    assert hears(world, app, "/x") == [told, 1000]


def test_accept_with_a_subprotocol_and_headers_of_bytes(world: World) -> None:
    @four_arguments
    async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        await web_socket.accept("chat", [(b"x-mine", b"1"), (b"x-mine", b"2")])

    async def body(ws: WebSocket) -> tuple[Any, list[str]]:
        assert ws.response_headers is not None
        return ws.subprotocol, ws.response_headers.get_all("x-mine")

    assert talk(world, handler, body, subprotocols=("chat",)) == ("chat", ["1", "2"])


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1005), (close_payload(1000), 1000), (None, 1006)]
)
def test_the_code_at_the_end(world: World, payload: bytes | None, code: int) -> None:
    seen: list[Any] = []

    @four_arguments
    async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        await web_socket.accept()
        seen.extend([web_socket.code, await web_socket.receive(), web_socket.code])
        with pytest.raises(Disconnected):
            await web_socket.send("too late")

    serving = open_by_hand(world, handler)
    if payload is not None:
        world.peer_sends(frame_from(Role.CLIENT, CLOSE, payload))
    world.peer_ends()
    serving.result()
    assert seen == [None, None, code]


@pytest.mark.parametrize("data", [None, 1, {"text": "x"}])
def test_what_is_no_message(world: World, data: Any) -> None:
    @four_arguments
    async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        with pytest.raises(LocalProtocolError):
            await web_socket.receive()
        await web_socket.accept()
        with pytest.raises(TypeError):
            await web_socket.send(data)
        await web_socket.close(3000)

    assert hears(world, handler) == [3000]


def test_without_an_application_there_is_no_info(world: World) -> None:
    channel, _ = world.add_client()
    ws = WebSocket(channel, world.server, world.open()[1].request)
    assert FourArgumentsRequest.of(ws).info == {}


# What can be marked


class Views:
    async def bound(self, scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
        await web_socket.close()

    async def __call__(self, request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.close()


async def with_options(request: Any, *, loud: bool = False) -> None:
    await request.web_socket.close()


async def with_defaults(scope: Any, info: Any, matches: Any, ws: Any, more: str = "") -> None:
    await ws.close()


async def with_more(more: str, scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
    await web_socket.close()


@pytest.mark.parametrize(
    "function",
    [Views().bound, Views(), with_options, with_defaults, functools.partial(with_more, "x")],
)
def test_what_can_be_marked(world: World, function: Any) -> None:
    assert hears(world, four_arguments(function)) == [403, b""]


async def of_none() -> None: ...
async def of_three(a: Any, b: Any, c: Any) -> None: ...
async def of_five(a: Any, b: Any, c: Any, d: Any, e: Any) -> None: ...
async def of_any(*arguments: Any) -> None: ...
async def of_names(request: Any, *, name: str) -> None: ...


@pytest.mark.parametrize("function", [of_none, of_three, of_five, of_any, of_names])
def test_other_numbers_of_arguments(function: Any) -> None:
    with pytest.raises(TypeError, match=rf"{function.__name__} takes \("):
        four_arguments(function)


@pytest.mark.parametrize("function", [lambda a, b, c, d: None, None, Views])
def test_what_is_no_coroutine_function(function: Any) -> None:
    with pytest.raises(TypeError, match="@four_arguments needs an async def function, not"):
        four_arguments(function)


def test_a_middleware_is_no_handler() -> None:
    @four_arguments
    async def middleware(request: Any, handler: Any) -> None: ...

    with pytest.raises(TypeError, match=r"middleware of '/x' takes two arguments, which makes it"):
        App().websocket("/x")(middleware)


def test_it_is_no_plain_http_handler() -> None:
    with pytest.raises(TypeError, match="the plain HTTP handler of '/x' must be a function of"):
        App().http("/x")(four_arguments(with_options))


def test_the_undecorated_function_is_still_there(world: World) -> None:
    @four_arguments
    async def handler(request: Any) -> Any:
        return request

    assert world.do(handler("as it was")) == "as it was"
