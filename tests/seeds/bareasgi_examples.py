"""Four arguments, or one: what bareASGI's guide, examples and tests do, in windsock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from tests.behaviour.sync import Observed
from windsock.core import (
    App,
    FourArgumentsRequest,
    FourArgumentsWebSocket,
    Request,
    Response,
    four_arguments,
)


@four_arguments
async def websocket_handler(request: FourArgumentsRequest) -> None:
    """One argument with the four as its attributes."""
    ws = request.web_socket
    assert ws is not None
    await ws.accept()
    while (text := await ws.receive()) is not None:
        await ws.send("You said: " + text)
    await ws.close()


@four_arguments
async def echo(
    scope: dict[str, Any],
    info: dict[str, Any],
    matches: dict[str, Any],
    web_socket: FourArgumentsWebSocket,
) -> None:
    """All four."""
    offered = scope["subprotocols"]
    await web_socket.accept(offered[0] if offered else None, [(b"x-echo", b"yes")])
    info["seen"].put((scope["path"], matches, web_socket.code))
    while True:
        content = await web_socket.receive()
        if content is None:
            break
        await web_socket.send(content)
    info["seen"].put(web_socket.code)


def make_app(seen: Observed) -> App:
    """The application; what its handlers see goes to `seen`, which is in its info."""
    app = App(state={"seen": seen, "html": "<title>WEB_SOCKET_URL</title>"})
    app.add_route("/websocket_handler", "WS", websocket_handler)
    app.add_route("/echo/{name}", "WS", echo)

    @app.http("/")
    async def index(request: Request) -> Response:
        return Response(status=303, headers=[("Location", "/websocket_page")])

    @app.http("/websocket_page")
    async def page(request: Request) -> Response:
        url = f"ws://{request.headers['host']}{app.url_for('closes')}"
        return Response.html(request.state["html"].replace("WEB_SOCKET_URL", url))

    @app.websocket("/named")
    @four_arguments
    async def closes(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.accept()
        await request.web_socket.close(4001)
        seen.put(request.web_socket.code)

    @app.websocket("/refuses")
    @four_arguments
    async def refuses(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.close()

    @app.websocket("/wrong")
    @four_arguments
    async def wrong(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.accept()
        await request.web_socket.send(7)  # type: ignore[arg-type]  # which is what it is about

    return app


def make_layered_app(seen: Observed) -> App:
    """Two middlewares, the first outermost, and one that keeps some out."""

    @four_arguments
    async def first(request: FourArgumentsRequest, handler: Any) -> Any:
        request.context["message"] = "first"
        seen.put("in")
        answer = await handler(request)
        seen.put("out")
        return answer

    @four_arguments
    async def second(request: FourArgumentsRequest, handler: Any) -> Any:
        request.context["message"] += ", second"
        return await handler(request)

    @four_arguments
    async def guard(request: FourArgumentsRequest, handler: Any) -> Any:
        if request.scope["path"] == "/private":
            return Response("no", 403)
        return await handler(request)

    app = App(middleware=[first, second, guard])

    @app.websocket("/{path}")
    @four_arguments
    async def tell(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.accept()
        await request.web_socket.send(request.context["message"])

    @app.http("/test")
    async def page(request: Request) -> Response:
        return Response(request.state["message"])

    return app


def make_paths() -> App:
    """One route for each kind of path; each sends its number and its matches."""
    app = App()
    paths = [
        "/foo/bar/grum",
        "/foo/{name}/grum",
        "/id/{id:int}/grum",
        "/size/{x:float}",
        "/text/{s:str}",
        "/born/{date_of_birth:datetime:%Y-%m-%d}/grum",
        "/at/{when:datetime}",
        "/ui/{rest:path}",
        "/foo/{name}/{id:int}/{created:datetime:%Y-%m-%d}",
        # A value that does not convert leads to the next one.
        "/next/{n:int}",
        "/next/{when:datetime:%Y-%m-%d}",
        "/next/{text}",
    ]
    for number, path in enumerate(paths):
        app.add_route(path, ["WS"], _teller(number), name=f"path {number}")
    return app


def _teller(number: int) -> Any:
    async def tell(
        scope: dict[str, Any], info: Any, matches: dict[str, Any], web_socket: Any
    ) -> None:
        await web_socket.accept()
        await web_socket.send(f"{number} {matches!r}")

    return four_arguments(tell)


def make_lifespan_app(seen: Observed) -> App:
    """Something to start, something to stop, and what is shared in between."""
    app = App(state={"seen": seen})

    @app.lifespan
    async def around(app: App) -> AsyncGenerator[None]:
        seen.put("starting up")
        app.state["count"] = 0
        yield
        seen.put(f"shutting down after {app.state['count']}")

    @app.websocket("/count")
    @four_arguments
    async def count(request: FourArgumentsRequest) -> None:
        assert request.web_socket is not None
        await request.web_socket.accept()
        request.info["count"] += 1
        await request.web_socket.send(f"visitor {request.info['count']}")

    return app
