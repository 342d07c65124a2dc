"""The examples of bareASGI: handlers of four arguments over every kind of host."""

from __future__ import annotations

import pytest

from tests.behaviour.log import Log
from tests.behaviour.peer import Close
from tests.behaviour.sites import Site
from tests.behaviour.sync import Observed
from windsock.core import App

from .bareasgi_examples import (
    make_app,
    make_layered_app,
    make_lifespan_app,
    make_paths,
    websocket_handler,
)
from .running import in_lifespan


@pytest.fixture
def seen() -> Observed:
    return Observed()


def test_one_argument(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/websocket_handler") as peer:
        peer.send("hello")
        assert peer.receive() == "You said: hello"
        peer.send("")
        assert peer.receive() == "You said: "


def test_four_arguments(site: Site, seen: Observed) -> None:
    with site.connect(make_app(seen), "/echo/Ada", subprotocols=["one", "two"]) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "one"
        assert peer.answer.headers["x-echo"] == "yes"
        assert seen.get() == ("/echo/Ada", {"name": "Ada"}, None)
        for message in ("text", b"bytes", "", b""):
            peer.send(message)
            assert peer.receive() == message
        peer.close(4001)
        # hypercorn tells applications no code.
        assert seen.get() == (1006 if site.host.startswith("hypercorn") else 4001)


def test_a_page_with_the_url_of_a_handler(site: Site, seen: Observed) -> None:
    app = make_app(seen)
    answer = site.fetch(app, "/")
    assert (answer.status, answer.headers["location"]) == (303, "/websocket_page")
    page = site.fetch(app, "/websocket_page")
    assert page.body.decode() == f"<title>ws://{site.authority}/named</title>"
    with site.connect(app, "/named") as peer:
        assert peer.receive() == Close(4001)
    assert seen.get() == 4001


def test_closing_without_accepting_rejects(site: Site, seen: Observed) -> None:
    with site.knock(make_app(seen), "/refuses") as peer:
        assert peer.answer.status == 403


def test_sending_the_wrong_type(site: Site, seen: Observed, log: Log) -> None:
    with site.connect(make_app(seen), "/wrong") as peer:
        assert peer.receive() == Close(1011)
    assert "int" in log.take_any_failure()


# Middlewares


def test_middlewares_run_once_for_each_connection(site: Site, seen: Observed) -> None:
    with site.connect(make_layered_app(seen), "/test") as peer:
        assert peer.take(2) == ["first, second", Close(1000)]
    assert seen.take(2) == ["in", "out"]
    assert seen.until_quiet(0) == []


def test_a_middleware_answers_by_itself(site: Site, seen: Observed) -> None:
    with site.knock(make_layered_app(seen), "/private") as peer:
        assert peer.answer.status == 403
        assert peer.answer.body == b"no"
    assert seen.take(2) == ["in", "out"]


def test_the_same_middlewares_around_a_page(site: Site, seen: Observed) -> None:
    assert site.fetch(make_layered_app(seen), "/test").body == b"first, second"


# Paths


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/foo/bar/grum", "0 {}"),
        ("/foo/bar/grum/", "0 {}"),
        ("/foo/baz/grum", "1 {'name': 'baz'}"),
        ("/id/123/grum", "2 {'id': 123}"),
        ("/size/1.5", "3 {'x': 1.5}"),
        ("/text/a%20b", "4 {'s': 'a b'}"),
        (
            "/born/2001-12-31/grum",
            "5 {'date_of_birth': datetime.datetime(2001, 12, 31, 0, 0)}",
        ),
        ("/at/2001-12-31T10:30", "6 {'when': datetime.datetime(2001, 12, 31, 10, 30)}"),
        ("/ui/index.html", "7 {'rest': 'index.html'}"),
        ("/ui/folder/other.html", "7 {'rest': 'folder/other.html'}"),
        (
            "/foo/a/1/2001-12-31",
            "8 {'name': 'a', 'id': 1, 'created': datetime.datetime(2001, 12, 31, 0, 0)}",
        ),
        ("/next/12", "9 {'n': 12}"),
        ("/next/2001-12-31", "10 {'when': datetime.datetime(2001, 12, 31, 0, 0)}"),
        ("/next/2001-13-31", "11 {'text': '2001-13-31'}"),
        ("/next/soon", "11 {'text': 'soon'}"),
    ],
)
def test_paths(site: Site, path: str, shown: str) -> None:
    with site.connect(make_paths(), path) as peer:
        assert peer.receive() == shown


@pytest.mark.parametrize(
    "path", ["/", "/foo", "/id/x/grum", "/size/x", "/born/2001-13-31/grum", "/foo/a/b/c", "/next"]
)
def test_other_paths(site: Site, path: str) -> None:
    with site.knock(make_paths(), path) as peer:
        assert peer.answer.status == 404


def test_a_slash_at_the_end_matters_where_one_says_so(site: Site) -> None:
    app = App([("/a", "WS", websocket_handler)], strict_slashes=True)
    with site.connect(app, "/a"):
        pass
    with site.knock(app, "/a/") as peer:
        assert peer.answer.status == 404


def test_a_path_begins_with_a_slash() -> None:
    with pytest.raises(ValueError, match="write '/foo/bar'"):
        App([("foo/bar", "WS", websocket_handler)])


# Start and end


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_info_and_lifespan(seen: Observed, backend: str) -> None:
    with in_lifespan(make_lifespan_app(seen), backend) as served:
        assert seen.get() == "starting up"
        for number in (1, 2):
            with served.open("/count") as peer:
                assert peer.take(2) == [f"visitor {number}", Close(1000)]
    assert seen.get() == "shutting down after 2"
