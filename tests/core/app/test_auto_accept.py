"""Routes that accept before their handler runs."""

from __future__ import annotations

from tests.core.app.link import World
from tests.core.helpers import parse_response, request
from windsock.core import App, WebSocket


def test_a_query_that_does_not_convert_is_answered_before_accept(world: World) -> None:
    app = App()

    @app.websocket("/a", auto_accept=True)
    async def handler(ws: WebSocket, limit: int = 0) -> None:
        raise AssertionError("it must not run")

    world.peer_sends(request(line="GET /a?limit=x HTTP/1.1"))
    world.serve(app)
    world.run()
    status, _, body = parse_response(world.peer_got())
    assert status == 400
    assert b"'limit' must be a whole number" in body
