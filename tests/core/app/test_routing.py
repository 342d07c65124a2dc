"""Which handler a path belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from windsock.core.app.routing import Match, NoMatch, Route, Router

WEBSOCKET = None


def handler() -> None:
    """Stands for one; a router does not call it."""


def router(*routes: tuple[str, tuple[str, ...] | None]) -> Router:
    made = Router()
    for path, methods in routes:
        made.add(Route(path, handler), methods)
    return made


def found(made: Router, path: str, method: str | None = WEBSOCKET) -> tuple[str, dict[str, Any]]:
    match = made.match(path, method)
    assert isinstance(match, Match)
    return match.route.path, match.path_params


@pytest.mark.parametrize(
    ("path", "asked", "params"),
    [
        ("/", "/", {}),
        ("/chat", "/chat", {}),
        ("/chat/{room}", "/chat/one", {"room": "one"}),
        ("/chat/{room}", "/chat/grün x", {"room": "grün x"}),
        ("/{a}/{b}", "/1/2", {"a": "1", "b": "2"}),
        ("/{a}-{b}", "/1-2", {"a": "1", "b": "2"}),
        ("/v{version}/x", "/v2/x", {"version": "2"}),
        ("/{_a1}", "/x", {"_a1": "x"}),
        # What means something to regular expressions or to the router underneath means itself.
        ("/a.b+(c)|d$", "/a.b+(c)|d$", {}),
        ("/a\\b:%s", "/a\\b:%s", {}),
    ],
)
def test_a_path_matches(path: str, asked: str, params: dict[str, str]) -> None:
    assert found(router((path, WEBSOCKET)), asked) == (path, params)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/chat", "/"),
        ("/chat", "/chats"),
        ("/chat", "/Chat"),
        ("/chat", "/chat/one"),
        ("/chat/{room}", "/chat"),
        ("/chat/{room}", "/chat/"),
        ("/chat/{room}", "/chat/a/b"),
        ("/a.b", "/aXb"),
        ("/a/b", "/a//b"),
    ],
)
def test_a_path_does_not_match(path: str, asked: str) -> None:
    assert router((path, WEBSOCKET)).match(asked, WEBSOCKET) == NoMatch(404)


@pytest.mark.parametrize("path", ["/chat", "/chat/"])
@pytest.mark.parametrize("asked", ["/chat", "/chat/"])
def test_a_slash_at_the_end_makes_no_difference(path: str, asked: str) -> None:
    made = router((path, WEBSOCKET), (path, ("GET",)))
    assert found(made, asked) == (path, {})
    assert found(made, asked, "GET") == (path, {})


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_written_out_goes_before_placeholders(order: int) -> None:
    made = router(*[("/chat/{room}", WEBSOCKET), ("/chat/lobby", WEBSOCKET)][::order])
    assert found(made, "/chat/lobby") == ("/chat/lobby", {})
    assert found(made, "/chat/other") == ("/chat/{room}", {"room": "other"})


def test_nothing_matches_nothing() -> None:
    assert Router().match("/", WEBSOCKET) == NoMatch(404)
    assert Router().match("/", "GET") == NoMatch(404)


# Methods


def test_get_includes_head() -> None:
    made = router(("/", ("GET",)))
    assert found(made, "/", "GET") == found(made, "/", "HEAD") == ("/", {})


def test_methods_are_told_apart_and_named_when_none_fits() -> None:
    made = router(("/a", ("post", "PUT")), ("/{a}", ("DELETE",)))
    assert found(made, "/a", "POST") == ("/a", {})
    assert found(made, "/a", "PUT") == ("/a", {})
    assert found(made, "/a", "DELETE") == ("/{a}", {"a": "a"})
    assert made.match("/a", "GET") == NoMatch(405, (("Allow", "DELETE, POST, PUT"),))
    assert made.match("/b", "GET") == NoMatch(405, (("Allow", "DELETE"),))


def test_a_plain_request_where_only_websockets_are_spoken() -> None:
    made = router(("/chat", WEBSOCKET))
    assert made.match("/chat", "GET") == NoMatch(426, (("Upgrade", "websocket"),))
    assert made.match("/other", "GET") == NoMatch(404)


def test_a_websocket_where_only_plain_http_is_spoken() -> None:
    made = router(("/health", ("GET",)), ("/form", ("POST",)))
    assert made.match("/health", WEBSOCKET) == NoMatch(404)
    assert made.match("/form", WEBSOCKET) == NoMatch(405, (("Allow", "POST"),))


def test_both_on_one_path() -> None:
    made = Router()
    made.add(Route("/x", handler, "websocket"), WEBSOCKET)
    made.add(Route("/x", handler, "http"), ("GET",))
    for method, options in ((WEBSOCKET, "websocket"), ("GET", "http")):
        match = made.match("/x", method)
        assert isinstance(match, Match)
        assert match.route.options == options


# What cannot be added


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", r"begins with a slash: '/' instead of ''"),
        ("chat", r"begins with a slash: '/chat' instead of 'chat'"),
        ("{room}", r"begins with a slash"),
        ("/<room>", r"written \{name\}, in '/<room>'"),
        ("/a>b", r"written \{name\}"),
        ("/{}", r"placeholder \{\} in '/\{\}' is not a name"),
        ("/{1a}", r"placeholder \{1a\} .* is not a name"),
        ("/{a b}", r"is not a name"),
        ("/{a}\n{b }", r"is not a name"),
        ("/{a}/{a}", r"placeholder \{a\} stands twice in '/\{a\}/\{a\}'"),
        ("/{a", r"a brace without its partner in '/\{a'"),
        ("/a}", r"a brace without its partner"),
        ("/{{a}}", r"a brace without its partner"),
    ],
)
def test_a_malformed_path(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Router().add(Route(path, handler), WEBSOCKET)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("/a", WEBSOCKET), ("/a", WEBSOCKET), "for WEBSOCKET '/a' already"),
        (("/{a}", WEBSOCKET), ("/{b}", WEBSOCKET), r"for WEBSOCKET '/\{b\}' already"),
        (("/a", ("GET",)), ("/a", ("POST", "get")), "for GET '/a' already"),
    ],
)
def test_a_path_that_is_taken(first: Any, second: Any, message: str) -> None:
    made = router(first)
    with pytest.raises(ValueError, match=message):
        made.add(Route(second[0], handler), second[1])


def test_paths_that_only_look_alike() -> None:
    made = router(("/{a}", ("GET",)), ("/{a}/b", ("GET",)), ("/x{a}", ("GET",)), ("/{b}", ("PUT",)))
    assert found(made, "/1", "GET") == ("/{a}", {"a": "1"})
    assert found(made, "/1/b", "GET") == ("/{a}/b", {"a": "1"})
    assert found(made, "/x1", "GET") == ("/x{a}", {"a": "1"})
    assert found(made, "/1", "PUT") == ("/{b}", {"b": "1"})
