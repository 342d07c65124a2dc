"""The ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from windsock.core import App, Application, Config, as_app
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing
from windsock.core.app.session import logger, serve_connection

from ._connection import HostedConnection
from ._link import AsgiLink
from ._loop import EventLoop
from ._running import running_loop
from ._scope import Receive, Scope, Send, address, is_secure
from ._websocket import HostedWebSocket


class ASGI:
    """An application as an ASGI 3 application: for uvicorn, hypercorn, daphne, granian, or to be
    mounted under Starlette, FastAPI or Django.

    Paths are routed below the mount point (`root_path`). What the host cannot do is in
    `WebSocket.capabilities`.

    Args:
        app: an `App`, or a handler in any style that takes every WebSocket.
        config: limits and timeouts. The host owns the frames, and with them `max_fragments`,
            `message_timeout`, `ping_*`, `write_*`, `max_head_size` and `compression`; the rest
            holds, `max_message_size` for messages that the host has read whole.
    """

    def __init__(self, app: Application, *, config: Config | None = None) -> None:
        self._app = as_app(app)
        self._loop: EventLoop | None = None
        # The host has a high-water mark of its own: every `send` waits until it has taken it all.
        self._config = replace(config or Config(), write_high_water=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the host's lifespan.

        Raises:
            ValueError: a scope of an unknown type; ASGI wants an exception there.
            RuntimeError: the application has a lifespan, and the host has not run it.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await _live(self._app, receive, send)
            return
        if kind not in {"websocket", "http"}:
            raise ValueError(f"windsock serves websocket, http and lifespan, not {kind!r}")
        if self._app.has_lifespan and not self._app.is_running:
            raise RuntimeError(
                "the host has not run the application's lifespan: turn its lifespan support "
                "on, or enter `async with app.running()` in the lifespan of the application "
                "that this one is mounted in"
            )
        loop = self._running_loop()
        link, channel = self._open(loop, scope, receive, send)
        if kind == "http":
            await self._serve(scope, channel, link)
            return
        try:
            async with loop.open_tasks() as tasks:
                link.employ(tasks)
                try:
                    await self._serve(scope, channel, link)
                finally:
                    link.dismiss()
        except BaseExceptionGroup as group:
            # What comes from here looks as if there were no attendant.
            if len(group.exceptions) == 1 or loop.is_cancellation(group):
                raise group.exceptions[0] from group.exceptions[0].__cause__
            raise
        finally:
            await link.end()
        if link.host_error is not None:
            # The session has logged it. The host must know that this connection is not at its end:
            # daphne, which takes few close codes, then closes 1011.
            raise link.host_error

    def _running_loop(self) -> EventLoop:
        loop = self._loop
        if loop is None or not loop.runs_here():  # several may serve it
            loop = self._loop = running_loop()
        return loop

    def _open(
        self, loop: EventLoop, scope: Scope, receive: Receive, send: Send
    ) -> tuple[AsgiLink, Channel[SupportsServing]]:
        connection = HostedConnection(scope, self._config, now=loop.now())
        channel: Channel[SupportsServing] = Channel(connection, self._config)
        return loop.link(connection, channel, receive, send), channel

    def _serve(
        self, scope: Scope, channel: Channel[SupportsServing], link: AsgiLink
    ) -> Awaitable[None]:
        return serve_connection(
            self._app,
            channel,
            link,
            secure=is_secure(scope),
            client=address(scope.get("client")),
            server=address(scope.get("server")),
            scope=dict(scope),
            websocket=HostedWebSocket,
        )


async def _live(app: App, receive: Receive, send: Send) -> None:
    """Answer the lifespan protocol: run what the application starts and ends with."""
    await receive()
    phase = "startup"
    try:
        async with app.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
            phase = "shutdown"
    except Exception as error:  # the boundary: it is the host's to report
        logger().error("the lifespan failed", exc_info=error)
        await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
    else:
        await send({"type": "lifespan.shutdown.complete"})
