"""Responses, what type they say they are, and `Reject`."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from werkzeug import exceptions, wrappers
from werkzeug.routing import RequestRedirect

from windsock.core import Headers, Reject, Response, WindsockError
from windsock.core.app.response import response_in

Lines = tuple[tuple[str, str], ...]

TEXT = ("Content-Type", "text/plain; charset=utf-8")
BINARY = ("Content-Type", "application/octet-stream")
HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("response", "status", "lines", "body"),
    [
        (Response(), 200, (), b""),
        (Response(""), 200, (), b""),
        (Response("grün"), 200, (TEXT,), b"gr\xc3\xbcn"),
        (Response(b"\0"), 200, (BINARY,), b"\0"),
        (Response("a", 404), 404, (TEXT,), b"a"),
        (Response("a,b", content_type="text/csv"), 200, (("Content-Type", "text/csv"),), b"a,b"),
        (Response(content_type="text/csv"), 200, (("Content-Type", "text/csv"),), b""),
        (
            Response("a", headers=[("content-type", "text/csv")]),
            200,
            (("content-type", "text/csv"),),
            b"a",
        ),
        (Response("a", 200, {"X": "1"}), 200, (TEXT, ("X", "1")), b"a"),
        (
            Response("a", 200, Headers([("X", "1"), ("X", "2")])),
            200,
            (TEXT, ("X", "1"), ("X", "2")),
            b"a",
        ),
        (Response(status=302, headers={"Location": "/"}), 302, (("Location", "/"),), b""),
        (Response.html("<p>"), 200, (HTML,), b"<p>"),
        (Response.html("<p>", 404), 404, (HTML,), b"<p>"),
        (Response.json({"a": [1, None]}), 200, (JSON,), b'{"a": [1, null]}'),
        (Response.json("x", 500), 500, (JSON,), b'"x"'),
    ],
)
def test_a_response(response: Response, status: int, lines: Lines, body: bytes) -> None:
    assert (response.status, response.headers.items_as_sent(), response.body) == (
        status,
        lines,
        body,
    )


def test_what_json_cannot_say() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        Response.json({1, 2})


def test_its_repr() -> None:
    assert repr(Response("abc", 404)) == "<Response 404, 3 bytes>"


@pytest.mark.parametrize(
    ("arguments", "options", "status", "body", "lines"),
    [
        ((), {}, 403, b"", ()),
        ((401,), {}, 401, b"", ()),
        ((401, "who?"), {}, 401, b"who?", (TEXT,)),
        ((401, "{}"), {"content_type": "application/json"}, 401, b"{}", (JSON,)),
        ((401,), {"headers": {"X": "1"}}, 401, b"", (("X", "1"),)),
        ((Response("no", 402),), {}, 402, b"no", (TEXT,)),
    ],
)
def test_reject(
    arguments: tuple[Any, ...], options: dict[str, Any], status: int, body: bytes, lines: Lines
) -> None:
    reject = Reject(*arguments, **options)
    response = reject.response
    assert (response.status, response.body) == (status, body)
    assert response.headers.items_as_sent() == lines
    assert isinstance(reject, WindsockError)
    assert str(reject) == f"rejected with {status}"


# The response that an error asks for


@pytest.mark.parametrize(
    ("error", "status", "body", "header"),
    [
        (Reject(401, "who?"), 401, b"who?", TEXT),
        (ExceptionGroup("x", [Reject(401)]), 401, b"", None),
        (ExceptionGroup("x", [ExceptionGroup("y", [Reject(401)])]), 401, b"", None),
        (ExceptionGroup("x", [Reject(401), Reject(402)]), 401, b"", None),
        (exceptions.Forbidden("no <b>"), 403, b"no &lt;b&gt;", HTML),
        (exceptions.MethodNotAllowed(["GET", "PUT"]), 405, b"not allowed", ("Allow", "GET, PUT")),
        (exceptions.TooManyRequests(retry_after=5), 429, b"", ("Retry-After", "5")),
        (RequestRedirect("/x"), 308, b"/x", ("Location", "/x")),
        (exceptions.HTTPException(response=wrappers.Response("no", 418)), 418, b"no", TEXT),
        (ExceptionGroup("x", [exceptions.NotFound()]), 404, b"Not Found", HTML),
    ],
)
def test_errors_that_are_responses(
    error: Exception, status: int, body: bytes, header: tuple[str, str] | None
) -> None:
    found = response_in(error)
    assert found is not None
    assert found.status == status
    assert body in found.body
    assert header is None or header in found.headers.items_as_sent()
    assert "content-length" not in found.headers  # is set on sending


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        exceptions.HTTPException("of no status"),
        ExceptionGroup("x", [Reject(401), ValueError("x")]),
        ExceptionGroup("x", [ValueError("x")]),
        BaseExceptionGroup("x", [Reject(401), KeyboardInterrupt()]),
        ExceptionGroup("x", [Reject(401), ExceptionGroup("y", [ValueError("x")])]),
    ],
)
def test_errors_like_any_other(error: BaseException) -> None:
    assert response_in(error) is None


def test_nobody_has_imported_werkzeugs_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "werkzeug.exceptions")
    assert response_in(exceptions.NotFound()) is None
