"""The examples of shallot: async generators over every kind of host."""

from __future__ import annotations

import json

import pytest

from tests.behaviour.log import Log
from tests.behaviour.memory import MemoryPeer
from tests.behaviour.peer import Close, Peer
from tests.behaviour.sites import Site
from tests.behaviour.sync import Gate, Observed
from windsock.core import ws_accept, ws_close, ws_send

from .shallot_examples import make_app, make_failing_group, make_layered_app


@pytest.fixture
def seen() -> Observed:
    return Observed()


@pytest.fixture
def tasks(site: Site) -> None:
    """For examples that start tasks of their own."""
    if site.host in {"threads", "twisted"}:
        pytest.skip("handlers are no tasks of trio's or asyncio's here")


def say(peer: Peer, message: str | bytes) -> str | bytes | Close:
    """Send a message, and wait for the answer."""
    peer.send(message)
    return peer.receive()


def test_echo(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/echo") as peer:
        assert say(peer, "hello") == "echo: hello"
        assert say(peer, "exit") == "echo: exit"
        assert peer.take(2) == ["bye", Close(1001)]
    assert seen.until_quiet(0) == []


def test_messages_keep_their_type_the_empty_ones_too(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/repeat") as peer:
        for message in ("a", b"b", "", b""):
            assert say(peer, message) == message


def test_placeholders_are_arguments_by_position(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/named/Ada") as peer:
        assert say(peer, "hi") == "Ada: hi"
    with site.connect(app, "/one/to/two/") as peer:
        assert peer.take(2) == ["one, then two", Close(1000)]


def test_static_routes_go_first(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/named/static") as peer:
        assert peer.receive() == "the static one"


def test_no_route_and_the_wrong_method(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.knock(app, "/nowhere") as peer:
        assert peer.answer.status == 404
    assert site.fetch(app, "/echo").status == 426
    assert json.loads(site.fetch(app, "/").body) == {"alive": True}


def test_fan_in(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/fan-in") as peer:
        for number in range(3):
            peer.send(f"report {number}")
        assert seen.take(3) == ["report 0", "report 1", "report 2"]


def test_fan_out(site: Site, seen: Observed) -> None:
    gates = [Gate(), Gate(), Gate()]
    waiting = iter(gates)

    async def sleep(seconds: float) -> None:
        seen.put(seconds)
        await next(waiting, gates[-1]).wait()

    with site.connect(make_app(seen, sleep), "/fan-out") as peer:
        for number, gate in enumerate(gates[:2]):
            assert peer.receive() == f"time: {number}"
            assert seen.get() == 1
            gate.open()
        assert peer.receive() == "time: 2"
        peer.close()
        gates[2].open()


def test_chatbot(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/chatbot") as peer:
        assert say(peer, "hello") == "hello yourself"
        assert say(peer, "i like you") == "I like you, too"
        assert say(peer, "what is the time?") == "pardon?"
        assert say(peer, "exit") == "goodbye"
        assert peer.receive() == Close(1000)


@pytest.mark.usefixtures("tasks")
def test_chatroom(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/chat/ada") as ada:
        assert ada.receive() == "1 here"
        with site.connect(app, "/chat/bob") as bob:
            assert bob.receive() == "2 here"
            bob.send("hello")
            assert ada.receive() == "@bob: hello"
            ada.send("hello yourself")
            assert bob.receive() == "@ada: hello yourself"
            bob.close()
        ada.send("anybody?")
        with site.connect(app, "/chat/eve") as eve:
            assert eve.receive() in {"2 here", "3 here"}  # Bob may not have left yet
            eve.send("here I am")
            assert ada.receive() == "@eve: here I am"


def test_a_coroutine_returns_one_event_or_none(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/first") as peer:
        peer.send("one")
        assert peer.take(2) == ["one", Close(1000)]
    with site.connect(app, "/nothing") as peer:
        assert peer.receive() == Close(1000)
    assert seen.get() == "was there"


# What happens around a handler


def test_on_connect_accepts_with_a_subprotocol(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/door?let-me-in", subprotocols=["sub-123"]) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "sub-123"
        assert peer.answer.headers["x-room"] == "1"
        assert peer.take(2) == ["welcome", Close(1000)]
    assert seen.get() == "the connection to /door is closed"


def test_on_connect_declines_and_nothing_else_runs(site: Site, seen: Observed) -> None:
    with site.knock(make_app(seen), "/door") as peer:
        assert peer.answer.status == 403
    assert seen.until_quiet(0.05) == []


def test_a_leaving_client_is_told_first_and_the_close_after(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/watched") as peer:
        assert peer.receive() == "ready"
        peer.close()
        assert seen.take(2) == ["the client has left", "the connection to /watched is closed"]


def test_a_handler_that_ends_is_no_leaving_client(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/watched") as peer:
        assert peer.receive() == "ready"
        peer.send("close")
        assert peer.take(2) == ["close", Close(1000)]
    assert seen.get() == "the connection to /watched is closed"
    assert seen.until_quiet(0.05) == []


def test_on_close_runs_after_an_error(site: Site, seen: Observed, log: Log) -> None:
    with site.connect(make_app(seen), "/watched") as peer:
        assert peer.receive() == "ready"
        peer.send("raise")
        assert peer.take(2) == ["raise", Close(1011)]
    assert seen.get() == "the connection to /watched is closed"
    assert log.take_any_failure() == "as you say"


def test_on_disconnect_runs_though_the_handler_never_receives(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/deaf") as peer:
        assert peer.receive() == "I do not listen"
        peer.close(4001)
        if isinstance(peer, MemoryPeer):
            peer.exchange.refuse()  # as every real host does then
        assert seen.get() == "the client has left"
        # hypercorn tells applications no code.
        assert seen.get() == (1006 if site.host.startswith("hypercorn") else 4001)


@pytest.mark.usefixtures("tasks")
def test_a_task_group_that_fails_around_a_yield(site: Site, log: Log) -> None:
    """Its cancellation is its own: it must not reach the server."""
    with site.connect(make_failing_group(RuntimeError("one of the tasks"))) as peer:
        peer.send("now")
        while (received := peer.receive()) == "again":
            pass
        assert received == Close(1011)
    assert "(1 sub-exception)" in log.take_any_failure()
    site.assert_lives()


@pytest.mark.usefixtures("tasks")
def test_a_client_that_leaves_a_task_group_around_a_yield(site: Site) -> None:
    with site.connect(make_failing_group(RuntimeError("never raised"))) as peer:
        assert peer.receive() == "again"
        peer.abort()
    site.assert_lives()


# What nobody understands


@pytest.mark.parametrize("what", ["empty", "unknown", "number", "code"])
def test_wrong_events_are_errors(site: Site, seen: Observed, log: Log, what: str) -> None:
    with site.connect(make_app(seen), f"/wrong/{what}") as peer:
        assert peer.receive() == Close(1011)
    log.take_any_failure()


def test_a_wrong_answer_of_on_connect_is_an_error(site: Site, seen: Observed, log: Log) -> None:
    with site.knock(make_app(seen), "/undecided") as peer:
        assert peer.answer.status == 500
    assert "on_connect returns ws_accept() or ws_close()" in log.take_any_failure()


def test_events_are_plain_dicts() -> None:
    assert ws_send("a") == {"type": "websocket.send", "text": "a"}
    assert ws_send(b"a") == {"type": "websocket.send", "bytes": b"a"}
    assert ws_close(1001) == {"type": "websocket.close", "code": 1001, "reason": ""}
    assert ws_accept("sub")["subprotocol"] == "sub"


# Layers


def test_layers_around_a_websocket(site: Site, seen: Observed) -> None:
    with site.connect(make_layered_app(seen), "/whoami") as peer:
        assert peer.take(2) == ["Ada", Close(1000)]
    assert seen.take(3) == ["in /whoami", "handler", "out"]


@pytest.mark.parametrize(
    ("path", "status", "body"), [("forbidden", 451, b"no"), ("closed", 403, b"")]
)
def test_a_layer_answers_by_itself(
    site: Site, seen: Observed, path: str, status: int, body: bytes
) -> None:
    with site.knock(make_layered_app(seen), f"/{path}") as peer:
        assert peer.answer.status == status
        assert peer.answer.body == body
    assert seen.take(2) == [f"in /{path}", "out"]


def test_the_same_layers_around_a_page(site: Site, seen: Observed) -> None:
    answer = site.fetch(make_layered_app(seen), "/page")
    assert (answer.status, answer.body) == (200, b"Ada")
    answer = site.fetch(make_layered_app(seen), "/forbidden")
    assert (answer.status, answer.headers["x-why"]) == (451, "law")
