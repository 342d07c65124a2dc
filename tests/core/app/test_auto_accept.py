"""Routes that accept before their handler runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.core.app.link import World
from tests.core.helpers import parse_response, request
from windsock.core import (
    App,
    WebSocket,
    WebSocketRequest,
    four_arguments,
    generator_handler,
    ws_send,
)


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


def plain(request: WebSocketRequest) -> None: ...


async def generator(scope: Any, receiver: Any) -> AsyncGenerator[dict[str, Any], None]:
    yield ws_send("hello")


@four_arguments
async def four(request: Any) -> None: ...


@pytest.mark.parametrize("handler", [plain, generator, generator_handler(generator), four])
def test_who_accepts_by_itself_is_not_accepted_before(handler: Any) -> None:
    with pytest.raises(TypeError, match="auto_accept of '/a' is for async def handler"):
        App().websocket("/a", auto_accept=True)(handler)
