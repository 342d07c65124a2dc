"""What a handler is told about the request."""

from __future__ import annotations

import pytest

from windsock.core import App, Request, Response, WebSocket

from .exceptions import Deviation
from .sites import Site, WireSite, echo
from .sync import Observed


@pytest.mark.behaviour("request")
def test_the_request_is_as_the_client_sent_it(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(ws.request)
        await ws.accept()

    target = "/caf%C3%A9/a%20b?name=J%C3%BCrgen&n=1&n=2&empty="
    cookies = ("Cookie", "session=abc; theme=dark")
    with site.connect(handler, target, headers=[("X-Mood", "sunny"), cookies]):
        request = seen.get()
    assert request.method == "GET"
    assert request.target == target
    assert request.http_version == "1.1"
    assert request.scheme == "ws"
    assert request.path == "/café/a b"
    assert request.raw_path == "/caf%C3%A9/a%20b"
    assert request.query_string == "name=J%C3%BCrgen&n=1&n=2&empty="
    assert request.query["name"] == "Jürgen"
    assert request.query.get_all("n") == ["1", "2"]
    assert request.query["empty"] == ""
    assert request.headers["x-mood"] == request.headers["X-MOOD"] == "sunny"
    assert request.cookies == {"session": "abc", "theme": "dark"}
    assert request.subprotocols == ()


@pytest.mark.behaviour("request")
def test_a_header_that_comes_twice_is_kept_twice(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(ws.request.headers)
        await ws.accept()

    with site.connect(handler, headers=[("X-Many", "one"), ("X-Many", "two")]):
        headers = seen.get()
    assert headers.get_all("x-many") == ["one", "two"]
    assert headers["x-many"] == "one, two"


@pytest.mark.behaviour("header-casing")
def test_header_names_keep_the_casing_they_were_sent_in(
    site: Site, deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put([name for name, _ in ws.request.headers.items_as_sent()])
        await ws.accept()

    with site.connect(handler, headers=[("X-MiXeD", "1")]):
        names = seen.get()
    assert (deviation.expect if deviation else "X-MiXeD") in names


@pytest.mark.behaviour("addresses")
def test_both_addresses_are_known(wire_site: WireSite) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(ws.request)
        await ws.accept()

    with wire_site.wire(handler) as peer:
        request = seen.get()
        assert request.client == peer.socket.getsockname()
        assert request.server == wire_site.address
        assert request.url == f"ws://{wire_site.authority}/"


@pytest.mark.behaviour("path-params")
def test_placeholders_are_arguments_and_path_params(site: Site) -> None:
    app, seen = App(), Observed()

    @app.websocket("/room-{room}/user/{name}")
    async def handler(ws: WebSocket, room: str, name: str) -> None:
        seen.put((room, name, ws.path_params))
        await ws.accept()

    with site.connect(app, "/room-7/user/J%C3%BCrgen%20S"):
        room, name, params = seen.get()
    assert (room, name) == ("7", "Jürgen S")
    assert params == {"room": "7", "name": "Jürgen S"}


@pytest.mark.behaviour("path-params")
def test_a_placeholder_is_one_segment(site: Site) -> None:
    app = App()
    app.websocket("/room/{room}")(_never)
    for target in ("/room/a/b", "/room/", "/Room/a", "/"):
        with site.knock(app, target) as peer:
            assert peer.answer.status == 404, target


async def _never(ws: WebSocket, **path_params: str) -> None:
    raise AssertionError(f"called for {ws.request.target} with {path_params}")


@pytest.mark.behaviour("routes")
def test_a_websocket_on_a_path_for_plain_http_is_a_405(site: Site) -> None:
    app = App()

    @app.http("/page")
    async def page(request: Request) -> Response:
        raise AssertionError("called for a WebSocket")

    with site.knock(app, "/page") as peer:
        assert peer.answer.status == 405


@pytest.mark.behaviour("routes")
def test_fixed_paths_win_over_placeholders(site: Site) -> None:
    app, seen = App(), Observed()

    @app.websocket("/room/{room}")
    async def dynamic(ws: WebSocket, room: str) -> None:
        seen.put(f"dynamic {room}")
        await ws.accept()

    @app.websocket("/room/lobby")
    async def fixed(ws: WebSocket) -> None:
        seen.put("fixed")
        await ws.accept()

    for target in ("/room/lobby", "/room/else"):
        site.connect(app, target).dispose()
    assert seen.take(2) == ["fixed", "dynamic else"]


@pytest.mark.behaviour("state")
def test_state_belongs_to_one_connection(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(dict(ws.state))
        ws.state["mine"] = ws.request.path
        await echo(ws)
        seen.put(ws.state["mine"])

    with site.connect(handler, "/one") as one, site.connect(handler, "/two") as two:
        assert seen.take(2) == [{"number": 1}, {"number": 1}]  # from the lifespan
        two.close()
        assert seen.get() == "/two"
        one.close()
        assert seen.get() == "/one"


@pytest.mark.behaviour("capabilities")
def test_capabilities_say_what_the_host_cannot_do(site: Site, deviation: Deviation | None) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put(ws.capabilities)
        await ws.accept()

    with site.connect(handler):
        capabilities = seen.get()
    expected = {"ping", "rejection_response", "close_reason", "limits", "compression"}
    expected -= deviation.expect if deviation else set()
    assert {name for name in capabilities.__slots__ if getattr(capabilities, name)} == expected
