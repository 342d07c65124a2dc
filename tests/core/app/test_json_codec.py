"""JSON messages, by the standard library's codec or another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World
from tests.core.app.serving import talk
from windsock.core import App, WebSocket


class BytesCodec:
    """One whose `dumps` gives bytes, as some fast ones do, and that marks what it has read."""

    def loads(self, data: str | bytes) -> Any:
        return {"read": json.loads(data)}

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode()


class StrictCodec:
    """One with an error of its own."""

    class Wrong(Exception):
        """It is not JSON."""

    def loads(self, data: str | bytes) -> Any:
        raise self.Wrong(data)

    dumps = staticmethod(json.dumps)


def echoing(app: App, **options: Any) -> App:
    @app.websocket("/chat", **options)
    async def handler(ws: WebSocket) -> None:
        async with ws:
            if options:
                await ws.send(await ws.receive())
            else:
                await ws.send_json(await ws.receive_json())

    return app


@pytest.mark.parametrize("options", [{}, {"value_type": "json"}])
@pytest.mark.parametrize(
    ("codec", "heard"),
    [(None, '{"é":[1,"\u2028"]}'), (json, None), (BytesCodec(), '{"read": {"é": [1, "\u2028"]}}')],
)
@pytest.mark.parametrize("binary", [True, False])
def test_messages_go_out_as_text(
    world: World, options: dict[str, Any], codec: Any, heard: str | None, binary: bool
) -> None:
    """However they came in; the standard library's is compact and leaves characters as they are."""
    sent = '{"é": [1, "\u2028"]}'

    async def body(ws: WebSocket) -> Any:
        await ws.send(sent.encode() if binary else sent)
        return await ws.receive()

    found = talk(world, echoing(App(json=codec), **options), body)
    assert found == (heard or json.dumps(json.loads(sent)))


def test_the_codec_is_the_applications(make_world: MakeWorld) -> None:
    """Included routers use it; an application that is mounted has its own."""
    inner, app = echoing(App()), App(json=BytesCodec())
    app.mount("/in", inner)
    echoing(app)

    async def body(ws: WebSocket) -> Any:
        await ws.send("1")
        return await ws.receive()

    assert talk(make_world(), app, body) == '{"read": 1}'
    assert talk(make_world(), app, body, "/in/chat") == "1"


def test_errors_of_another_codec_come_out_as_they_are(world: World) -> None:
    app = App(json=StrictCodec())
    caught: list[str] = []

    @app.websocket("/chat", auto_accept=True)
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(StrictCodec.Wrong) as info:
            await ws.receive_json()
        caught.append(str(info.value))
        assert await ws.receive() == "next"

    async def body(ws: WebSocket) -> None:
        await ws.send("{")
        await ws.send("next")

    talk(world, app, body)
    assert caught == ["{"]


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x"])
def test_what_json_cannot_say(world: World, value: object) -> None:
    app = App()

    @app.websocket("/chat", value_type="json", auto_accept=True)
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(TypeError):
            await ws.send(value)
        await ws.send("still open")

    async def body(ws: WebSocket) -> Any:
        return await ws.receive()

    assert talk(world, app, body) == '"still open"'
