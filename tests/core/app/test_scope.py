"""`Request.scope`: the request as ASGI describes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.app.link import World
from tests.core.app.serving import answer, serve
from tests.core.helpers import KEY, a_request_head, parse_response, request
from windsock.core import App, Request, Response, WebSocket


def scope_of(world: World, app: App, line: str, **options: Any) -> dict[str, Any]:
    """The scope that the handler sees which `app` lacks yet, at "/seen"."""
    seen: list[dict[str, Any]] = []

    @app.websocket("/s e e n")
    async def handler(ws: WebSocket) -> None:
        assert ws.scope is ws.request.scope
        seen.append(ws.scope)
        await ws.reject()

    add = options.pop("add", ())
    serve(world, app, **options)
    world.peer_sends(request(line=line, add=add))
    assert parse_response(world.peer_got())[0] == 403
    return seen[0]


def test_a_websocket(world: World) -> None:
    add = [("X-Caf", "\u00e9"), ("Sec-WebSocket-Protocol", "a, b")]
    app = App(state={"a": 1})
    line = "GET /s%20e%20e%20n?q=%C3%A9&r HTTP/1.1"
    assert scope_of(world, app, line, add=add) == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/s e e n",
        "raw_path": b"/s%20e%20e%20n",
        "query_string": b"q=%C3%A9&r",
        "root_path": "",
        "headers": [
            (b"host", b"example.com"),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", KEY.encode()),
            (b"sec-websocket-version", b"13"),
            (b"x-caf", b"\xe9"),
            (b"sec-websocket-protocol", b"a, b"),
        ],
        "client": ("192.0.2.1", 50000),
        "server": ("192.0.2.2", 80),
        "extensions": {},
        "state": {"a": 1},
        "subprotocols": ["a", "b"],
    }


def test_plain_http(world: World) -> None:
    app = App()
    seen: list[dict[str, Any]] = []

    @app.http("/page", methods=["DELETE"])
    async def page(asked: Request) -> Response:
        seen.append(asked.scope)
        return Response()

    answer(world, app, "DELETE /page", secure=True)
    [scope] = seen
    assert (scope["type"], scope["scheme"], scope["method"]) == ("http", "https", "DELETE")
    assert "subprotocols" not in scope


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (None, None),
        ("", None),
        ("/run/x.sock", ("/run/x.sock", None)),
        (("::1", 80), ("::1", 80)),
    ],
)
def test_addresses(world: World, address: Any, shown: Any) -> None:
    line = "GET /s%20e%20e%20n HTTP/1.1"
    scope = scope_of(world, App(), line, client=address, server=address)
    assert (scope["client"], scope["server"]) == (shown, shown)


def test_a_hosts_own(world: World) -> None:
    """It is what the handler sees, with whatever else the host put into it."""
    given = {"type": "websocket", "host's own": True}
    line = "GET /s%20e%20e%20n HTTP/1.1"
    assert scope_of(world, App(), line, scope=given) is given


def test_state_is_shared(world: World) -> None:
    """And what is changed or added stays."""
    app = App(state={"a": 1})

    async def enrich(asked: Request, call_next: Any) -> Any:
        asked.scope["more"] = True
        asked.scope["state"]["b"] = 2
        return await call_next(asked)

    @app.http("/page", middleware=[enrich])
    async def page(asked: Request) -> Response:
        return Response(f"{asked.scope['more']} {asked.state}")

    assert answer(world, app, "GET /page")[2] == b"True {'a': 1, 'b': 2}"


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    ("given", "root"),
    [(None, "/a b/in"), ({"root_path": "/host"}, "/host/a b/in"), ({}, "/a b/in")],
)
def test_where_an_application_is_mounted(
    world: World, early: bool, given: dict[str, Any] | None, root: str
) -> None:
    """Whether or not somebody has looked at the scope outside."""
    inner, middle = App(), App()

    async def look(asked: Any, call_next: Any) -> Any:
        if early:
            assert asked.scope.get("root_path", "") == (given or {}).get("root_path", "")
        return await call_next(asked)

    app = App(middleware=[look])
    seen: list[Any] = []

    @inner.http("/page")
    async def page(asked: Request) -> Response:
        seen.append((asked.scope["root_path"], asked.root_path, asked.path))
        if given is None:
            assert asked.scope["path"] == "/a b/in/page"
            assert asked.scope["raw_path"] == b"/a%20b/in/page"
        return Response()

    middle.mount("/in", inner)
    app.mount("/a b", middle)
    scope = None if given is None else dict(given)
    assert answer(world, app, "GET /a%20b/in/page", scope=scope)[0] == 200
    assert seen == [(root, "/a%20b/in", "/page")]


def test_a_request_that_nobody_serves() -> None:
    """Without an application there is no state but its own."""
    asked = Request(a_request_head())
    asked.state["a"] = 1
    assert asked.scope["state"] == {"a": 1}
    assert asked.request is asked
