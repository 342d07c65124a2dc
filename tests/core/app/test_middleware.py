"""Middleware: what stands between a connection and its handler, in three styles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World, unreachable
from tests.core.app.serving import answer, hears, status_of
from windsock.core import (
    App,
    FourArgumentsRequest,
    Reject,
    Request,
    Response,
    Router,
    WebSocket,
    apply_middleware,
    four_arguments,
    generator_handler,
    ws_close,
    ws_send,
)


def noting(name: str, notes: list[str]) -> Any:
    """A middleware that notes when it is entered and left."""

    async def middleware(asked: Any, call_next: Any) -> Any:
        notes.append(name)
        try:
            return await call_next(asked)
        finally:
            notes.append(f"/{name}")

    return middleware


def wrapping(name: str, notes: list[str]) -> Any:
    """The same in the style of functions around functions."""

    def wrap(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            notes.append(name)
            found = await next_middleware(handler, scope)
            notes.append(f"/{name}")
            return found

        return wrapped

    return wrap


def noting_four(name: str, notes: list[str]) -> Any:
    """The same in the style of four arguments."""

    @four_arguments
    async def middleware(request: FourArgumentsRequest, handler: Any) -> Any:
        notes.append(name)
        found = await handler(request)
        notes.append(f"/{name}")
        return found

    return middleware


def an_app(notes: list[str], **options: Any) -> App:
    """An application whose handlers note that they run."""
    app = App(**options)

    @app.websocket("/chat")
    async def chat(ws: WebSocket) -> None:
        notes.append("handler")
        await ws.reject(418)

    @app.http("/page")
    async def page(asked: Request) -> Response:
        notes.append("handler")
        return Response("page")

    return app


def visit(make_world: MakeWorld, app: App, way: str, prefix: str = "") -> Any:
    """What a client gets there: a WebSocket's status, or all of a plain response."""
    if way == "websocket":
        return status_of(make_world(), app, f"{prefix}/chat")
    return answer(make_world(), app, f"GET {prefix}/page")


WAYS = pytest.mark.parametrize("way", ["websocket", "http"])


# Order


@WAYS
@pytest.mark.parametrize("style", [noting, noting_four])
def test_the_first_listed_is_outermost(make_world: MakeWorld, way: str, style: Any) -> None:
    notes: list[str] = []
    visit(make_world, an_app(notes, middleware=[style("1", notes), style("2", notes)]), way)
    assert notes == ["1", "2", "handler", "/2", "/1"]


@WAYS
def test_the_first_applied_is_outermost(make_world: MakeWorld, way: str) -> None:
    notes: list[str] = []
    one = apply_middleware(wrapping("1", notes), wrapping("2", notes))
    visit(make_world, an_app(notes, middleware=[one, noting("3", notes)]), way)
    assert notes == ["1", "2", "3", "handler", "/3", "/2", "/1"]


@WAYS
def test_from_the_application_to_the_route(make_world: MakeWorld, way: str) -> None:
    """Routers in between, each once; an application that is mounted is inside its host's."""
    notes: list[str] = []
    inner = Router(middleware=[noting("inner", notes)])
    route: Any = {"methods": ["WS"]} if way == "websocket" else {"methods": ["GET"]}

    @inner.route(
        "/chat" if way == "websocket" else "/page", **route, middleware=[noting("route", notes)]
    )
    async def handler(asked: Any) -> Any:
        notes.append("handler")
        if isinstance(asked, WebSocket):
            raise Reject(418)
        return Response()

    outer = Router(middleware=[noting("outer", notes)])
    outer.include_router(inner, prefix="/in")
    mounted = App(middleware=[noting("mounted", notes)])
    mounted.include_router(outer, prefix="/out")
    app = App(middleware=[noting("app", notes)])
    app.mount("/m", mounted)
    visit(make_world, app, way, "/m/out/in")
    names = ["app", "mounted", "outer", "inner", "route"]
    assert notes == [*names, "handler", *(f"/{name}" for name in reversed(names))]


# What one can do


@WAYS
def test_it_may_answer_by_itself(make_world: MakeWorld, way: str) -> None:
    async def refuse(asked: Any, call_next: Any) -> Response:
        return Response("no", 401, {"X": "1"})

    app = App(middleware=[refuse])
    app.websocket("/chat")(unreachable)
    app.http("/page")(unreachable)
    found = visit(make_world, app, way)
    content = {"content-type": "text/plain; charset=utf-8", "x": "1"}
    assert found == (401 if way == "websocket" else (401, content, b"no"))


def test_the_body_of_a_rejection(world: World) -> None:
    async def refuse(ws: WebSocket, call_next: Any) -> Response:
        return Response("no", 401)

    app = App()
    app.websocket("/chat", middleware=[refuse])(unreachable)
    assert hears(world, app) == [401, b"no"]


@WAYS
def test_it_may_raise_reject(make_world: MakeWorld, way: str) -> None:
    async def refuse(asked: Any, call_next: Any) -> Response:
        raise Reject(401)

    found = visit(make_world, an_app([], middleware=[refuse]), way)
    assert (found if way == "websocket" else found[0]) == 401


def test_it_may_change_the_response(world: World) -> None:
    async def stamp(request: Request, call_next: Any) -> Response:
        found: Response = await call_next(request)
        return Response(found.body, found.status, {**found.headers, "X-Stamp": "1"})

    assert answer(world, an_app([], middleware=[stamp]), "GET /page")[1]["x-stamp"] == "1"


@WAYS
def test_it_sees_where_there_is_nothing(make_world: MakeWorld, way: str) -> None:
    """As the response that it will be, which it may replace."""
    seen: list[Any] = []

    async def look(asked: Any, call_next: Any) -> Any:
        found = await call_next(asked)
        seen.append(found.status)
        return Response("elsewhere", 410)

    found = visit(make_world, an_app([], middleware=[look]), way, "/no")
    assert (found if way == "websocket" else found[0]) == 410
    assert seen == [404]


@pytest.mark.parametrize(
    ("line", "status"), [("GET /chat", 426), ("POST /page", 405), ("GET /", 404)]
)
def test_it_sees_whatever_is_not_handled(world: World, line: str, status: int) -> None:
    notes: list[str] = []
    assert answer(world, an_app(notes, middleware=[noting("1", notes)]), line)[0] == status
    assert notes == ["1", "/1"]


def test_it_sees_the_placeholders_and_may_enrich(world: World) -> None:
    app = App()

    async def enrich(ws: WebSocket, call_next: Any) -> Any:
        ws.state["user"] = ws.path_params["name"].upper()
        ws.scope["more"] = "scope"
        return await call_next(ws)

    @app.websocket("/{name}", middleware=[enrich])
    async def handler(ws: WebSocket, name: str) -> None:
        async with ws:
            await ws.send(f"{ws.state['user']} {ws.scope['more']} {ws.scope['state']['user']}")

    assert hears(world, app, "/me") == ["ME scope ME", 1000]


def test_it_may_catch_what_the_handler_raises(world: World) -> None:
    async def catch(request: Request, call_next: Any) -> Response:
        try:
            found: Response = await call_next(request)
        except ValueError as error:
            return Response(str(error), 409)
        return found

    app = App(middleware=[catch])

    @app.http("/page")
    async def page(request: Request) -> Response:
        raise ValueError("taken")

    assert answer(world, app, "GET /page")[::2] == (409, b"taken")


def test_an_answer_after_the_websocket_was_open_is_an_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(ws: WebSocket, call_next: Any) -> Any:
        await ws.accept()
        return Response("too late", 401)

    assert hears(world, an_app([], middleware=[late])) == [1011]
    assert "cannot reject while the connection is open" in caplog.text


class Guard:
    async def __call__(self, asked: Any, call_next: Any) -> Any:
        return Response(status=401)

    async def method(self, asked: Any, call_next: Any) -> Any:
        return Response(status=401)


async def of_three(more: str, asked: Any, call_next: Any) -> Any:
    return Response(status=401)


async def of_any(*arguments: Any) -> Any:
    return Response(status=401)


@pytest.mark.parametrize(
    "middleware", [Guard(), Guard().method, functools.partial(of_three, "x"), of_any]
)
def test_whatever_is_called_like_one(world: World, middleware: Any) -> None:
    assert status_of(world, an_app([], middleware=[middleware])) == 401


# Mistakes


@WAYS
@pytest.mark.parametrize("wrong", [None, "page", 200, ("page", 200), Request])
def test_what_is_no_answer(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture, way: str, wrong: Any
) -> None:
    """None is one for a WebSocket: it says that the handler has been there."""

    async def forgetful(asked: Any, call_next: Any) -> Any:
        if way == "http":
            await call_next(asked)
        return wrong

    found = visit(make_world, an_app([], middleware=[forgetful]), way)
    if way == "websocket" and wrong is None:
        assert found == 403
        return
    assert (found if way == "websocket" else found[0]) == 500
    what = "Request GET /page" if way == "http" else "WebSocket /chat deciding"
    for part in (f"forgetful returned {wrong!r} for <{what}>", "return a Response", "`await call"):
        assert part in caplog.text


async def one_argument(asked: Any) -> Any: ...
async def three_arguments(asked: Any, call_next: Any, more: Any) -> Any: ...
def no_coroutine(asked: Any, call_next: Any) -> Any: ...


@pytest.mark.parametrize(
    ("middleware", "message"),
    [
        ([one_argument], r"must take two arguments: \(request_or_ws, call_next\)"),
        ([three_arguments], r"three_arguments.* must take two arguments"),
        (
            [no_coroutine],
            r"async def function \(request_or_ws, call_next\), not .*apply_middleware",
        ),
        ([Guard], "async def function"),
        (["name"], "an async def function .*, not 'name'$"),
        ([None], "not None$"),
        (of_any, "middleware is a list of async def functions, not"),
        (1, "middleware is a list of async def functions, not 1"),
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        lambda given: App(middleware=given),
        lambda given: Router(middleware=given),
        lambda given: App().websocket("/", middleware=given)(unreachable),
        lambda given: App().http("/", middleware=given)(unreachable),
    ],
    ids=["app", "router", "websocket", "http"],
)
def test_what_is_no_middleware(where: Callable[[Any], Any], middleware: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        where(middleware)


def test_a_handler_of_four_arguments_is_no_middleware() -> None:
    @four_arguments
    async def handler(request: FourArgumentsRequest) -> None: ...

    with pytest.raises(TypeError, match=r"takes \(request, handler\), .*handler takes 1 arguments"):
        App(middleware=[handler])  # type: ignore[list-item]  # that is the point


# Four arguments


def test_a_middleware_of_four_arguments(make_world: MakeWorld) -> None:
    seen: list[Any] = []

    @four_arguments
    async def middleware(request: FourArgumentsRequest, handler: Any) -> Any:
        seen.append((request.matches, request.info, request.web_socket is None))
        request.context["user"] = "me"
        return await handler(request)

    app = App(middleware=[middleware], state={"db": "a database"})  # type: ignore[list-item]  # its own style

    @app.route("/{name}", ["GET", "WS"])
    async def handler(asked: WebSocket | Request, name: str) -> Any:
        assert asked.state["user"] == "me"
        if isinstance(asked, Request):
            return Response(name)
        raise Reject(418)

    assert answer(make_world(), app, "GET /a")[2] == b"a"
    assert status_of(make_world(), app, "/b") == 418
    assert seen == [
        ({"name": "a"}, {"db": "a database"}, True),
        ({"name": "b"}, {"db": "a database"}, False),
    ]


# Functions around functions


def test_it_may_enrich_the_scope(make_world: MakeWorld) -> None:
    """In place, or as a copy; a handler of any style sees it."""

    def in_place(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            scope["one"] = "1"
            return await next_middleware(handler, scope)

        return wrapped

    def copied(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            return await next_middleware(handler, {**scope, "two": "2"})

        return wrapped

    app = App(middleware=[apply_middleware(in_place, copied)])

    @app.websocket("/chat")
    @generator_handler
    async def handler(scope: Any, receiver: Any) -> Any:
        yield ws_send(scope["one"] + scope["two"])

    assert hears(make_world(), app) == ["12", 1000]


def responding(made: Any) -> Any:
    """A middleware that answers by itself."""

    def wrap(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            return made

        return wrapped

    return apply_middleware(wrap)


@pytest.mark.parametrize(
    ("made", "status", "headers", "body"),
    [
        ({"status": 401}, 401, {}, b""),
        (
            {"status": 401, "headers": {"X": "1"}, "body": "no"},
            401,
            {"content-type": "text/plain; charset=utf-8", "x": "1"},
            b"no",
        ),
        (
            {"status": 200, "headers": [("Content-Type", "x/y")], "body": b"no"},
            200,
            {"content-type": "x/y"},
            b"no",
        ),
        ({"status": 204, "headers": None, "body": None}, 204, {}, b""),
        (ws_close(), 403, {}, b""),
        (Response(status=418), 418, {}, b""),
    ],
)
def test_it_may_answer_with_a_dict(
    make_world: MakeWorld, made: Any, status: int, headers: dict[str, str], body: bytes
) -> None:
    app = App(middleware=[responding(made)])
    app.websocket("/chat")(unreachable)
    app.http("/page")(unreachable)
    assert answer(make_world(), app, "GET /page") == (status, headers, body)
    assert hears(make_world(), app) == [status, body]


@pytest.mark.parametrize("made", ["no", 401, {"body": "no"}, {"status": "401"}, ws_send("no")])
def test_what_is_no_answer_of_a_function_around(
    world: World, caplog: pytest.LogCaptureFixture, made: Any
) -> None:
    assert status_of(world, an_app([], middleware=[responding(made)])) == 500
    assert f"or ws_close(), not {made!r}" in caplog.text


def test_it_sees_the_response_as_a_dict(world: World) -> None:
    seen: list[Any] = []

    def wrap(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            found = await next_middleware(handler, scope)
            seen.append(dict(found))
            found["headers"]["X-Stamp"] = "1"
            return found

        return wrapped

    app = an_app([], middleware=[apply_middleware(wrap)])
    status, headers, body = answer(world, app, "GET /page")
    assert (status, headers["x-stamp"], body) == (200, "1", b"page")
    assert seen[0]["status"] == 200
    assert seen[0]["body"] == b"page"


def test_fields_of_the_same_name_get_through(world: World) -> None:
    """A dict has room for one of them only; the others are not lost for that."""
    app = App(middleware=[apply_middleware(wrapping("1", []))])
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]

    @app.http("/page")
    async def page(request: Request) -> Response:
        return Response("page", headers=cookies)

    channel, _ = world.add_client()
    asked = Request(channel.connection.request)
    app.http("/chat")(page)
    found = world.do(app.handle_http(asked))
    assert found.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_fields_may_be_changed_and_removed(world: World) -> None:
    def wrap(next_middleware: Any) -> Any:
        async def wrapped(handler: Any, scope: Any) -> Any:
            found = await next_middleware(handler, scope)
            found["headers"]["Content-Type"] = "x/y"
            del found["headers"]["X-Removed"]
            return found

        return wrapped

    app = App(middleware=[apply_middleware(wrap)])

    @app.http("/page")
    async def page(request: Request) -> Response:
        return Response("page", headers={"X-Removed": "1", "X-Kept": "1"})

    assert answer(world, app, "GET /page")[1] == {"content-type": "x/y", "x-kept": "1"}


def test_nothing_applied_changes_nothing(world: World) -> None:
    notes: list[str] = []
    assert answer(world, an_app(notes, middleware=[apply_middleware()]), "GET /page")[2] == b"page"


class Wrapped:
    async def __call__(self, handler: Any, scope: Any) -> Any:
        return await handler(scope)


def test_an_object_that_is_called(world: World) -> None:
    app = an_app([], middleware=[apply_middleware(lambda next_middleware: Wrapped())])
    assert answer(world, app, "GET /page")[2] == b"page"


@pytest.mark.parametrize("made", [None, lambda handler, scope: None, Response()])
def test_what_is_no_function_around(made: Any) -> None:
    with pytest.raises(TypeError, match="must take the next middleware and return an async def"):
        apply_middleware(lambda next_middleware: made)
