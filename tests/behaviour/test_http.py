"""Plain HTTP on the same port."""

from __future__ import annotations

import pytest

from windsock.core import App, Reject, Request, Response

from .exceptions import Deviation
from .log import Log
from .sites import Site, echo
from .sync import Observed


@pytest.fixture
def app() -> App:
    app = App()
    app.websocket("/ws")(echo)

    @app.http("/hello/{name}")
    async def hello(request: Request, name: str) -> Response:
        return Response(f"hello {name}", headers=[("X-Path", request.raw_path)])

    @app.http("/upload", methods=["POST", "PUT"])
    async def upload(request: Request) -> Response:
        return Response(request.method.encode() + b" " + request.body, 201)

    return app


@pytest.mark.behaviour("http")
def test_a_response_with_status_headers_and_body(site: Site, app: App) -> None:
    answer = site.fetch(app, "/hello/world")
    assert answer.status == 200
    assert answer.headers["x-path"] == "/hello/world"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body == b"hello world"


@pytest.mark.behaviour("http")
def test_a_head_request_gets_no_body(site: Site, app: App) -> None:
    answer = site.fetch(app, "/hello/world", method="HEAD")
    assert answer.status == 200
    assert answer.headers["content-length"] == "11"
    assert answer.body == b""


@pytest.mark.behaviour("http")
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("size", [0, 10, 60_000])
def test_a_request_with_a_body(site: Site, app: App, method: str, size: int) -> None:
    answer = site.fetch(app, "/upload", method=method, body=b"x" * size)
    assert answer.status == 201
    assert answer.body == method.encode() + b" " + b"x" * size


@pytest.mark.behaviour("http")
def test_a_large_response_arrives_whole(site: Site) -> None:
    app = App()
    body = bytes(range(256)) * 8192  # 2 MiB

    @app.http("/large")
    async def large(request: Request) -> Response:
        return Response(body)

    assert site.fetch(app, "/large").body == body


@pytest.mark.behaviour("http")
def test_the_request_of_a_plain_handler(site: Site) -> None:
    app, seen = App(), Observed()

    @app.http("/page")
    async def page(request: Request) -> Response:
        seen.put(request)
        return Response(status=204)

    answer = site.fetch(app, "/page?q=1", headers=[("X-Mood", "sunny"), ("Cookie", "a=1")])
    assert answer.status == 204
    request = seen.get()
    assert (request.method, request.scheme, request.target) == ("GET", "http", "/page?q=1")
    assert request.query["q"] == "1"
    assert request.headers["x-mood"] == "sunny"
    assert request.cookies == {"a": "1"}


@pytest.mark.behaviour("http")
def test_a_body_over_the_limit_is_a_413(site: Site, app: App) -> None:
    limit = site.config.max_body_size
    assert site.fetch(app, "/upload", method="POST", body=bytes(limit)).status == 201
    assert site.fetch(app, "/upload", method="POST", body=bytes(limit + 1)).status == 413


@pytest.mark.behaviour("http-errors")
def test_no_route_is_a_404(site: Site, app: App) -> None:
    assert site.fetch(app, "/nowhere").status == 404


@pytest.mark.behaviour("http-errors")
def test_another_method_is_a_405_that_names_the_allowed_ones(site: Site, app: App) -> None:
    answer = site.fetch(app, "/upload", method="DELETE")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, PUT"


@pytest.mark.behaviour("http-errors")
def test_a_path_for_websockets_is_a_426_for_plain_http(
    site: Site, app: App, deviation: Deviation | None
) -> None:
    answer = site.fetch(app, "/ws")
    assert answer.status == 426
    assert answer.headers["upgrade"] == "websocket"


@pytest.mark.behaviour("http-errors")
def test_a_handler_that_raises_is_a_500_with_a_traceback(site: Site, log: Log) -> None:
    app = App()
    error = RuntimeError("no page today")

    @app.http("/page")
    async def page(request: Request) -> Response:
        raise error

    answer = site.fetch(app, "/page")
    assert answer.status == 500
    assert b"no page today" not in answer.body
    log.take_failure(error)
    site.assert_lives()


@pytest.mark.behaviour("http-errors")
def test_a_handler_that_returns_no_response_is_a_500(site: Site, log: Log) -> None:
    app = App()

    @app.http("/page")
    async def page(request: Request) -> Response:
        return "text"  # type: ignore[return-value]  # the mistake that is tested

    assert site.fetch(app, "/page").status == 500
    assert "not a Response" in log.take_any_failure()


@pytest.mark.behaviour("http-errors")
def test_a_response_that_cannot_be_sent_is_a_500(site: Site, log: Log) -> None:
    app = App()

    @app.http("/page")
    async def page(request: Request) -> Response:
        return Response("x", headers=[("X-Split", "a\r\nX-Injected: 1")])

    answer = site.fetch(app, "/page")
    assert answer.status == 500
    assert "x-injected" not in answer.headers
    assert "X-Split" in log.take_any_failure()
    site.assert_lives()


@pytest.mark.behaviour("http")
def test_raising_reject_is_its_response(site: Site) -> None:
    app = App()

    @app.http("/page")
    async def page(request: Request) -> Response:
        raise Reject(Response("members only", 401, [("WWW-Authenticate", "Basic")]))

    answer = site.fetch(app, "/page")
    assert (answer.status, answer.body) == (401, b"members only")
    assert answer.headers["www-authenticate"] == "Basic"


@pytest.mark.behaviour("http")
def test_a_websocket_and_a_plain_handler_on_one_path(site: Site) -> None:
    app = App()
    app.websocket("/both")(echo)

    @app.http("/both")
    async def page(request: Request) -> Response:
        return Response("page")

    assert site.fetch(app, "/both").body == b"page"
    with site.connect(app, "/both") as peer:
        peer.send("ws")
        assert peer.receive() == "ws"
