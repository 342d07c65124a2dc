"""Which handler a path belongs to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.core.app.routing.table import (
    HTTP_METHODS,
    WEBSOCKET,
    Match,
    NoMatch,
    Route,
    RouteTable,
)
from windsock.core.app.routing.values import Converter

WS = (WEBSOCKET,)
GET = ("GET",)


def handler() -> None:
    """Stands for one; a table does not call it."""


def table(*routes: tuple[str, Iterable[str]] | str, **options: Any) -> RouteTable:
    made = RouteTable(**options)
    for route in routes:
        path, methods = (route, WS) if isinstance(route, str) else route
        made.add(Route(path, handler), methods)
    return made


def at_hosts(*hosts: str | None, **options: Any) -> RouteTable:
    made = RouteTable(**options)
    for host in hosts:
        made.add(Route("/", handler, host), WS)
    return made


def found(
    made: RouteTable, path: str, method: str = WEBSOCKET, host: str = ""
) -> tuple[str, dict[str, Any]]:
    match = made.match(path, method, host)
    assert isinstance(match, Match), match
    return match.route.path, match.path_params


@pytest.mark.parametrize(
    ("path", "asked", "params"),
    [
        ("/", "/", {}),
        ("/", "", {}),
        ("/chat", "/chat", {}),
        ("/chat/{room}", "/chat/one", {"room": "one"}),
        ("/chat/{room}", "/chat/gr%C3%BCn%20x", {"room": "grün x"}),
        ("/grün/{room}", "/gr%c3%bcn/x", {"room": "x"}),
        ("/{a}/{b}", "/1/2", {"a": "1", "b": "2"}),
        ("/{a}-{b}", "/1-2", {"a": "1", "b": "2"}),
        ("/v{version}/x", "/v2/x", {"version": "2"}),
        ("/{_a1}", "/x", {"_a1": "x"}),
        # Every spelling of a placeholder, in one table of its own or not.
        ("/<room>/{n:int}", "/x/3", {"room": "x", "n": 3}),
        ("/<int:n>/{s}", "/3/x", {"n": 3, "s": "x"}),
        ("/<any(about,help):page>", "/help", {"page": "help"}),
        ("/{page:any(about,help)}", "/help", {"page": "help"}),
        ("/<regex('[a-z]{2}'):code>", "/ab", {"code": "ab"}),
        ("/{code:regex([a-z]{2,3})}", "/abc", {"code": "abc"}),
        (
            "/{when:datetime:%Y-%m-%dT%H:%M}",
            "/2024-05-06T07:08",
            {"when": datetime.fromisoformat("2024-05-06T07:08")},
        ),
        ("/{when:date:%d/%m/%Y}", "/06/05/2024", {"when": date(2024, 5, 6)}),
        ("/{}/x", "/anything/x", {}),
        ("/{}-{b}", "/1-2", {"b": "2"}),
        ("/{rest:path}", "/a/b//c", {"rest": "a/b//c"}),
        ("/{rest:path}", "/a/b/", {"rest": "a/b/"}),
        ("/{rest:path}", "/a%0Ab", {"rest": "a\nb"}),
        ("/{rest:path}/edit", "/a/edit/edit", {"rest": "a/edit"}),
        ("/{rest:path}/{last}", "/a/b/c", {"rest": "a/b", "last": "c"}),
        ("/{rest:path}-{last}", "/a/b-c", {"rest": "a/b", "last": "c"}),
        # Of several in a segment, text takes as little as it can.
        ("/{a}-{b}-{c}", "/1-2-3-4", {"a": "1", "b": "2", "c": "3-4"}),
        ("/{a}-{b}.x", "/1-2-3.x.x", {"a": "1", "b": "2-3.x"}),
        ("/{a}{b}", "/123", {"a": "1", "b": "23"}),
        ("/{a}-{n:int}", "/x-y-5", {"a": "x-y", "n": 5}),
        ("/{a}--{b}", "/x---y", {"a": "x", "b": "-y"}),
        ("/{a}-{b:path}", "/1-2-3/4", {"a": "1", "b": "2-3/4"}),
        # An encoded slash is text, and separates nothing.
        ("/chat/{room}", "/chat/a%2Fb", {"room": "a/b"}),
        ("/chat/{room}", "/chat/a%2fb%252F", {"room": "a/b%2F"}),
        ("/{rest:path}", "/a%2Fb/c", {"rest": "a/b/c"}),
        ("/{when:date:%x}", "/05%2F06%2F24", {"when": date(2024, 5, 6)}),
        # What means something to regular expressions or to the map underneath means itself.
        ("/a.b+(c)|d$", "/a.b+(c)|d$", {}),
        ("/a\\b:%s", "/a\\b:%25s", {}),
        ("/a.b-{x}", "/a.b-c", {"x": "c"}),
        # Slashes at the beginning are one, as werkzeug has it.
        ("/chat", "//chat", {}),
    ],
)
def test_a_path_matches(path: str, asked: str, params: dict[str, Any]) -> None:
    assert found(table(path), asked) == (path, params)
    assert list(found(table(path), asked)[1]) == list(params)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/chat", "/"),
        ("/chat", "/chats"),
        ("/chat", "/Chat"),
        ("/chat", "/chat/one"),
        ("/chat", "chat"),
        ("/{x}", "*"),
        ("/chat/{room}", "/chat"),
        ("/chat/{room}", "/chat/"),
        ("/chat/{room}", "/chat/a/b"),
        ("/a.b", "/aXb"),
        ("/a.b-{x}", "/aXb-c"),
        ("/a/b", "/a//b"),
        ("/a/b", "/a%2Fb"),
        ("/{rest:path}", "/"),
        ("/{a}-{b}", "/-b"),
        ("/{a}-{b}", "/a-"),
        ("/{n:int}", "/x"),
        ("/{n:int}", "/" + "1" * 5000),
        ("/{n:int}", "/٣"),
        ("/{n:int(max=3)}", "/4"),
        ("/{when:datetime:%Y-%m-%d}", "/2024-13-45"),
    ],
)
def test_a_path_does_not_match(path: str, asked: str) -> None:
    assert table(path).match(asked, WEBSOCKET) == NoMatch(404)


def test_nothing_matches_nothing() -> None:
    assert RouteTable().match("/", WEBSOCKET) == NoMatch(404)
    assert RouteTable().match("/", "GET") == NoMatch(404)


# Slashes at the end


@pytest.mark.parametrize("asked", ["/a/chat", "/a/chat/"])
@pytest.mark.parametrize(
    "path",
    ["/a/chat", "/a/chat/", "/a/{x}", "/a/{x}/", "/{p:path}/chat", "/{p:path}/{x}/",
     "/{p:path}h{x}", "/{x:any(a/chat,b)}", "/{x:regex(a/[a-z]+/?)}"],
)  # fmt: skip
def test_a_slash_at_the_end_makes_no_difference(path: str, asked: str) -> None:
    made = table((path, WS), (path, GET))
    assert found(made, asked)[0] == path
    assert found(made, asked, "GET")[0] == path
    assert made.match(asked, "POST") == NoMatch(405, (("Allow", "GET, HEAD"),))


def test_a_slash_at_the_end_is_not_part_of_what_stands_before_it() -> None:
    assert found(table("/{x:any(a/b,c)}"), "/a/b/")[1] == {"x": "a/b"}
    assert found(table("/{p:path}/{x}"), "/a/b/c/")[1] == {"p": "a/b", "x": "c"}


def test_a_slash_at_the_end_is_part_of_what_spans_segments() -> None:
    assert found(table("/{p:path}/"), "/a/b/") == ("/{p:path}/", {"p": "a/b/"})


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/{x}", "/{x}/", "/{p:path}/", "/a{x}/"])
@pytest.mark.parametrize("asked", ["/", "//", "/a", "//a", "/a/", "/ab", "/ab/", "/ab//"])
def test_strict_slashes(path: str, asked: str) -> None:
    match = table(path, strict_slashes=True).match(asked, WEBSOCKET)
    expected = {
        "/": {"/", "//"},
        "/a": {"/a", "//a"},
        "/a/": {"/a/"},
        "/{x}": {"/a", "//a", "/ab"},
        "/{x}/": {"/a/", "/ab/"},
        "/{p:path}/": {"/a/", "/ab/", "/ab//"},
        "/a{x}/": {"/ab/"},
    }
    if asked in expected[path]:
        assert isinstance(match, Match)
    else:
        assert match == NoMatch(404)


def test_strict_slashes_tell_two_routes_apart() -> None:
    made = table("/a", "/a/", "/{x}", "/{p:path}", strict_slashes=True)
    assert found(made, "/a") == ("/a", {})
    assert found(made, "/a/") == ("/a/", {})
    assert found(made, "/b") == ("/{x}", {"x": "b"})
    assert found(made, "/b/") == ("/{p:path}", {"p": "b/"})
    assert found(made, "/$") == ("/{x}", {"x": "$"})


# Which goes first


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        ("/chat/lobby", "/chat/{room}", "/chat/lobby"),
        ("/chat/{room}", "/{rest:path}", "/chat/lobby"),
        ("/{a}/lobby", "/{a}/{b}", "/x/lobby"),
        ("/x{a}", "/{a}", "/xa"),
        ("/xy{a}", "/x{a}", "/xya"),
        ("/{n:int}", "/{s}", "/12"),
        ("/{n:int}", "/{n:float}", "/12"),
        ("/{a:any(x,y)}", "/{a:regex([a-z])}", "/x"),
        ("/{a:regex([a-z])}", "/{a}", "/x"),
        ("/{a:string(length=1)}", "/{a}", "/x"),
        ("/{a}", "/{rest:path}", "/x"),
        ("/{a}/edit", "/{rest:path}/edit", "/x/edit"),
        ("/{rest:path}/edit", "/{rest:path}", "/x/edit"),
        ("/{a}-{b}", "/{rest:path}", "/x-y"),
        ("/{a}/{b}", "/{rest:path}", "/x/y"),
    ],
)
def test_the_more_specific_goes_first(first: str, second: str, asked: str, turn: int) -> None:
    made = table(*[first, second][::turn])
    assert found(made, asked)[0] == first


@pytest.mark.parametrize("order", ["012", "210", "120"])
def test_where_a_value_does_not_convert_the_next_route_is_tried(order: str) -> None:
    paths = ["/d/{when:datetime:%Y-%m-%d}", "/d/{n:int(min=10)}", "/d/{s}"]
    made = table(*[paths[int(number)] for number in order])
    assert found(made, "/d/2024-12-31") == (
        paths[0],
        {"when": datetime.fromisoformat("2024-12-31")},
    )
    assert found(made, "/d/12") == (paths[1], {"n": 12})
    assert found(made, "/d/9") == (paths[2], {"s": "9"})
    assert found(made, "/d/2024-13-45") == (paths[2], {"s": "2024-13-45"})


def test_a_route_whose_values_do_not_convert_allows_no_method() -> None:
    made = table(("/{n:int(max=3)}", ("GET", "POST")), ("/{s:string(length=1)}", ("PUT",)))
    assert made.match("/4", "GET") == NoMatch(405, (("Allow", "PUT"),))
    assert made.match("/44", "GET") == NoMatch(404)
    assert made.match("/44", "DELETE") == NoMatch(404)
    assert made.match("/44", WEBSOCKET) == NoMatch(404)


@pytest.mark.parametrize("error", [ValueError, KeyError, OverflowError])
def test_a_converter_of_ones_own_says_no_by_an_error(error: type[Exception]) -> None:
    def refuse(text: str) -> Any:
        raise error(text)

    made = table("/{x:mine}", "/{x}", converters={"mine": Converter("[a-z]+", refuse)})
    assert found(made, "/abc") == ("/{x}", {"x": "abc"})


def test_many_routes_that_do_not_convert() -> None:
    made = table(*[f"/{{n:int(min={least})}}" for least in range(50)])
    assert found(made, "/7") == ("/{n:int(min=0)}", {"n": 7})
    assert made.match("/-7", WEBSOCKET) == NoMatch(404)


def test_annotations_are_the_types_of_placeholders_without_one() -> None:
    made = RouteTable()
    types = {"n": "int", "s": "int", "t": "float"}
    made.add(Route("/{n}/{s:str}/{}", handler, "{t}", annotations=types), WS)
    params = {"n": -3, "s": "4", "t": 1.5}
    assert found(made, "/-3/4/x", host="1.5")[1] == params
    assert made.match("/x/4/x", WEBSOCKET, "1.5") == NoMatch(404)
    assert made.match("/3/4/x", WEBSOCKET, "x") == NoMatch(404)


# Methods


def test_get_includes_head() -> None:
    made = table(("/", GET))
    assert found(made, "/", "GET") == found(made, "/", "HEAD") == ("/", {})


def test_head_of_its_own() -> None:
    made = table(("/{a}", ("HEAD",)), ("/{b}", GET))
    assert found(made, "/x", "HEAD") == ("/{a}", {"a": "x"})
    assert found(made, "/x", "GET") == ("/{b}", {"b": "x"})
    with pytest.raises(ValueError, match=r"HEAD '/' already \(GET includes HEAD\)"):
        table(("/", GET), ("/", ("HEAD",)))


def test_methods_are_told_apart_and_named_when_none_fits() -> None:
    made = table(("/a", ("post", "PUT")), ("/{a}", ("DELETE",)))
    assert found(made, "/a", "POST") == ("/a", {})
    assert found(made, "/a", "PUT") == ("/a", {})
    assert found(made, "/a", "DELETE") == ("/{a}", {"a": "a"})
    assert made.match("/a", "GET") == NoMatch(405, (("Allow", "DELETE, POST, PUT"),))
    assert made.match("/b", "GET") == NoMatch(405, (("Allow", "DELETE"),))


@pytest.mark.parametrize("method", ["", "?", "get", "PROPFIND", "GET 0", "GET\n", "\ud800"])
def test_a_method_that_no_route_can_have(method: str) -> None:
    made = table(("/a", GET))
    assert made.match("/a", method) == NoMatch(405, (("Allow", "GET, HEAD"),))
    assert made.match("/b", method) == NoMatch(404)


def test_a_plain_request_where_only_websockets_are_spoken() -> None:
    made = table("/chat")
    assert made.match("/chat", "GET") == NoMatch(426, (("Upgrade", "websocket"),))
    assert made.match("/other", "GET") == NoMatch(404)


def test_a_websocket_where_only_plain_http_is_spoken() -> None:
    made = table(("/health", GET), ("/form", ("POST",)))
    assert made.match("/health", WEBSOCKET) == NoMatch(405, (("Allow", "GET, HEAD"),))
    assert made.match("/form", WEBSOCKET) == NoMatch(405, (("Allow", "POST"),))
    assert made.match("/other", WEBSOCKET) == NoMatch(404)


def test_websockets_are_not_among_the_allowed_methods() -> None:
    made = table(("/x", ("WEBSOCKET", "POST")))
    assert made.match("/x", "GET") == NoMatch(405, (("Allow", "POST"),))


def test_both_on_one_path() -> None:
    made = RouteTable()
    made.add(Route("/x", handler, options="websocket"), ["ws"])
    made.add(Route("/x", handler, options="http"), "get")
    for method, options in ((WEBSOCKET, "websocket"), ("GET", "http")):
        match = made.match("/x", method)
        assert isinstance(match, Match)
        assert match.route.options == options


def test_every_method() -> None:
    made = table(("/x", HTTP_METHODS))
    assert all(found(made, "/x", method) for method in HTTP_METHODS)


# Hosts


@pytest.mark.parametrize(
    ("host", "asked", "params"),
    [
        ("api.example.org", "api.example.org", {}),
        ("API.example.org", "api.EXAMPLE.org:8765", {}),
        ("api.example.org:80", "api.example.org:80", {}),
        ("{tenant}.example.org", "a.b.example.org:1", {"tenant": "a.b"}),
        ("{}.example.org", "a.example.org", {}),
        ("{a}.{b}.org", "x.y.z.org", {"a": "x", "b": "y.z"}),
        ("<host>", "127.0.0.1:1", {"host": "127.0.0.1"}),
        ("<host>", "[::1]:1", {"host": "[::1]"}),
        ("<host>", "[::1]", {"host": "[::1]"}),
        ("<regex('.*'):host>", "x.y:1", {"host": "x.y"}),
        ("<regex('.*'):host>", "", {"host": ""}),
        ("example.org<port:port>", "example.org:8080", {"port": 8080}),
        ("example.org<port:port>", "example.org", {"port": None}),
        ("example.org<port:p>", "example.org:1", {"p": 1}),
        ("example.org<regex('(?::.*)?'):port>", "example.org:1", {"port": ":1"}),
        ("<id><regex('[.]cdn[.](net|local)'):name>:<port>", "x.cdn.net:1",
         {"id": "x", "name": ".cdn.net", "port": "1"}),
        ("{n:int}.example.org", "12.example.org", {"n": 12}),
    ],
)  # fmt: skip
def test_a_host_matches(host: str, asked: str, params: dict[str, Any]) -> None:
    assert found(at_hosts(host), "/", host=asked)[1] == params


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("example.org", ""),
        ("example.org", "www.example.org"),
        ("example.org", "example.org.evil"),
        ("example.org", "exampleXorg"),
        ("example.org", "example.org:80:80"),
        ("example.org", "example.org:x"),
        ("example.org:80", "example.org"),
        ("example.org:80", "example.org:81"),
        ("example.org<port:port>", "example.org:99999"),
        ("example.org<port:port>", "example.org:8o"),
        ("{n:int}.example.org", "x.example.org"),
        ("{x}", "x" * 300),
        ("{x}", "a/b"),
    ],
)
def test_a_host_does_not_match(host: str, asked: str) -> None:
    assert at_hosts(host).match("/", WEBSOCKET, asked) == NoMatch(404)


@pytest.mark.parametrize("turn", [1, -1])
def test_the_more_specific_host_goes_first(turn: int) -> None:
    hosts = ["example.org:80", "api.example.org", "example.org", "{t}.example.org", "{any}", None]
    made = at_hosts(*hosts[::turn])
    for asked, host in {
        "example.org:80": "example.org:80",
        "example.org:81": "example.org",
        "api.example.org": "api.example.org",
        "x.example.org": "{t}.example.org",
        "x.org": "{any}",
        "x" * 300: None,
        "": None,
        "\ud800/..": None,
    }.items():
        match = made.match("/", WEBSOCKET, asked)
        assert isinstance(match, Match)
        assert match.route.host == host


def test_a_host_that_is_written_out_goes_before_a_longer_one_with_a_placeholder() -> None:
    made = at_hosts("example.org:{port}", "example.org")
    match = made.match("/", WEBSOCKET, "example.org:81")
    assert isinstance(match, Match)
    assert match.route.host == "example.org"


def test_the_routes_of_one_host_pattern_are_one_table_whatever_their_names() -> None:
    made = RouteTable()
    made.add(Route("/{x}", handler, "{a}.org"), WS)
    made.add(Route("/lobby", handler, "{b}.org"), WS)
    assert found(made, "/lobby", host="h.org") == ("/lobby", {"b": "h"})
    assert found(made, "/other", host="h.org") == ("/{x}", {"x": "other", "a": "h"})


def test_the_methods_of_all_hosts_that_match_are_named() -> None:
    made = RouteTable()
    made.add(Route("/x", handler, "a.org"), ["PUT"])
    made.add(Route("/x", handler), ["POST"])
    assert made.match("/x", "GET", "a.org") == NoMatch(405, (("Allow", "POST, PUT"),))
    assert made.match("/x", "GET", "b.org") == NoMatch(405, (("Allow", "POST"),))
    assert found(made, "/x", "POST", "a.org") == ("/x", {})


# What cannot be added


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (Route("chat", handler), r"begins with a slash: write '/chat'"),
        (Route("/{a", handler), r"a brace without its partner in the path '/\{a'"),
        (Route("/{a}/{a}", handler), r"\{a\} stands twice in the path '/\{a\}/\{a\}'"),
        (Route("/{a}", handler, "{a}"), r"\{a\} stands in the host '\{a\}' and in the path"),
        (Route("/", handler, "a/b"), r"the host 'a/b' is none"),
        (Route("/{a:no}", handler), r"route '/\{a:no\}': there is no type 'no': .* any, bool"),
        (Route("/", handler, "{a:no}"), r"'/' of the host '\{a:no\}': there is no type 'no'"),
        (Route("/{a}", handler, annotations={"a": "no"}), r"'/\{a\}': there is no type 'no'"),
        (Route("/{a:datetime:%!}", handler), r"route '/\{a:datetime:%!\}': '%!' is no format"),
        (Route("/{a:regex([)}", handler), r"route .*: '\[' is no regular expression"),
        (Route("/{a:path}/{b:path}", handler), r"only one \{name:path\} may stand in a path"),
    ],
)
def test_a_route_that_is_malformed(route: Route, message: str) -> None:
    made = RouteTable()
    with pytest.raises(ValueError, match=message):
        made.add(route, WS)
    assert made.match("/", WEBSOCKET) == NoMatch(404)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ((), r"the route '/a' needs at least one method, such as GET"),
        (("GETT",), r"the route '/a' has an unknown method, 'GETT': the methods are CONNECT, DEL"),
        (("",), r"unknown method, ''"),
        (("GET", "a b"), r"unknown method, 'A B'"),
    ],
)
def test_methods_that_are_none(methods: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteTable().add(Route("/a", handler), methods)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("/a", WS), ("/a", ("WS",)), "for WEBSOCKET '/a' already"),
        (("/a", WS), ("/a/", WS), "for WEBSOCKET '/a/' already"),
        (("/{a}", WS), ("/<b>", WS), "for WEBSOCKET '/<b>' already"),
        (("/{a}", WS), ("/{}", WS), r"for WEBSOCKET '/\{\}' already"),
        (("/{a}", WS), ("/{b:string}", WS), r"for WEBSOCKET '/\{b:string\}' already"),
        (("/{a:any(x,y)}", WS), ("/<any('y','x'):b>", WS), "already"),
        (("/{a:int}-x", WS), ("/<int:b>-x", WS), "already"),
        (("/a", GET), ("/a", ("POST", "get")), "for GET '/a' already"),
    ],
)
def test_a_path_that_is_taken(first: Any, second: Any, message: str) -> None:
    made = table(first)
    with pytest.raises(ValueError, match=message):
        made.add(Route(second[0], handler), second[1])


def test_a_route_that_cannot_be_added_leaves_the_table_as_it_was() -> None:
    made = table(("/a", ("PUT",)))
    with pytest.raises(ValueError, match="PUT '/a' already"):
        made.add(Route("/a", handler, name="x"), ("GET", "POST", "PUT"))
    made.add(Route("/b", handler, name="b"), GET)
    with pytest.raises(ValueError, match="name 'b'"):
        made.add(Route("/c", handler, name="b"), GET)
    assert made.match("/a", "GET") == NoMatch(405, (("Allow", "PUT"),))
    assert made.match("/c", "GET") == NoMatch(404)
    with pytest.raises(LookupError):
        made.url_for("x")
    made.add(Route("/a", handler, name="x"), ("GET", "POST"))
    made.add(Route("/c", handler), GET)
    assert found(made, "/a", "GET") == ("/a", {})


def test_paths_that_only_look_alike() -> None:
    made = table(
        ("/{a}", GET), ("/{a}/b", GET), ("/x{a}", GET), ("/{b}", ("PUT",)), ("/{a:int}", GET),
        ("/{a:int(max=3)}", GET),
    )  # fmt: skip
    made.add(Route("/{a}", handler, "x.org"), GET)
    assert found(made, "/y", "GET") == ("/{a}", {"a": "y"})
    assert found(made, "/y/b", "GET") == ("/{a}/b", {"a": "y"})
    assert found(made, "/x1", "GET") == ("/x{a}", {"a": "1"})
    assert found(made, "/y", "PUT") == ("/{b}", {"b": "y"})
    assert found(made, "/4", "GET") == ("/{a:int}", {"a": 4})


def test_routes_may_be_added_between_matches() -> None:
    made = table("/a")
    assert made.match("/b", WEBSOCKET) == NoMatch(404)
    made.add(Route("/b", handler), WS)
    assert found(made, "/b") == ("/b", {})


# The way back


@pytest.mark.parametrize(
    ("path", "values", "url"),
    [
        ("/", {}, "/"),
        ("/chat/", {}, "/chat/"),
        ("/grün x/{room}", {"room": "a/b c?"}, "/gr%C3%BCn%20x/a%2Fb%20c%3F"),
        ("/{room}", {"room": 5}, "/5"),
        ("/{rest:path}", {"rest": "a/b c"}, "/a/b%20c"),
        ("/<int:n>-{x}", {"n": -3, "x": "é"}, "/-3-%C3%A9"),
        ("/{d:date:%d/%m/%Y}", {"d": date(2024, 5, 6)}, "/06/05/2024"),
        ("/{x:any(a,b)}", {"x": "b"}, "/b"),
        ("/{a}-{b}", {"a": "x", "b": "y-z"}, "/x-y-z"),
        ("/{p:path}/{x}/", {"p": "a/b", "x": "c/d"}, "/a/b/c%2Fd/"),
    ],
)
@pytest.mark.parametrize("strict_slashes", [False, True])
def test_urls(path: str, values: dict[str, Any], url: str, strict_slashes: bool) -> None:
    made = RouteTable(strict_slashes=strict_slashes)
    made.add(Route(path, handler, name="it"), WS)
    assert made.url_for("it", values) == url
    assert len(found(made, url)[1]) == len(values)


def test_urls_with_a_host() -> None:
    made = RouteTable()
    made.add(Route("/{x}", handler, "{tenant}.example.org<port:port>", "it"), WS)
    values = {"tenant": "a", "x": "y"}
    assert made.url_for("it", {**values, "port": 80}) == "//a.example.org:80/y"
    assert made.url_for("it", {**values, "port": None}) == "//a.example.org/y"


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("/{a}/{b}/{c}", {"a": "x"}, r"'/\{a\}/\{b\}/\{c\}', named 'it', needs .* \{b\}, \{c\}"),
        ("/", {"a": "x"}, r"route '/', named 'it', has no placeholder \{a\}"),
        ("/{n:int}", {"n": "x"}, r"'/\{n:int\}', named 'it': the value of \{n\}, 'x', would not"),
        ("/{n:int(max=3)}", {"n": 4}, r"the value of \{n\}, 4, is none: 4 is not from None to 3"),
        ("/{x}", {"x": ""}, r"the value of \{x\}, '', would not match"),
        ("/{x}", {"x": None}, r"the value of \{x\}, None, is none"),
        ("/{d:date:%Y}", {"d": "2024"}, r"the value of \{d\}, '2024', is none"),
        ("/{a}-{b}", {"a": "x-y", "b": "z"}, r"'it': these values would be parted in another way"),
        ("/{a}-{b}", {"a": "x", "b": "y-z", "c": ""}, r"has no placeholder \{c\}"),
        ("/{}", {}, r"an anonymous placeholder, \{\}, has no value: give it a name"),
    ],
)
def test_urls_that_cannot_be(path: str, values: dict[str, Any], message: str) -> None:
    made = RouteTable()
    made.add(Route(path, handler, name="it"), WS)
    with pytest.raises(ValueError, match=message):
        made.url_for("it", values)


def test_names_that_nobody_has() -> None:
    with pytest.raises(LookupError, match="no route named 'x': the names are none has a name"):
        RouteTable().url_for("x")
    made = RouteTable()
    made.add(Route("/b", handler, name="b"), WS)
    made.add(Route("/a", handler, name="a"), WS)
    with pytest.raises(LookupError, match="no route named 'x': the names are a, b"):
        made.url_for("x", {})


def test_a_name_is_that_of_one_path() -> None:
    made = RouteTable()
    made.add(Route("/a", handler, name="it"), WS)
    made.add(Route("/a", handler, name="it"), GET)
    for other in (Route("/b", handler, name="it"), Route("/a", handler, "h", "it")):
        with pytest.raises(ValueError, match=r"'it' of the route .* is that of the route '/a'"):
            made.add(other, ("PUT",))


# Whatever comes

EVERYTHING = table(
    "/", "/chat", "/chat/{room}", "/{n:int}/x", "/{f:float}/x", "/{a}-{b}.x", "/{a}-{n:int}-{b}.y",
    "/{d:date}/{t:time}", "/{d:datetime}", "/{d:datetime:%Y-%m-%d}", "/{u:uuid}", "/{b:bool}",
    "/{d:decimal}", "/{x:regex([a-z]+)}", "/x{p:port}", "/{rest:path}/edit", "/{rest:path}-{a}.z",
    "/{rest:path}-{a}_{b}.z", "/{s:string(maxlength=3)}/{rest:path}",
)  # fmt: skip
EVERYTHING.add(Route("/{x}", handler, "{a}.{b}.org<port:port>"), WS)
STRICT = table("/", "/a/", "/{x}", "/{rest:path}", strict_slashes=True)

paths = st.one_of(
    st.text(st.characters(codec=None)),
    st.text("/%2Ff0-.:ax\0é\ud800\udc2f$"),
    st.lists(st.sampled_from(["/", "%", "%2F", "%FF", "12", "-", "2024-12-31", ".x", "chat"])).map(
        "".join
    ),
)


@given(
    st.one_of(paths, paths.map("/".__add__)), st.text(), st.one_of(st.just(WEBSOCKET), st.text())
)
def test_whatever_comes_matches_or_does_not(path: str, host: str, method: str) -> None:
    for made in (EVERYTHING, STRICT):
        match = made.match(path, method, host)
        assert isinstance(match, (Match, NoMatch))
        if isinstance(match, Match):
            for value in match.path_params.values():
                if isinstance(value, str):
                    value.encode()  # no lone surrogate is left


@given(st.text(min_size=1), st.text(min_size=1).filter(lambda text: not text.startswith("/")))
def test_text_goes_there_and_back(text: str, path: str) -> None:
    made = RouteTable()
    made.add(Route("/{text}/{path:path}", handler, name="it"), WS)
    if any("\ud800" <= character <= "\udfff" for character in text + path):
        return
    values = {"text": text, "path": path}
    assert found(made, made.url_for("it", values))[1] == values


@pytest.mark.parametrize("strict_slashes", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "/" + "-" * 60_000,
        "/" + "a-" * 30_000,
        "/" + "-1" * 30_000,
        "/" + "/" * 60_000,
        "/" + "a/" * 30_000,
        "/" + "/edi" * 15_000,
        "/" + "%2F" * 20_000,
        "/" + "%" * 60_000,
        "/" + "1" * 60_000,
        "/2024-12-31/" + "12:" * 20_000,
        "/" + "_-" * 30_000,
    ],
    ids=lambda path: path[:8],
)
def test_a_long_path_is_not_slow(path: str, strict_slashes: bool) -> None:
    made = EVERYTHING if not strict_slashes else STRICT
    began = time.process_time()
    assert isinstance(made.match(path, WEBSOCKET, "a." * 30_000), (Match, NoMatch))
    assert time.process_time() - began < 1
