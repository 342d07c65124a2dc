"""What a plain function's request has besides: the WebSocket itself, accepted or not."""

from __future__ import annotations

from tests.core.app.link import World
from tests.core.helpers import request
from windsock.core import BlockingWebSocket, WebSocketRequest


def test_the_websocket_is_there_before_it_is_accepted(world: World) -> None:
    world.peer_sends(request())
    ws = world.server_websocket()
    blocking = BlockingWebSocket(ws, ws.link)
    assert WebSocketRequest(blocking).websocket is blocking
