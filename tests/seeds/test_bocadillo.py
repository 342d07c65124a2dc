"""The examples of bocadillo: views over every kind of host."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any

import pytest

from tests.behaviour.log import Log
from tests.behaviour.peer import Close
from tests.behaviour.sites import Site
from tests.behaviour.sync import Observed
from windsock.core import App, Disconnected, WebSocket

from .bocadillo_examples import OopsError, make_app, make_chat, make_chatbot
from .running import in_lifespan


@pytest.fixture
def seen() -> Observed:
    return Observed()


def test_echo(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/echo") as peer:
        peer.send("hello")
        assert peer.take(2) == ["You said hello", Close(1000)]


def test_ping_pong_in_json(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/ping") as peer:
        for sent, answer in (("ping", "pong"), ("pong", "ping")):
            peer.send(json.dumps({"text": sent}))
            assert json.loads(str(peer.receive())) == answer


def test_what_is_no_json_is_an_error(site: Site, seen: Observed, log: Log) -> None:
    with site.connect(make_app(seen), "/ping") as peer:
        peer.send("{")
        assert peer.receive() == Close(1011)
    log.take_any_failure()


def test_placeholders_and_query_and_headers(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/chat/dogs", headers=[("User", "Ada")]) as peer:
        peer.send('"woof"')
        assert json.loads(str(peer.receive())) == {
            "user": "Ada",
            "channel": "dogs",
            "message": "woof",
        }
    with site.connect(app, "/chat/cats?anonymous=true") as peer:
        peer.send('"meow"')
        assert json.loads(str(peer.receive()))["user"] == "Anonymous"


def test_raw_events(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/events") as peer:
        peer.send("hello")
        assert peer.take(2) == ["You said hello", Close(1000)]


def test_events_as_the_type_of_values(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/typed-events") as peer:
        peer.send("ping")
        assert seen.get() == {"type": "websocket.receive", "text": "ping"}
        assert peer.take(2) == ["pong", Close(1000)]


def test_accepting_and_closing_by_hand(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/manual") as peer:
        assert peer.take(2) == ["hello", Close(1000)]
    assert seen.get() == "closed"


def test_entering_twice_changes_nothing(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/nested") as peer:
        assert peer.take(4) == ["inside", "in between", "outside", Close(1000)]


def test_async_with_accepts_and_closes(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/with") as peer:
        assert peer.take(2) == ["hello", Close(1000)]
    assert seen.take(2) == ["about to accept", "closed normally"]


@pytest.mark.parametrize("path", ["/close", "/close-inside"])
def test_closing_inside(site: Site, seen: Observed, path: str) -> None:
    with site.connect(make_app(seen), path) as peer:
        assert peer.receive() == Close(4242)


def test_an_api_key(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/private", headers=[("Api-Key", "s3kr3t")]) as peer:
        assert peer.take(2) == ["welcome", Close(1000)]


def test_no_api_key(site: Site, seen: Observed) -> None:
    # Though the view goes on after it has rejected.
    with site.knock(make_app(seen), "/private") as peer:
        assert peer.answer.status == 403


def test_closing_first_rejects(site: Site, seen: Observed) -> None:
    with site.knock(make_app(seen), "/close-first") as peer:
        assert peer.answer.status == 403


def test_what_is_known_of_the_request(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/url?q=hello", headers=[("X-Foo", "bar")]) as peer:
        assert peer.receive() == f"ws://{site.authority}/url?q=hello"
        assert json.loads(str(peer.receive())) == {"q": "hello"}
        assert json.loads(str(peer.receive()))["x-foo"] == "bar"


def test_a_view_that_blocks(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/blocking") as peer:
        assert peer.take(2) == ["no error here", Close(1000)]


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/page", 405), ("/shared", 404), ("/todos", 405)]
)
def test_no_view(site: Site, seen: Observed, path: str, status: int) -> None:
    with site.knock(make_app(seen), path) as peer:
        assert peer.answer.status == status


def test_a_router(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    assert site.fetch(app, "/todos/").body == b"[]"
    with site.connect(app, "/todos/shared") as peer:
        assert peer.take(2) == ["shared", Close(1000)]


# Errors


@pytest.mark.parametrize("where", ["at-once", "after-accept", "inside"])
def test_an_error_after_accept(site: Site, seen: Observed, log: Log, where: str) -> None:
    with site.connect(make_app(seen), f"/fail/{where}") as peer:
        assert peer.receive() == Close(1011)
    _take_oops(log)


def test_an_error_before_accept(site: Site, seen: Observed, log: Log) -> None:
    with site.knock(make_app(seen), "/fail/before-accept") as peer:
        assert peer.answer.status == 500
    _take_oops(log)


def _take_oops(log: Log) -> None:
    record = log.take(40, "the handler failed")
    assert record.exc_info is not None
    assert record.exc_info[0] is OopsError


# Patterns and conversions


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/rooms/garden", "garden"),
        ("/room-garden", "garden"),
        ("/images/news/header.png", "news/header.png"),
        ("/anything/at-all", "anything"),
        ("/int/42", "42"),
        ("/float/4.2", "4.2"),
        ("/bool/TRUE", "True"),
        ("/bool/true", "True"),
        ("/bool/1", "True"),
        ("/bool/FALSE", "False"),
        ("/bool/false", "False"),
        ("/bool/0", "False"),
        ("/decimal/4.2", "Decimal('4.2')"),
        ("/date/2018-01-01", "datetime.date(2018, 1, 1)"),
        ("/time/12:30", "datetime.time(12, 30)"),
        ("/datetime/2018-01-01T12:30:00", "datetime.datetime(2018, 1, 1, 12, 30)"),
        (
            "/uuid/123e4567-e89b-12d3-a456-426614174000",
            "UUID('123e4567-e89b-12d3-a456-426614174000')",
        ),
        ("/query", "42 None"),
        ("/query?limit=5&tag=x", "5 'x'"),
    ],
)
def test_conversions(site: Site, seen: Observed, path: str, shown: str) -> None:
    with site.connect(make_app(seen), path) as peer:
        assert peer.take(2) == [shown, Close(1000)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rooms", 404),
        ("/room/garden", 404),
        ("/int/a1", 404),
        ("/int/4.2", 404),
        ("/float/foo", 404),
        ("/bool/12", 404),
        ("/bool/yes", 404),
        ("/decimal/x", 404),
        ("/date/2018-13-01", 404),
        ("/time/25:00", 404),
        ("/datetime/tomorrow", 404),
        ("/uuid/1", 404),
        ("/query?limit=x", 400),
    ],
)
def test_what_does_not_convert_is_answered_before_accept(
    site: Site, seen: Observed, path: str, status: int
) -> None:
    with site.knock(make_app(seen), path) as peer:
        assert peer.answer.status == status


# Types of values


@pytest.mark.parametrize(
    ("kind", "message", "value"),
    [("bytes", b"Hello", b"Hello"), ("text", "Hello", "Hello"), ("json", '{"a":1}', {"a": 1})],
)
@pytest.mark.parametrize("given", ["value_type", "receive_type", "send_type"])
def test_types(
    site: Site, seen: Observed, kind: str, message: str | bytes, value: Any, given: str
) -> None:
    app = App()
    options: dict[str, Any] = {given: kind}

    @app.websocket("/chat", auto_accept=True, **options)
    async def chat(ws: WebSocket) -> None:
        received = await ws.receive()
        assert received == (message if given == "send_type" else value)
        await ws.send(message if given == "receive_type" else value)

    with site.connect(app, "/chat") as peer:
        peer.send(message)
        assert peer.take(2) == [message, Close(1000)]


# Disconnects: 39 ways to be left

SENT = (1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 4010)
"""How a client can leave; 1006 is without a word."""

CAUGHT: list[tuple[Any, int]] = [
    *((None, code) for code in SENT),
    *((True, code) for code in SENT),
    *((False, code) for code in SENT),
    ({1000}, 1000),
    ({1000}, 1001),
    (frozenset({1000, 1001}), 1001),
]


@pytest.mark.parametrize(("catch", "code"), CAUGHT)
def test_catch_disconnect(
    site: Site, seen: Observed, catch: bool | Set[int] | None, code: int
) -> None:
    app = App()
    options: dict[str, Any] = {} if catch is None else {"catch_disconnect": catch}

    @app.websocket("/chat", **options)
    async def chat(ws: WebSocket) -> None:
        try:
            async with ws:
                await ws.receive()
            seen.put(("caught", ws.code))
        except Disconnected as disconnected:
            seen.put(("raised", disconnected.code))

    # hypercorn tells applications no code.
    told = 1006 if site.host.startswith("hypercorn") else code
    caught = told in catch if isinstance(catch, Set) else catch is not False
    with site.connect(app, "/chat") as peer:
        if code == 1006:
            peer.abort()
        else:
            peer.close(code)
        assert seen.get() == ("caught" if caught else "raised", told)


def test_there_are_as_many_cases_as_theirs() -> None:
    assert len(CAUGHT) == 39


# Whole applications


def test_chat(site: Site) -> None:
    app = make_chat()

    def message(text: str) -> str:
        return json.dumps({"type": "message", "text": text}, separators=(",", ":"))

    with site.connect(app, "/chat") as ada:
        ada.send(message("I am Ada"))
        assert ada.receive() == message("I am Ada")
        with site.connect(app, "/chat") as bob:
            assert bob.receive() == message("I am Ada")
            bob.send('{"type":"note"}')
            bob.send(message("hello"))
            for peer in (ada, bob):
                assert peer.receive() == message("hello")
        with site.connect(app, "/chat") as eve:
            note = '{"type":"note"}'
            assert eve.take(3) == [message("I am Ada"), note, message("hello")]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_chatbot(backend: str) -> None:
    with in_lifespan(make_chatbot(), backend) as site:
        assert json.loads(site.get("/client-count").body) == {"count": 0}
        with site.open("/conversation") as peer:
            peer.send("Hello")
            assert peer.receive() == "Hello? Interesting."
            assert json.loads(site.get("/client-count").body) == {"count": 1}
            peer.close()
            assert peer.receive() == Close(1000)
            assert peer.ended()
        assert json.loads(site.get("/client-count").body) == {"count": 0}
