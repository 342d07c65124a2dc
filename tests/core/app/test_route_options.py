"""What a WebSocket route asks for besides its path."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World, unreachable
from tests.core.app.serving import dial, hears, open_by_hand, serve, status_of, talk
from tests.core.helpers import CLOSE, frame_from, parse_response, request
from windsock.core import (
    App,
    Config,
    Deflate,
    Disconnected,
    MessageTypeError,
    Response,
    Router,
    WebSocket,
)
from windsock.core.protocol.frames import Role


def routed(handler: Any, **options: Any) -> App:
    app = App()
    app.websocket("/chat", **options)(handler)
    return app


# What messages are

SENT = {
    "text": ("x", "x"),
    "bytes": (b"x", b"x"),
    "json": ({"a": ["é", None]}, '{"a":["é",null]}'),
    "event": ({"type": "websocket.send", "text": "x"}, "x"),
}
RECEIVED = {
    "text": ("x", "x"),
    "bytes": (b"x", b"x"),
    "json": ('{"a": 1}', {"a": 1}),
    "event": ("x", {"type": "websocket.receive", "text": "x"}),
}


@pytest.mark.parametrize("option", ["value_type", "send_type"])
@pytest.mark.parametrize("kind", SENT)
def test_what_send_takes(world: World, option: str, kind: str) -> None:
    given, heard = SENT[kind]

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.send(given)

    assert hears(world, routed(handler, **{option: kind})) == [heard, 1000]


@pytest.mark.parametrize("option", ["value_type", "receive_type"])
@pytest.mark.parametrize("kind", RECEIVED)
@pytest.mark.parametrize("iterating", [True, False])
def test_what_receive_gives(world: World, option: str, kind: str, iterating: bool) -> None:
    sent, expected = RECEIVED[kind]
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            if iterating:
                seen.extend([message async for message in ws])
            else:
                seen.append(await ws.receive())

    async def body(ws: WebSocket) -> None:
        await ws.send(sent)

    talk(world, routed(handler, **{option: kind}), body)
    assert seen == [expected]


def test_one_type_for_each_way(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.send({"got": await ws.receive()})

    async def body(ws: WebSocket) -> Any:
        await ws.send("x")
        return await ws.receive_json()

    app = routed(handler, receive_type="text", send_type="json")
    assert talk(world, app, body) == {"got": "x"}


@pytest.mark.parametrize(
    ("kind", "given", "error"),
    [
        ("text", b"x", TypeError),
        ("text", None, TypeError),
        ("bytes", "x", TypeError),
        ("bytes", 1, TypeError),
        ("json", {1, 2}, TypeError),
        ("event", {"type": "websocket.send"}, Exception),
    ],
)
def test_what_cannot_be_sent(world: World, kind: str, given: Any, error: type[Exception]) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            with pytest.raises(error):
                await ws.send(given)

    assert hears(world, routed(handler, value_type=kind)) == [1000]


@pytest.mark.parametrize(
    ("kind", "sent", "error"),
    [
        ("text", b"x", MessageTypeError),
        ("bytes", "x", MessageTypeError),
        ("json", "{", ValueError),
        ("json", "", ValueError),
        ("json", b"\xff", ValueError),
    ],
)
def test_what_is_not_of_the_type(
    world: World, kind: str, sent: Any, error: type[Exception]
) -> None:
    seen: list[bool] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            with pytest.raises(error):
                await ws.receive()
            seen.append(True)

    async def body(ws: WebSocket) -> None:
        await ws.send(sent)

    talk(world, routed(handler, value_type=kind), body)
    assert seen == [True]


# Which disconnects are swallowed

CODES = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1015]
# A peer can close with these; 1005 is a Close frame without a code, 1006 none at all.
SENDABLE = [code for code in CODES if code != 1015]

TABLE: list[tuple[Any, int, bool]] = [
    *((True, code, True) for code in SENDABLE),
    *((False, code, False) for code in SENDABLE),
    *(({1000, 1001}, code, code in {1000, 1001}) for code in SENDABLE),
    (set[int](), 1000, False),
    ([1000], 1000, True),
    ([1000], 1001, False),
    (iter([1006]), 1006, True),
    (range(1000, 1002), 1001, True),
    ({3000}, 3000, True),
]
assert len(TABLE) == 39


@pytest.mark.parametrize(("catch", "code", "swallowed"), TABLE)
def test_catch_disconnect(world: World, catch: Any, code: int, swallowed: bool) -> None:
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async with ws:
                await ws.receive()
            seen.append("went on")
        except Disconnected as gone:
            seen.append(gone.code)

    serving = open_by_hand(world, routed(handler, catch_disconnect=catch))
    if code != 1006:
        payload = b"" if code == 1005 else code.to_bytes(2, "big")
        world.peer_sends(frame_of_client(payload))
    world.peer_ends()
    serving.result()
    assert seen == ["went on" if swallowed else code]


def frame_of_client(payload: bytes) -> bytes:
    return frame_from(Role.CLIENT, CLOSE, payload)


def test_every_disconnect_is_swallowed_by_default(world: World) -> None:
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive()
        seen.append(ws.catch_disconnect)

    open_by_hand(world, routed(handler))
    world.peer_ends()
    assert seen == [True]


# Accepting


async def says_nothing(ws: WebSocket) -> None:
    """Returns at once."""


async def enters(ws: WebSocket) -> None:
    async with ws:
        async with ws:
            await ws.send("x")
        await ws.send("y")


async def fails(ws: WebSocket) -> None:
    raise ValueError("x")


async def rejects(ws: WebSocket) -> None:
    await ws.reject()


async def closes(ws: WebSocket) -> None:
    await ws.close(4242)
    await ws.close(4243)


async def accepts(ws: WebSocket) -> None:
    await ws.accept()
    async with ws:
        await ws.send("x")


@pytest.mark.parametrize(
    ("handler", "true", "none", "false"),
    [
        (says_nothing, [1000], [403, b""], [403, b""]),
        (enters, ["x", "y", 1000], ["x", "y", 1000], [403, b""]),
        (accepts, [1011], ["x", 1000], ["x", 1000]),
        (fails, [1011], [500, b""], [500, b""]),
        (closes, [4242], [403, b""], [403, b""]),
        (rejects, [1011], [403, b""], [403, b""]),
    ],
)
def test_auto_accept(
    make_world: MakeWorld, handler: Any, true: list[Any], none: list[Any], false: list[Any]
) -> None:
    assert hears(make_world(), routed(handler, auto_accept=True)) == true
    assert hears(make_world(), routed(handler, auto_accept=None)) == none
    assert hears(make_world(), routed(handler)) == none
    assert hears(make_world(), routed(handler, auto_accept=False)) == false


def test_a_query_that_does_not_convert_is_not_accepted(world: World) -> None:
    async def handler(ws: WebSocket, limit: int = 5) -> None:
        raise AssertionError

    assert status_of(world, routed(handler, auto_accept=True), "/chat?limit=x") == 400


def test_arguments_of_what_is_accepted(world: World) -> None:
    async def handler(ws: WebSocket, limit: int = 5) -> None:
        await ws.send(str(limit))

    app = routed(handler, auto_accept=True)
    assert hears(world, app, "/chat?limit=7") == ["7", 1000]


def test_a_client_that_goes_before_it_is_accepted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def slow(ws: WebSocket, call_next: Any) -> Any:
        world.peer_ends()
        return await call_next(ws)

    open_by_hand(world, routed(unreachable, middleware=[slow], auto_accept=True)).result()
    assert world.peer_got() == b""
    assert "ERROR" not in caplog.text


# Subprotocols


@pytest.mark.parametrize(
    ("offered", "preferred", "agreed"),
    [
        ((), ["a"], None),
        (("a", "b"), [], None),
        (("a", "b"), ["b", "a"], "b"),
        (("a", "b"), ["c", "a"], "a"),
        (("a",), ["c"], None),
        (("A",), ["a"], None),
    ],
)
def test_subprotocols(
    world: World, offered: tuple[str, ...], preferred: list[str], agreed: str | None
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send(str(ws.subprotocol))

    app = routed(handler, subprotocols=iter(preferred))
    assert hears(world, app, subprotocols=offered) == [str(agreed), 1000]


def test_accept_goes_before_the_preferred(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept("b")
        await ws.send(str(ws.subprotocol))

    app = routed(handler, subprotocols=["a"])
    assert hears(world, app, subprotocols=("a", "b")) == ["b", 1000]


# Origins (RFC 6455 §10.2)


def status_from(world: World, app: App, origin: str, path: str = "/chat") -> int:
    serve(world, app)
    world.peer_sends(request(line=f"GET {path} HTTP/1.1", add=[("Origin", origin)]))
    return parse_response(world.peer_got())[0]


ELSEWHERE = "https://app.example"


@pytest.mark.parametrize(
    ("config", "route", "other", "mounted"),
    [
        # what Config.origins says holds for routes without origins of their own
        ((), None, 403, 403),
        ((ELSEWHERE,), None, 418, 418),
        (("*",), None, 418, 418),
        ((), [ELSEWHERE], 418, 403),
        ((), ["*"], 418, 403),
        (("*",), [], 403, 418),
        ((ELSEWHERE,), ["https://other.example"], 403, 418),
    ],
)
def test_origins(
    make_world: MakeWorld,
    config: tuple[str, ...],
    route: list[str] | None,
    other: int,
    mounted: int,
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(418)

    def build(inside: bool) -> App:
        """With origins on the outer application's route, or on the mounted one's."""
        outer, inner = App(), App()
        with_own, without = (inner, outer) if inside else (outer, inner)
        with_own.websocket("/chat", origins=None if route is None else iter(route))(handler)
        without.websocket("/chat")(handler)
        outer.mount("/in", inner)
        return outer

    for inside in (True, False):
        own, plain = ("/in/chat", "/chat") if inside else ("/chat", "/in/chat")
        app = build(inside)
        assert status_from(make_world(origins=config), app, ELSEWHERE, own) == other
        app = build(inside)
        assert status_from(make_world(origins=config), app, ELSEWHERE, plain) == mounted
        app = build(inside)
        assert status_from(make_world(origins=config), app, "http://example.com", own) == 418


def test_no_handler_is_run_for_a_foreign_page(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    for app in (routed(unreachable), routed(unreachable, origins=[]), unreachable):
        assert status_from(make_world(), app, ELSEWHERE) == 403  # type: ignore[arg-type]  # either
    assert caplog.records == []


# Limits and compression


def test_limits(world: World) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            assert ws.config.max_message_size == 3
            assert ws.config.ping_interval == Config().ping_interval
            await ws.receive()
            await ws.receive()

    async def body(ws: WebSocket) -> int:
        await ws.send("xyz")
        await ws.send("four")
        with pytest.raises(Disconnected) as info:
            await ws.receive()
        return info.value.code

    assert talk(world, routed(handler, limits={"max_message_size": 3}), body) == 1009


def test_limits_of_one_route_alone(make_world: MakeWorld) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.send(f"{ws.config.max_message_size} {ws.config.close_timeout}")

    app = routed(handler, limits={"close_timeout": 2})
    app.websocket("/other")(handler)
    world = make_world(max_message_size=77)
    assert hears(world, app) == ["77 2", 1000]
    assert hears(make_world(), app, "/other") == ["1048576 10.0", 1000]


DEFLATE = Deflate(server_max_window_bits=9)


@pytest.mark.parametrize(
    ("config", "route", "agreed"),
    [
        (None, None, False),
        (None, True, True),
        (None, DEFLATE, True),
        (None, False, False),
        (Deflate(), None, True),
        (Deflate(), False, False),
        (Deflate(), DEFLATE, True),
    ],
)
def test_compression(
    make_world: MakeWorld, config: Deflate | None, route: Any, agreed: bool
) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            pass

    async def body(ws: WebSocket) -> str:
        assert ws.response_headers is not None
        return ws.response_headers.get("sec-websocket-extensions", "")

    world = make_world(compression=config)
    app = routed(handler, compression=route)
    extensions = talk(world, app, body, config=Config(compression=Deflate()))
    assert ("permessage-deflate" in extensions) == agreed
    assert ("server_max_window_bits=9" in extensions) == (route is DEFLATE)


# What is no such option


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_type": "xml"}, "value_type of '/x' is one of text, bytes, json, event, not 'xml'"),
        ({"receive_type": str}, "receive_type of '/x' is one of text, bytes, json, event, not"),
        ({"send_type": ""}, "send_type of '/x' is one of"),
        ({"value_type": "text", "send_type": "text"}, "value_type of '/x' sets both"),
        ({"value_type": "text", "receive_type": "text"}, "value_type of '/x' sets both"),
        ({"auto_accept": "no"}, "auto_accept of '/x' is True, False or None, not 'no'"),
        ({"auto_accept": 1}, "auto_accept of '/x' is True, False or None, not 1"),
        ({"catch_disconnect": 1000}, "catch_disconnect of '/x' is True, False or a set of close"),
        ({"catch_disconnect": None}, "catch_disconnect of '/x' is True, False or a set"),
        ({"catch_disconnect": "1000"}, "catch_disconnect of '/x' is True, False or a set"),
        ({"catch_disconnect": ["1000"]}, "catch_disconnect of '/x' is True, False or a set"),
        ({"subprotocols": "chat"}, "subprotocols of '/x' are a list of tokens, not 'chat'"),
        ({"subprotocols": ["a b"]}, "subprotocols of '/x' are a list of tokens, not ['a b']"),
        ({"subprotocols": [1]}, "subprotocols of '/x' are a list of tokens, not [1]"),
        ({"subprotocols": None}, "subprotocols of '/x' are a list of tokens, not None"),
        ({"origins": "https://a.example"}, "origins of '/x' are a list, such as ['https://a"),
        ({"origins": [1]}, "origins of '/x' are a list such as"),
        ({"origins": ["a\nb"]}, "origins of '/x' are a list such as"),
        ({"origins": 1}, "origins of '/x' are a list such as"),
        ({"compression": "on"}, "compression of '/x' is True, False or a Deflate, not 'on'"),
        ({"compression": 1}, "compression of '/x' is True, False or a Deflate, not 1"),
        ({"limits": {"max_head_size": 1}}, "limits of '/x' are close_timeout, inbox_high_water"),
        ({"limits": {1: 1}}, "limits of '/x' are"),
        ({"limits": ["max_message_size"]}, "limits of '/x' are a dict, not"),
        ({"limits": {"max_message_size": 0}}, "limits of '/x': Config.max_message_size must be"),
        ({"limits": {"ping_interval": "1"}}, "limits of '/x': Config.ping_interval must be a"),
    ],
)
@pytest.mark.parametrize("make", [App, Router])
def test_every_mistake_names_the_route_and_the_option(
    make: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        make().websocket("/x", **options)(unreachable)


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match="colour"):
        App().add_route("/x", "WS", unreachable, colour="blue")


def test_plain_http_of_the_same_route_has_its_middleware(world: World) -> None:
    async def refuse(asked: Any, call_next: Any) -> Response:
        return Response(status=401)

    app = App()
    app.route("/chat", ["GET", "WS"], middleware=[refuse], value_type="json")(unreachable)
    task = dial(world, app, unreachable)
    assert getattr(task.error, "status", None) == 401
