"""picows, through its listeners and through its version of the websockets API."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .loops import run
from .options import HOST, MAX_MESSAGE, Options


def serve_listener(options: Options) -> None:
    """Callbacks on frames."""
    run(_serve_listener(options), options.variant)


async def _serve_listener(options: Options) -> None:
    picows: Any = import_module("picows")
    base: Any = picows.WSListener
    close = picows.WSMsgType.CLOSE
    everyone: set[Any] = set()

    def on_connected(self: object, transport: Any) -> None:
        everyone.add(transport)

    def on_disconnected(self: object, transport: Any) -> None:
        everyone.discard(transport)

    def end(transport: Any, frame: Any) -> None:
        transport.send_close(frame.get_close_code(), frame.get_close_message())
        transport.disconnect()

    def echo(self: object, transport: Any, frame: Any) -> None:
        if frame.msg_type == close:
            end(transport, frame)
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    def fanout(self: object, transport: Any, frame: Any) -> None:
        if frame.msg_type == close:
            end(transport, frame)
        else:
            payload = frame.get_payload_as_bytes()
            for peer in list(everyone):
                peer.send(frame.msg_type, payload)

    members: dict[str, Any] = {"on_ws_frame": echo}
    if options.fanout:
        members = {
            "on_ws_frame": fanout,
            "on_ws_connected": on_connected,
            "on_ws_disconnected": on_disconnected,
        }
    listener = type("Listener", (base,), members)

    def make_listener(request: object) -> object:
        return listener()

    server = await picows.ws_create_server(
        make_listener, HOST, options.port, ssl=options.ssl_context()
    )
    await server.serve_forever()


async def _echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def _serve_websockets(options: Options) -> None:
    websockets: Any = import_module("picows.websockets")
    everyone: set[Any] = set()

    async def fanout(ws: Any) -> None:
        everyone.add(ws)
        try:
            async for message in ws:
                websockets.broadcast(everyone, message)
        finally:
            everyone.remove(ws)

    async with websockets.serve(
        fanout if options.fanout else _echo,
        HOST,
        options.port,
        ssl=options.ssl_context(),
        compression="deflate" if options.deflate else None,
        max_size=MAX_MESSAGE,
    ) as server:
        await server.serve_forever()


def serve_websockets(options: Options) -> None:
    """`async for` and `await send`."""
    run(_serve_websockets(options), options.variant)
