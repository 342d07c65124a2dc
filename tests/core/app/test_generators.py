"""Async generators: `async def handler(scope, receiver, *path_params)`, which yields what to do."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import Cancelled, World
from tests.core.app.serving import hears, open_by_hand, serve, status_of, talk
from tests.core.helpers import (
    CLOSE,
    TEXT,
    close_payload,
    frame_from,
    parse_frames,
)
from windsock.core import (
    App,
    Disconnected,
    LocalProtocolError,
    Reject,
    WebSocket,
    as_app,
    generator_handler,
    ws_accept,
    ws_close,
    ws_send,
)
from windsock.core.protocol.frames import Role

Events = AsyncGenerator[Any, None]
Receiver = AsyncIterator[str | bytes]


def closing(code: int) -> bytes:
    return frame_from(Role.CLIENT, CLOSE, close_payload(code))


def text(message: str) -> bytes:
    return frame_from(Role.CLIENT, TEXT, message.encode())


def close_codes(world: World) -> list[int]:
    """The codes of the Close frames that the server has sent."""
    sent = world.peer_got().partition(b"\r\n\r\n")[2]
    frames = parse_frames(sent, Role.SERVER)
    return [int.from_bytes(one.payload[:2], "big") for one in frames if one.opcode == CLOSE]


class Diary:
    """Callbacks that note that they were called."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    async def on_connect(self, scope: Any) -> dict[str, Any]:
        self.notes.append("connect")
        return ws_accept()

    async def on_disconnect(self, scope: Any, code: int) -> None:
        self.notes.append(("disconnect", code))

    async def on_close(self, scope: Any, code: int) -> None:
        self.notes.append(("close", code))

    def handler(self, function: Any) -> App:
        """An application of `function`, with all callbacks."""
        decorate = generator_handler(
            on_connect=self.on_connect, on_disconnect=self.on_disconnect, on_close=self.on_close
        )
        return as_app(decorate(function))


# What is yielded


@pytest.mark.parametrize(
    ("call", "event"),
    [
        (lambda: ws_send("x"), {"type": "websocket.send", "text": "x"}),
        (lambda: ws_send(""), {"type": "websocket.send", "text": ""}),
        (lambda: ws_send(b"x"), {"type": "websocket.send", "bytes": b"x"}),
        (ws_close, {"type": "websocket.close", "code": 1000, "reason": ""}),
        (lambda: ws_close(3000, "x"), {"type": "websocket.close", "code": 3000, "reason": "x"}),
        (ws_accept, {"type": "websocket.accept", "subprotocol": None, "headers": []}),
        (
            lambda: ws_accept("chat", [("X", "1"), (b"Y", b"2")]),
            {
                "type": "websocket.accept",
                "subprotocol": "chat",
                "headers": [(b"X", b"1"), (b"Y", b"2")],
            },
        ),
    ],
)
def test_events(call: Callable[[], Any], event: dict[str, Any]) -> None:
    assert call() == event


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ws_send(1), "ws_send takes str or bytes, not int"),
        (lambda: ws_send(None), "not NoneType"),
        (lambda: ws_send(bytearray(b"x")), "not bytearray"),
        (lambda: ws_close("1000"), "ws_close takes an int, not str"),
        (lambda: ws_close(True), "ws_close takes an int, not bool"),
        (lambda: ws_close(1000, b"x"), "the reason of ws_close is a str, not bytes"),
        (lambda: ws_accept(b"chat"), "a subprotocol is a str, not bytes"),
    ],
)
def test_what_is_no_event(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


# A conversation


async def echo(scope: Any, receiver: Receiver) -> Events:
    async for message in receiver:
        yield ws_send(message)


MESSAGES = ["hello", "", b"\0", b"", "bye"]


async def recites(ws: WebSocket) -> list[Any]:
    for message in MESSAGES:
        await ws.send(message)
    return [await ws.receive() for _ in MESSAGES]


@pytest.mark.parametrize("wrap", [lambda f: f, generator_handler, functools.partial])
def test_an_echo(world: World, wrap: Callable[[Any], Any]) -> None:
    """Every message reaches the receiver, the empty ones included."""
    assert talk(world, wrap(echo), recites) == MESSAGES


class Views:
    async def bound(self, scope: Any, receiver: Receiver) -> Events:
        yield ws_send("a method")

    async def __call__(self, scope: Any, receiver: Receiver) -> Events:
        yield ws_send("an object")


def test_whatever_is_called_like_one(make_world: MakeWorld) -> None:
    assert hears(make_world(), Views().bound) == ["a method", 1000]
    assert hears(make_world(), Views()) == ["an object", 1000]
    assert hears(make_world(), generator_handler(Views().bound)) == ["a method", 1000]


def test_it_gets_the_placeholders_in_order_and_the_query(world: World) -> None:
    app = App()

    @app.websocket("/{first}/{second:int}")
    async def handler(scope: Any, receiver: Receiver, a: str, b: int, limit: int = 5) -> Events:
        yield ws_send(f"{a!r} {b!r} {limit!r} {scope['path']}")

    assert hears(world, app, "/x/2?limit=7") == ["'x' 2 7 /x/2", 1000]


def test_a_query_that_does_not_convert(world: World) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver, limit: int = 5) -> Events:
        yield

    assert status_of(world, diary.handler(handler), "/?limit=x") == 400
    assert diary.notes == []


def test_dicts_of_ones_own(world: World) -> None:
    async def handler(scope: Any, receiver: Receiver) -> Events:
        yield {"type": "websocket.send", "text": "x", "bytes": None}
        yield {"type": "websocket.send", "text": None, "bytes": b"y"}
        yield {"type": "websocket.close"}

    assert hears(world, handler) == ["x", b"y", 1000]


@pytest.mark.parametrize(
    ("returned", "heard"),
    [(None, [1000]), (ws_send("x"), ["x", 1000]), (ws_close(3000), [3000])],
)
def test_a_coroutine_returns_one_event_or_none(
    world: World, returned: Any, heard: list[Any]
) -> None:
    @generator_handler
    async def handler(scope: Any, receiver: Receiver) -> Any:
        return returned

    assert hears(world, handler) == heard


def test_the_undecorated_function_is_still_there(world: World) -> None:
    decorated = generator_handler(echo)
    assert decorated.function is echo

    async def once() -> AsyncGenerator[str, None]:
        yield "x"

    assert world.do(anext(decorated({}, once()))) == ws_send("x")


def test_the_receiver_of_several_tasks(world: World) -> None:
    """It may be iterated over anew, and a cancelled one takes nothing along."""
    seen: list[Any] = []

    async def handler(scope: Any, receiver: Receiver) -> Events:
        waiting = world.spawn(anext(receiver))
        gate = world.gate()
        gates.append((waiting, gate))
        await gate.wait()
        async for message in receiver:
            seen.append(message)
            break
        async for message in receiver:
            seen.append(message)
        yield ws_close(3000)

    gates: list[Any] = []
    serving = open_by_hand(world, handler)
    [(waiting, gate)] = gates
    waiting.cancel()
    world.run()
    assert waiting.was_cancelled
    gate.open()
    world.peer_sends(text("1") + text("2") + closing(1000))
    world.peer_ends()
    serving.result()
    assert seen == ["1", "2"]


# How it ends


def test_an_exhausted_generator_closes_once(world: World) -> None:
    diary = Diary()
    serving = open_by_hand(world, diary.handler(echo))
    world.peer_sends(closing(1001))
    assert close_codes(world) == [1001]
    world.peer_ends()
    serving.result()
    assert diary.notes == ["connect", ("disconnect", 1001), ("close", 1001)]


def test_a_generator_that_is_exhausted_first(world: World) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        yield ws_send("x")

    serving = open_by_hand(world, diary.handler(handler))
    assert close_codes(world) == [1000]
    world.peer_sends(closing(1000))
    world.peer_ends()
    serving.result()
    assert diary.notes == ["connect", ("close", 1000)]


def test_a_yielded_close_ends_the_handler_at_once(world: World) -> None:
    """Without waiting for the peer; and `finally` runs, though not what follows the yield."""
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        try:
            yield ws_close(3000)
            diary.notes.append("goes on")
        finally:
            diary.notes.append("finally")

    serving = open_by_hand(world, diary.handler(handler))
    assert close_codes(world) == [3000]
    assert diary.notes == ["connect", "finally"]
    world.peer_sends(closing(3000))
    world.peer_ends()
    serving.result()
    assert close_codes(world) == []
    assert diary.notes == ["connect", "finally", ("close", 3000)]


def test_finally_runs_when_the_peer_has_gone(world: World) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        try:
            while True:
                await world.sleep(1)
                yield ws_send("tick")
        finally:
            diary.notes.append("finally")

    serving = open_by_hand(world, diary.handler(handler))
    world.peer_sends(closing(1000))
    world.peer_ends()
    world.advance(1)
    serving.result()
    assert diary.notes == ["connect", "finally", ("disconnect", 1000), ("close", 1000)]


@pytest.mark.parametrize(
    ("how", "code"),
    [("close", 3000), ("no status", 1005), ("vanish", 1006)],
)
@pytest.mark.parametrize("reading", [True, False])
def test_on_disconnect_is_called_whenever_the_peer_went_first(
    world: World, how: str, code: int, reading: bool
) -> None:
    diary = Diary()
    gate = world.gate()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        if reading:
            async for _ in receiver:
                pass
        else:
            await gate.wait()
        return
        yield

    serving = open_by_hand(world, diary.handler(handler))
    if how != "vanish":
        world.peer_sends(closing(code) if how == "close" else frame_from(Role.CLIENT, CLOSE))
    world.peer_ends()
    gate.open()
    world.run()
    serving.result()
    assert diary.notes == ["connect", ("disconnect", code), ("close", code)]


@pytest.mark.parametrize("unread", [b"", text("unread"), text("unread" * 100) * 9])
def test_a_close_that_comes_behind_what_nobody_reads(make_world: MakeWorld, unread: bytes) -> None:
    """The peer went first, though the handler could still have answered before."""
    world = make_world(inbox_high_water=1000)
    diary = Diary()
    gate = world.gate()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        await gate.wait()
        return
        yield

    serving = open_by_hand(world, diary.handler(handler))
    world.peer_sends(unread + closing(3000))
    gate.open()
    world.run()
    assert close_codes(world) == [3000]
    world.peer_ends()
    serving.result()
    assert diary.notes == ["connect", ("disconnect", 3000), ("close", 3000)]


def test_a_write_that_fails(world: World) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        while True:
            yield ws_send("x")
            await world.sleep(1)

    world.to_client.capacity = 1 << 20
    serving = open_by_hand(world, diary.handler(handler))
    world.server.broken = True
    world.advance(2)
    serving.result()
    assert diary.notes == ["connect", ("disconnect", 1006), ("close", 1006)]


def test_an_exception_closes_1011_before_on_close(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        yield ws_send("x")
        raise ValueError("x")

    assert hears(world, diary.handler(handler)) == ["x", 1011]
    assert diary.notes == ["connect", ("close", 1011)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_exception_after_the_peers_close(world: World) -> None:
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        async for message in receiver:
            yield ws_send(message)
        raise ValueError("x")

    serving = open_by_hand(world, diary.handler(handler))
    world.peer_sends(closing(3000))
    world.peer_ends()
    serving.result()
    assert diary.notes == ["connect", ("disconnect", 3000), ("close", 3000)]


def test_a_cancelled_handler(world: World) -> None:
    """What can be done without waiting is done: 1001 is on its way, and both are told."""
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        try:
            async for message in receiver:
                yield ws_send(message)
        finally:
            diary.notes.append("finally")

    serving = open_by_hand(world, diary.handler(handler))
    serving.cancel()
    world.run()
    assert isinstance(serving.error, Cancelled)
    assert close_codes(world) == [1001]
    assert diary.notes == ["connect", "finally", ("close", 1001)]


def test_callbacks_that_raise(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """One that raises does not keep the other from being called."""
    diary = Diary()

    async def on_disconnect(scope: Any) -> None:
        diary.notes.append("disconnect")
        raise ValueError("x")

    handler = generator_handler(on_disconnect=on_disconnect, on_close=diary.on_close)(echo)
    serving = open_by_hand(world, handler)
    world.peer_sends(closing(1000))
    world.peer_ends()
    serving.result()
    assert diary.notes == ["disconnect", ("close", 1000)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# Callbacks


def test_on_connect_chooses_a_subprotocol_and_headers(world: World) -> None:
    async def on_connect(scope: Any) -> Any:
        assert scope["subprotocols"] == ["other", "chat"]
        return ws_accept("chat", [("X-Mine", "1")])

    async def body(ws: WebSocket) -> tuple[str | None, str]:
        assert ws.response_headers is not None
        return ws.subprotocol, ws.response_headers["X-Mine"]

    app = generator_handler(on_connect=on_connect)(echo)
    assert talk(world, app, body, subprotocols=("other", "chat")) == ("chat", "1")


def test_the_routes_subprotocols_hold_without_on_connect(world: World) -> None:
    app = App()
    app.websocket("/chat", subprotocols=["chat"])(echo)

    async def body(ws: WebSocket) -> str | None:
        return ws.subprotocol

    assert talk(world, app, body, subprotocols=("other", "chat")) == "chat"


def test_what_is_declined_runs_nothing_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "windsock")
    diary = Diary()

    async def on_connect(scope: Any) -> Any:
        return ws_close()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        diary.notes.append("handler")
        yield

    app = generator_handler(
        on_connect=on_connect, on_disconnect=diary.on_disconnect, on_close=diary.on_close
    )(handler)
    assert hears(world, app) == [403, b""]
    assert (diary.notes, caplog.records) == ([], [])


def test_on_connect_may_answer_with_a_response(world: World) -> None:
    async def on_connect(scope: Any) -> Any:
        raise Reject(401, "who?")

    assert hears(world, generator_handler(on_connect=on_connect)(echo)) == [401, b"who?"]


def test_a_client_that_goes_before_it_is_accepted(world: World) -> None:
    diary = Diary()

    async def on_connect(scope: Any) -> Any:
        await gate.wait()
        return ws_accept()

    gate = world.gate()
    app = generator_handler(on_connect=on_connect, on_close=diary.on_close)(echo)
    serving = open_by_hand(world, app)
    world.peer_ends()
    gate.open()
    world.run()
    serving.result()
    assert diary.notes == []


@pytest.mark.parametrize("returned", [None, True, ws_send("x"), {"type": "x"}, {}, "accept"])
def test_what_on_connect_may_not_return(
    world: World, caplog: pytest.LogCaptureFixture, returned: Any
) -> None:
    async def on_connect(scope: Any) -> Any:
        return returned

    assert hears(world, generator_handler(on_connect=on_connect)(echo)) == [500, b""]
    assert f"on_connect returns ws_accept() or ws_close(), not {returned!r}" in caplog.text


class Callbacks:
    async def __call__(self, scope: Any) -> None:
        NOTED.append("called")

    async def bound(self, scope: Any, code: int) -> None:
        NOTED.append(code)


NOTED: list[Any] = []


async def with_code(scope: Any, code: int) -> None:
    NOTED.append(code)


async def with_default(scope: Any, code: int | None = None) -> None:
    NOTED.append(code)


async def with_any(*arguments: Any) -> None:
    NOTED.append(arguments[1])


async def without(scope: Any) -> None:
    NOTED.append("called")


async def without_but_options(scope: Any, *, loud: bool = False) -> None:
    NOTED.append("called")


async def two_and_more(more: str, scope: Any, code: int) -> None:
    NOTED.append(code)


@pytest.mark.parametrize("name", ["on_disconnect", "on_close"])
@pytest.mark.parametrize(
    ("callback", "noted"),
    [
        (with_code, 3000),
        (with_default, 3000),
        (with_any, 3000),
        (without, "called"),
        (without_but_options, "called"),
        (functools.partial(two_and_more, "more"), 3000),
        (Callbacks().bound, 3000),
        (Callbacks(), "called"),
    ],
)
def test_what_callbacks_are_called_with(
    world: World, name: str, callback: Any, noted: object
) -> None:
    NOTED.clear()
    options: dict[str, Any] = {name: callback}
    serving = open_by_hand(world, generator_handler(**options)(echo))
    world.peer_sends(closing(3000))
    world.peer_ends()
    serving.result()
    assert [noted] == NOTED


@pytest.mark.parametrize("name", ["on_connect", "on_disconnect", "on_close"])
@pytest.mark.parametrize("wrong", [1, lambda scope: None, echo, "name"])
def test_what_is_no_callback(name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an async def function, not"):
        generator_handler(**{name: wrong})(echo)


def test_callbacks_that_take_something_else() -> None:
    async def three(scope: Any, code: int, more: Any) -> None: ...
    async def none() -> None: ...

    with pytest.raises(TypeError, match=r"on_close must take \(scope\) or \(scope, code\), unlike"):
        generator_handler(on_close=three)(echo)
    with pytest.raises(TypeError, match=r"on_disconnect must take"):
        generator_handler(on_disconnect=none)(echo)
    with pytest.raises(TypeError, match=r"on_connect must take \(scope\), unlike"):
        generator_handler(on_connect=with_code)(echo)


# Mistakes


@pytest.mark.parametrize("wrong", [lambda scope, receiver: None, Views, 1])
def test_what_is_no_handler(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a generator handler is an async def function"):
        generator_handler(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, r"handler gave None: it must be ws_send\(…\) or ws_close\(…\)"),
        ("x", "handler gave 'x'"),
        ({"type": "websocket.send"}, "an event is"),
        ({"type": "websocket.send", "text": 1}, "an event is"),
        ({"type": "websocket.nothing"}, "an event is"),
        ({}, "an event is"),
        (ws_accept(), "cannot accept while the connection is open"),
        (ws_close(999), "999"),
    ],
)
def test_what_may_not_be_yielded(
    world: World, caplog: pytest.LogCaptureFixture, wrong: Any, message: str
) -> None:
    """The handler ends there; it can clean up, but not go on."""
    diary = Diary()

    async def handler(scope: Any, receiver: Receiver) -> Events:
        try:
            yield wrong
        finally:
            diary.notes.append("finally")
        yield ws_send("not sent")

    assert hears(world, diary.handler(handler)) == [1011]
    assert diary.notes == ["connect", "finally", ("close", 1011)]
    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], (TypeError, LocalProtocolError))
    with pytest.raises(type(record.exc_info[1]), match=message):
        raise record.exc_info[1]


def test_a_coroutine_that_takes_a_receiver_needs_its_mark() -> None:
    async def handler(scope: Any, receiver: Receiver) -> None: ...

    with pytest.raises(TypeError, match="'receiver'"):
        App().websocket("/")(handler)


def test_a_generator_takes_the_routes_placeholders() -> None:
    with pytest.raises(TypeError, match=r"\{room\}"):
        App().websocket("/{room}")(echo)


# Several clients


def test_fan_out_and_fan_in(world: World) -> None:
    """A message each second, as long as the client stays."""

    async def ticks(scope: Any, receiver: Receiver) -> Events:
        number = 0
        while True:
            yield ws_send(str(number))
            number += 1
            await world.sleep(1)

    async def body(ws: WebSocket) -> list[Any]:
        return [await ws.receive() for _ in range(3)]

    serving = serve(world, ticks)
    task = world.connect(body)
    world.advance(4)
    serving.result()
    assert task.result() == ["0", "1", "2"]


def test_a_client_that_is_told_why(world: World) -> None:
    async def handler(scope: Any, receiver: Receiver) -> Events:
        yield ws_close(3000, "enough")

    async def body(ws: WebSocket) -> tuple[int, str]:
        with pytest.raises(Disconnected) as info:
            await ws.receive()
        return info.value.code, info.value.reason

    assert talk(world, handler, body) == (3000, "enough")
