"""Routers that are included, applications that are mounted, and the URLs of their routes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World, unreachable
from tests.core.app.serving import answer, hears, serve, status_of
from tests.core.helpers import parse_response, request
from windsock.core import (
    App,
    Converter,
    Request,
    Response,
    Router,
    WebSocket,
    WebSocketRequest,
    ws_send,
)


async def where(ws: WebSocket) -> None:
    """Says where the WebSocket was found."""
    async with ws:
        await ws.send(f"{ws.request.root_path} {ws.request.raw_path} {ws.path_params}")


async def page(asked: Request) -> Response:
    return Response(f"{asked.root_path} {asked.path}")


async def room(ws: WebSocket, name: str) -> None:
    """A handler with a placeholder."""


def routes_of(*paths: str, **options: Any) -> Router:
    router = Router(**options)
    for path in paths:
        router.websocket(path)(where)
    return router


# Routers


@pytest.mark.parametrize(
    ("prefix", "path", "target", "told"),
    [
        ("", "/a", "/a", " /a {}"),
        ("/api", "/a", "/api/a", " /api/a {}"),
        ("/api", "/", "/api", " /api {}"),
        ("/api", "/", "/api/", " /api/ {}"),
        ("/api/v1", "/a", "/api/v1/a", " /api/v1/a {}"),
        ("/{}", "/a", "/x/a", " /x/a {}"),
        ("/caf\u00e9", "/a", "/caf%C3%A9/a", " /caf%C3%A9/a {}"),
        ("/api", "/a", "/%61pi/a", " /%61pi/a {}"),
    ],
)
def test_a_router_under_a_prefix(
    world: World, prefix: str, path: str, target: str, told: str
) -> None:
    app = App()
    app.include_router(routes_of(path), prefix=prefix)
    assert hears(world, app, target) == [told, 1000]


@pytest.mark.parametrize(
    ("strict", "target", "status"),
    [
        (True, "/api", 101),
        (True, "/api/", 404),
        (True, "/api/a/", 101),
        (True, "/api/a", 404),
        (False, "/api/", 101),
        (False, "/api/a", 101),
    ],
)
def test_slashes_are_for_the_including_one_to_say(
    world: World, strict: bool, target: str, status: int
) -> None:
    app = App(strict_slashes=strict)
    app.include_router(routes_of("/", "/a/", strict_slashes=not strict), prefix="/api")
    assert status_of(world, app, target) == status


async def of_tenant(ws: WebSocket, tenant: int, name: str) -> None:
    async with ws:
        await ws.send(f"{tenant!r} {name!r}")


async def yields_tenant(scope: Any, receiver: Any, tenant: int, name: str) -> Any:
    yield ws_send(f"{tenant!r} {name!r}")


def blocks_for_tenant(asked: WebSocketRequest, tenant: int, name: str) -> None:
    with asked.accept() as websocket:
        websocket.send(f"{tenant!r} {name!r}")


@pytest.mark.parametrize("handler", [of_tenant, yields_tenant, blocks_for_tenant])
def test_placeholders_of_a_prefix_are_arguments_too(make_world: MakeWorld, handler: Any) -> None:
    router, app = Router(), App()
    router.websocket("/{name}")(handler)
    app.include_router(router, prefix="/t/{tenant}")
    assert hears(make_world(), app, "/t/5/x") == ["5 'x'", 1000]
    assert status_of(make_world(), app, "/t/five/x") == 404


@pytest.mark.parametrize("handler", [of_tenant, yields_tenant, blocks_for_tenant])
def test_a_placeholder_that_no_prefix_brings(handler: Any) -> None:
    """It is missed where the paths are complete."""
    inner, outer = Router(), Router()
    inner.websocket("/{name}")(handler)
    outer.include_router(inner, prefix="/outer")
    with pytest.raises(TypeError, match=r"tenant|positional"):
        App().include_router(outer)
    with pytest.raises(TypeError, match=r"tenant|positional"):
        App().websocket("/{name}")(handler)


def test_so_are_they_for_plain_http(make_world: MakeWorld) -> None:
    router, app = Router(), App()

    @router.http("/{name}")
    async def page(asked: Request, tenant: str, name: str) -> Response:
        return Response(tenant + name)

    app.include_router(router, prefix="/{tenant}")
    assert answer(make_world(), app, "GET /a/b")[2] == b"ab"
    with pytest.raises(TypeError, match="'tenant'"):
        App().http("/{name}")(page)


@pytest.mark.parametrize("prefix", ["api", "/api/", "/", "api/", "//"])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ValueError, match="a prefix begins with a slash and ends without: '/"):
        App().include_router(Router(), prefix=prefix)


def test_routers_in_routers(world: World) -> None:
    inner, outer, app = routes_of("/c"), Router(), App()
    outer.include_router(inner, prefix="/b")
    app.include_router(outer, prefix="/a")
    assert hears(world, app, "/a/b/c") == [" /a/b/c {}", 1000]


def test_options_go_along(world: World) -> None:
    router, app = Router(), App()

    @router.websocket("/a", value_type="json", auto_accept=True)
    async def handler(ws: WebSocket) -> None:
        await ws.send({"a": 1})

    app.include_router(router, prefix="/in")
    assert hears(world, app, "/in/a") == ['{"a":1}', 1000]


def test_a_router_is_included_once() -> None:
    router = Router()
    App().include_router(router)
    for other in (App(), router):
        with pytest.raises(RuntimeError, match="included already"):
            other.include_router(router)
    app = App()
    with pytest.raises(RuntimeError, match="included already"):
        app.include_router(app)


def test_a_route_that_comes_too_late() -> None:
    """It would lead nowhere."""
    router = Router()
    App().include_router(router)
    with pytest.raises(RuntimeError, match="the route '/late' comes too late"):
        router.websocket("/late")(unreachable)


def test_two_routers_with_the_same_path() -> None:
    app = App()
    app.include_router(routes_of("/a"))
    with pytest.raises(ValueError, match="'/a' already"):
        app.include_router(routes_of("/a"))


def host_of(world: World, app: App, host: str) -> int:
    """The status of a WebSocket for that host."""
    serve(world, app)
    world.peer_sends(request(("Host", host), line="GET /a HTTP/1.1"))
    return parse_response(world.peer_got())[0]


@pytest.mark.parametrize(
    ("where_set", "own"),
    [("app", False), ("router", False), ("router", True), ("route", True), ("route", False)],
)
def test_hosts(make_world: MakeWorld, where_set: str, own: bool) -> None:
    """The innermost that says one counts."""
    host, other = "a.example", "b.example"
    app = App(host=host if where_set == "app" else other if own else None)
    router = Router(host=host if where_set == "router" else other if own else None)
    router.websocket("/a", host=host if where_set == "route" else None)(unreachable_but_rejects)
    app.include_router(router)
    assert host_of(make_world(), app, "a.example") == 418
    assert host_of(make_world(), app, "A.example:80") == 418
    assert host_of(make_world(), app, "b.example") == 404


async def unreachable_but_rejects(ws: WebSocket) -> None:
    await ws.reject(418)


def test_converters_of_an_included_router(world: World) -> None:
    hexadecimal = Converter("[0-9a-f]+", lambda text: int(text, 16))
    router, app = Router(converters={"hex": hexadecimal}), App()
    router.websocket("/{number:hex}")(_number)
    app.include_router(router)
    assert hears(world, app, "/ff") == ["255", 1000]
    other = Router(converters={"hex": Converter("x", str)})
    with pytest.raises(ValueError, match="the converter 'hex' of the included router is another"):
        app.include_router(other)


async def _number(ws: WebSocket, number: int) -> None:
    async with ws:
        await ws.send(str(number))


def test_routes_as_data(make_world: MakeWorld) -> None:
    app = App([("/a", "WS", where), ("/b", ["GET", "websocket"], both), ("/c", "POST", page)])
    assert status_of(make_world(), app, "/a") == 101
    assert answer(make_world(), app, "GET /b")[0] == 204
    assert status_of(make_world(), app, "/b") == 101
    assert answer(make_world(), app, "POST /c")[2] == b" /c"
    router = Router([("/a", ["WS"], where)])
    with pytest.raises(ValueError, match="'/a' already"):
        app.include_router(router)


async def both(asked: Any) -> Any:
    if isinstance(asked, WebSocket):
        await asked.accept()
        return None
    return Response(status=204)


# Mounted applications


@pytest.mark.parametrize(
    ("prefix", "path", "target", "told"),
    [
        ("/v1", "/a", "/v1/a", "/v1 /a {}"),
        ("/v1", "/a", "/v1/a/", "/v1 /a/ {}"),
        ("/v1", "/", "/v1", "/v1 / {}"),
        ("/v1", "/", "/v1/", "/v1 / {}"),
        ("/v1", "/v1", "/v1/v1", "/v1 /v1 {}"),
        ("/v1", "/{x}", "/v1/a%2Fb", "/v1 /a%2Fb {'x': 'a/b'}"),
        ("/a/b", "/c", "/a/b/c", "/a/b /c {}"),
        ("/v1", "/a", "/%761/a", "/%761 /a {}"),
        ("/caf\u00e9", "/a", "/caf%C3%A9/a", "/caf%C3%A9 /a {}"),
        ("/a b", "/a", "/a%20b/a", "/a%20b /a {}"),
    ],
)
def test_a_mounted_application_sees_its_own_paths(
    world: World, prefix: str, path: str, target: str, told: str
) -> None:
    handler = where
    inner, app = App(), App()

    async def with_any(ws: WebSocket, **_: Any) -> None:
        await handler(ws)

    inner.websocket(path)(with_any)
    app.mount(prefix, inner)
    assert hears(world, app, target) == [told, 1000]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v",
        "/v10/a",
        "/v1a",
        "/V1/a",
        "//v1/a",
        "/x/v1/a",
        "/a%2Fb/a",
        "/a/b",
        "/a%2fb",
        "/%2Fv1/a",
        "/%2e/v1/a",
        "/v1%00/a",
        "/%FF/a",
        "/v1%2Fa",
        "/v1%",
    ],
)
def test_paths_that_lead_to_no_mounted_application(world: World, target: str) -> None:
    inner, app = App(), App()
    inner.websocket("/a")(unreachable)
    app.mount("/v1", inner)
    app.mount("/a/b", inner)
    assert status_of(world, app, target) == 404


def test_a_long_path(world: World) -> None:
    inner, app = App(), App()

    @inner.websocket("/{rest:path}")
    async def handler(ws: WebSocket, rest: str) -> None:
        async with ws:
            await ws.send(str(len(rest)))

    app.mount("/v1", inner)
    assert hears(world, app, "/v1" + "/a" * 2000) == ["3999", 1000]


def test_the_deepest_prefix_goes_first(make_world: MakeWorld) -> None:
    one, two, app = App(), App(), App()
    one.websocket("/b/c")(unreachable)
    two.websocket("/c")(where)
    app.mount("/a", one)
    app.mount("/a/b", two)
    assert hears(make_world(), app, "/a/b/c") == ["/a/b /c {}", 1000]


def test_mounted_in_a_mounted_application(make_world: MakeWorld) -> None:
    innermost, inner, app = App(), App(), App()
    innermost.websocket("/c")(where)
    innermost.http("/c")(page)
    inner.mount("/b", innermost)
    app.mount("/a", inner)
    assert hears(make_world(), app, "/a/b/c") == ["/a/b /c {}", 1000]
    assert answer(make_world(), app, "GET /a/b/c?x=1")[2] == b"/a/b /c"
    assert status_of(make_world(), app, "/a/b/d") == 404
    assert answer(make_world(), app, "PUT /a/b/c")[0] == 405


def test_a_mounted_handler_takes_every_path_below(make_world: MakeWorld) -> None:
    app = App()
    app.mount("/echo", where)
    assert hears(make_world(), app, "/echo/a/b") == ["/echo /a/b {}", 1000]
    assert answer(make_world(), app, "GET /echo/a")[0] == 426


@pytest.mark.parametrize(
    ("line", "status"),
    [("GET /v1/a", 200), ("POST /v1/a", 405), ("GET /v1/b", 404), ("GET /v1/ws", 426)],
)
def test_the_applications_own_routes_go_first(
    make_world: MakeWorld, line: str, status: int
) -> None:
    """Also where they are for other methods."""
    inner, app = App(), App()
    inner.http("/a", methods=["GET", "POST"])(unreachable)
    app.http("/v1/a")(page)
    app.websocket("/v1/ws")(unreachable)
    app.mount("/v1", inner)
    assert answer(make_world(), app, line)[0] == status


def test_the_absolute_form_of_a_target(world: World) -> None:
    """As proxies are sent (RFC 9112 §3.2.2)."""
    inner, app = App(), App()
    inner.http("/a")(page)
    app.mount("/v1", inner)
    assert answer(world, app, "GET http://example.com/v1/a?x=1")[2] == b"/v1 /a"


@pytest.mark.parametrize("prefix", ["", "/", "v1", "/v1/", "/{x}", "/<x>", "/a}"])
def test_where_nothing_can_be_mounted(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        App().mount(prefix, App())


def test_a_prefix_is_taken_once() -> None:
    app = App()
    app.mount("/v1", App())
    with pytest.raises(ValueError, match="mounted at '/v1' already"):
        app.mount("/v1", App())


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_application_cannot_be_mounted_in_itself(depth: int) -> None:
    outer = app = App()
    for _ in range(depth):
        inner = App()
        app.mount("/in", inner)
        app = inner
    with pytest.raises(ValueError, match="cannot be mounted in itself, at '/again'"):
        app.mount("/again", outer)


def test_one_application_in_two_places(make_world: MakeWorld) -> None:
    inner, app = App(), App()
    inner.websocket("/a")(where)
    app.mount("/one", inner)
    app.mount("/two", inner)
    assert hears(make_world(), app, "/one/a") == ["/one /a {}", 1000]
    assert hears(make_world(), app, "/two/a") == ["/two /a {}", 1000]


@pytest.mark.parametrize("wrong", [None, "app:app", Router(), App])
def test_what_cannot_be_mounted(wrong: Any) -> None:
    with pytest.raises(TypeError, match="an App or a WebSocket handler is needed"):
        App().mount("/v1", wrong)


def test_a_plain_function_sees_where_it_is_mounted(world: World) -> None:
    def handler(asked: WebSocketRequest) -> None:
        with asked.accept() as websocket:
            websocket.send(f"{asked.root_path} {asked.path} {asked.scope['root_path']}")

    app = App()
    app.mount("/a b", handler)
    assert hears(world, app, "/a%20b/c") == ["/a%20b /c /a b", 1000]


# URLs


def named() -> App:
    app, inner = App(), App()
    router = Router()
    router.websocket("/rooms/{name}", name="room")(room)
    inner.websocket("/{name}")(room)
    inner.websocket("/only", host="a.example", name="hosted")(where)
    innermost = App()
    innermost.websocket("/deep")(where)
    inner.mount("/deeper", innermost, name="innermost")
    app.include_router(router, prefix="/api")
    app.mount("/in side", inner, name="inner")
    app.mount("/nameless", App())
    app.websocket("/")(where)
    app.websocket("/colon", name="a:b")(where)
    return app


@pytest.mark.parametrize(
    ("name", "values", "url"),
    [
        ("where", {}, "/"),
        ("room", {"name": "a b/c"}, "/api/rooms/a%20b%2Fc"),
        ("inner:room", {"name": "x"}, "/in%20side/x"),
        ("inner:innermost:where", {}, "/in%20side/deeper/deep"),
        ("inner:hosted", {}, "//a.example/in%20side/only"),
        ("a:b", {}, "/colon"),
    ],
)
def test_urls(name: str, values: dict[str, Any], url: str) -> None:
    assert named().url_for(name, **values) == url


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("none", {}, LookupError),
        ("inner:none", {}, LookupError),
        ("none:room", {}, LookupError),
        ("inner", {}, LookupError),
        ("inner:innermost", {}, LookupError),
        ("room", {}, ValueError),
        ("room", {"name": "x", "more": 1}, ValueError),
    ],
)
def test_urls_that_do_not_exist(name: str, values: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"none|inner|room|name"):
        named().url_for(name, **values)


def test_a_value_may_be_called_name(world: World) -> None:
    assert named().url_for("room", name="name") == "/api/rooms/name"


def test_a_url_leads_back(world: World) -> None:
    app = named()
    assert status_of(world, app, app.url_for("inner:innermost:where")) == 101


def test_a_name_is_a_handlers_where_it_is_free() -> None:
    router = Router()
    router.websocket("/1")(where)
    router.websocket("/2")(where)
    router.http("/1")(page)
    assert router.url_for("where") == "/1"
    assert router.url_for("page") == "/1"
    with pytest.raises(ValueError, match="the name 'where'"):
        router.websocket("/3", name="where")(where)


def test_a_handler_without_a_name() -> None:
    class Handler:
        async def __call__(self, ws: WebSocket) -> None: ...

    router = Router()
    router.websocket("/1")(Handler())
    with pytest.raises(LookupError):
        router.url_for("Handler")
