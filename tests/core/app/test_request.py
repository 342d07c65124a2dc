"""What a request says about itself."""

from __future__ import annotations

import pytest

from windsock.core import Headers, Query, Request, RequestHead


def request(target: str, *lines: tuple[str, str], method: str = "GET") -> Request:
    return Request(RequestHead(method, target, Headers(lines)))


def test_what_it_is_given() -> None:
    head = RequestHead("POST", "/a?b=c", Headers([("Host", "example.com")]), "1.0")
    asked = Request(
        head,
        subprotocols=("chat",),
        body=b"x",
        scheme="wss",
        client=("192.0.2.1", 1),
        server="/run/sock",
    )
    assert (asked.method, asked.target, asked.http_version) == ("POST", "/a?b=c", "1.0")
    assert asked.headers is head.headers
    assert asked.subprotocols == ("chat",)
    assert asked.body == b"x"
    assert (asked.scheme, asked.client, asked.server) == ("wss", ("192.0.2.1", 1), "/run/sock")
    assert asked.url == "wss://example.com/a?b=c"
    assert repr(asked) == "<Request POST /a?b=c>"


def test_what_it_need_not_be_given() -> None:
    asked = request("/")
    assert (asked.subprotocols, asked.body, asked.scheme) == ((), b"", "ws")
    assert (asked.client, asked.server) == (None, None)
    assert asked.url == "ws:///"


@pytest.mark.parametrize(
    ("target", "raw_path", "path", "query_string"),
    [
        ("/", "/", "/", ""),
        ("/a/b", "/a/b", "/a/b", ""),
        ("/a?", "/a", "/a", ""),
        ("/a?b=c?d", "/a", "/a", "b=c?d"),
        ("/gr%C3%BCn%20x?%20", "/gr%C3%BCn%20x", "/grün x", "%20"),
        ("/%ff", "/%ff", "/\N{REPLACEMENT CHARACTER}", ""),
        ("/a%2Fb", "/a%2Fb", "/a/b", ""),
        ("//other.example/a", "//other.example/a", "//other.example/a", ""),
        ("http://example.com", "/", "/", ""),
        ("http://example.com?b", "/", "/", "b"),
        ("http://example.com/a%20b?c", "/a%20b", "/a b", "c"),
        ("http://[::1/a?b", "/a", "/a", "b"),  # not an address, but a path
        ("*", "/", "/", ""),
        ("?b", "/", "/", "b"),
        ("example.com:443", "/", "/", ""),
    ],
)
def test_its_path_and_query(target: str, raw_path: str, path: str, query_string: str) -> None:
    asked = request(target)
    assert (asked.raw_path, asked.path, asked.query_string) == (raw_path, path, query_string)


def test_the_url_of_an_absolute_target() -> None:
    asked = request("http://example.com/a", ("Host", "other.example"))
    assert asked.url == "http://example.com/a"


def test_its_query() -> None:
    query = request("/?a=1&b=%20x+y&a=2&empty=&bare").query
    assert query["a"] == "1"
    assert query["b"] == " x y"
    assert query["empty"] == query["bare"] == ""
    assert query.get_all("a") == ["1", "2"]
    assert query.get_all("none") == []
    assert query.get("none") is None
    assert list(query) == ["a", "b", "empty", "bare"]
    assert len(query) == 4
    assert "a" in query
    assert "none" not in query
    with pytest.raises(KeyError, match="none"):
        query["none"]
    assert repr(Query("a=1&a=2")) == "Query([('a', '1'), ('a', '2')])"


def test_no_query() -> None:
    assert dict(request("/").query) == {}


def test_cookies() -> None:
    asked = request("/", ("Cookie", 'a=1; b="two; a=3'), ("Cookie", "c=4; a=5"))
    assert asked.cookies["a"] == "1"
    assert asked.cookies["c"] == "4"
    assert dict(request("/").cookies) == {}
