"""The examples of rolo: blocking functions over every kind of host."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.behaviour.hosts import NATIVE
from tests.behaviour.log import Log
from tests.behaviour.peer import Close, handshake_request
from tests.behaviour.sites import CASE, Site, WireSite
from tests.behaviour.sync import Observed
from windsock.core import as_app

from .rolo_examples import PASSWORD, listener, make_app


@pytest.fixture
def seen() -> Observed:
    return Observed()


def test_stream(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/stream") as peer:
        assert peer.take(4) == ["part 0", "part 1", "part 2", Close(1000)]


def test_echo(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/echo/Ada") as peer:
        assert peer.receive() == "welcome, Ada"
        peer.send("hi")
        assert peer.receive() == "Ada said hi"
        peer.send("exit")
        assert peer.take(3) == ["Ada said exit", "see you", Close(1000)]


def test_a_route_as_data(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/from-data/bar") as peer:
        assert peer.take(2) == ["id=bar", Close(1000)]


def test_methods_of_an_object(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/users/7") as peer:
        assert peer.take(2) == ["Ada", Close(1000)]
    with site.knock(app, "/users/8") as peer:
        assert peer.answer.status == 404


def test_a_listener_for_every_path(site: Site) -> None:
    with site.connect(as_app(listener), "/wherever") as peer:
        assert peer.take(2) == ["this is /wherever", Close(1000)]


def test_authorization(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    with site.connect(app, "/private", headers=[("Authorization", PASSWORD)]) as peer:
        assert seen.get() == (True, False)
        assert peer.receive() == "come in"
        peer.send("thank you")
        assert seen.get() == "thank you"
        assert peer.receive() == Close(1000)


def test_no_authorization(site: Site, seen: Observed) -> None:
    with site.knock(make_app(seen), "/private") as peer:
        assert peer.answer.status == 403
        assert peer.answer.body == b"no dice"
        assert peer.answer.headers["x-reason"] == "password"
    assert seen.get() == (False, True)


def test_receiving_after_the_with_statement_raises(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/talk") as peer:
        assert peer.receive() == "hello"
        peer.send("foobar")
        assert peer.take(2) == ["world", Close(1000)]
    assert seen.take(2) == ["foobar", 1000]


@pytest.mark.parametrize("code", [1000, 1005, 4001])
def test_receiving_after_the_end_raises_its_code(site: Site, seen: Observed, code: int) -> None:
    with site.connect(make_app(seen), "/codes") as peer:
        peer.close(code)
        # hypercorn tells applications no code.
        assert seen.get() == (1006 if site.host.startswith("hypercorn") else code)


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_iteration_ends_with_the_connection(site: Site, seen: Observed, code: int) -> None:
    with site.connect(make_app(seen), "/listen") as peer:
        peer.send("foo")
        peer.send("bar")
        peer.close(code)
        assert seen.take(3) == ["foo", "bar", "left"]


def test_a_peer_that_vanishes_ends_the_with_statement(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/listen") as peer:
        peer.send("foo")
        assert seen.get() == "foo"
        peer.abort()
        assert seen.get() == "left"


def test_headers_both_ways(site: Site, seen: Observed) -> None:
    sent = [("Authorization", "Basic let-me-in"), ("CasedHeader", "hello")]
    with site.connect(make_app(seen), "/headers", headers=sent) as peer:
        assert peer.answer.headers["x-served-by"] == "a plain function"
        found = json.loads(str(peer.receive()))
    for name, value in sent:
        # ASGI has all names in lower case.
        assert found[name if site.host in NATIVE else name.lower()] == value


def test_subprotocol(site: Site, seen: Observed) -> None:
    offered = ("chat", "superchat")
    with site.connect(make_app(seen), "/subprotocol", subprotocols=offered) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "superchat"
        assert peer.receive() == "superchat"


def test_bytes_and_text(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/modes") as peer:
        assert peer.take(2) == [b"some bytes", "some text"]
        peer.send("text back")
        peer.send(b"bytes back")
        assert seen.take(2) == ["text back", b"bytes back"]


@pytest.mark.parametrize("what", ["dict", "none", "number"])
def test_what_is_neither_text_nor_bytes(site: Site, seen: Observed, what: str) -> None:
    with site.connect(make_app(seen), f"/wrong/{what}") as peer:
        assert "str" in seen.get()
        assert peer.take(2) == ["still open", Close(1000)]


def test_close_with_code_and_reason_and_once_more(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/closes") as peer:
        assert peer.receive() == Close(4001, "that was all")
    code, reason = seen.get()
    assert (code, reason) == (4001, "that was all")


def test_a_timeout_loses_nothing(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/impatient") as peer:
        assert peer.receive() == "too late"
        peer.send("here I am")
        assert seen.get() == "here I am"


@pytest.mark.parametrize(
    ("how", "status", "text"),
    [
        ("forbidden", 403, "not today"),
        ("not-found", 404, "Not Found"),
        ("reject", 402, "pay first"),
        ("close", 403, ""),
        ("twice", 403, "nope"),
    ],
)
def test_refusals(site: Site, seen: Observed, how: str, status: int, text: str) -> None:
    with site.knock(make_app(seen), f"/refuses/{how}") as peer:
        assert peer.answer.status == status
        assert text in peer.answer.body.decode()


def test_no_decision_is_a_refusal(site: Site, seen: Observed, log: Log) -> None:
    with site.knock(make_app(seen), "/refuses/not-at-all") as peer:
        assert peer.answer.status == 403
    log.take(logging.WARNING, "returned without accept or reject")


@pytest.mark.parametrize("how", ["accept-accept", "accept-reject"])
def test_a_second_decision_after_accept_fails(
    site: Site, seen: Observed, log: Log, how: str
) -> None:
    with site.connect(make_app(seen), f"/decides/{how}") as peer:
        assert peer.receive() == Close(1011)
    assert "while the connection is open" in log.take_any_failure()


@pytest.mark.parametrize("how", ["reject-accept", "reject-reject"])
def test_a_second_decision_after_reject_fails(
    site: Site, seen: Observed, log: Log, how: str
) -> None:
    with site.knock(make_app(seen), f"/decides/{how}") as peer:
        assert peer.answer.status == 403
    log.take_any_failure()


def test_an_error_inside_the_with_statement(site: Site, seen: Observed, log: Log) -> None:
    with site.connect(make_app(seen), "/fails") as peer:
        assert peer.receive() == Close(1011)
    assert log.take_any_failure() == "halfway"


def test_what_a_request_knows(site: Site, seen: Observed) -> None:
    headers = [("Cookie", "session=abc")]
    with site.connect(make_app(seen), "/about?q=hello&n=1", headers=headers) as peer:
        assert json.loads(str(peer.receive())) == {
            "method": "WEBSOCKET",
            "path": "/about",
            "args": {"q": "hello", "n": "1"},
            "cookies": {"session": "abc"},
            "remote_addr": "192.0.2.1" if site.host == "memory" else "127.0.0.1",
            "scheme": "ws",
        }


def test_raw_events(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/events") as peer:
        assert seen.get() == "websocket.connect"
        assert peer.answer.headers["x-raw"] == "yes"
        peer.send("hello world")
        assert peer.take(2) == ["echo: hello world", Close(1000, "done")]


def test_a_page_and_a_websocket_at_one_path(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    assert site.fetch(app, "/both").body == b"a page"
    with site.connect(app, "/both") as peer:
        assert peer.receive() == "a WebSocket"


def test_a_router(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/gateway/ws/") as peer:
        assert peer.receive() == "hello"
        peer.send("foobar")
        assert peer.take(2) == ["foobar", Close(1000)]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/plain/a%2Fb", "x='a/b'"),
        ("/text/de", "x='de'"),
        ("/int/042", "n=42"),
        ("/range/12", "n=12"),
        ("/float/1.5", "x=1.5"),
        ("/path/a/b/c/end", "p='a/b/c'"),
        (
            "/uuid/123e4567-e89b-12d3-a456-426614174000",
            "u=UUID('123e4567-e89b-12d3-a456-426614174000')",
        ),
        ("/any/blue", "x='blue'"),
        ("/regex/abc42", "x='abc42'"),
        ("/two/one/2/", "a='one' b=2"),
    ],
)
def test_converters(site: Site, seen: Observed, path: str, shown: str) -> None:
    with site.connect(make_app(seen), path) as peer:
        assert peer.receive() == shown


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/text/deu", 404),
        ("/int/x", 404),
        ("/range/13", 404),
        ("/float/x", 404),
        ("/uuid/x", 404),
        ("/any/green", 404),
        ("/regex/ab42", 404),
        ("/echo", 404),
    ],
)
def test_no_route(site: Site, seen: Observed, path: str, status: int) -> None:
    with site.knock(make_app(seen), path) as peer:
        assert peer.answer.status == status


def test_the_wrong_method(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    assert site.fetch(app, "/both", method="POST").status == 405
    assert site.fetch(app, "/stream").status == 426


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("acme.example.com", "tenant='acme' port=None"),
        ("acme.example.com:8080", "tenant='acme' port=8080"),
        ("api.test", "service='api'"),
        ("rest.test", "service='rest'"),
        ("soap.test", "host='any'"),
        ("a.b.example.org", "host='any'"),
    ],
)
def test_hosts(site: Site, seen: Observed, name: str, shown: str) -> None:
    if not isinstance(site, WireSite):
        pytest.skip("this host has no network, and no host name")
    app: Any = make_app(seen)
    with site.dial() as peer:
        peer.open(handshake_request("/where", [(CASE, site.case(app))], host=name))
        assert peer.answer.status == 101
        assert peer.receive() == shown
