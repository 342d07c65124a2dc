"""ASGI hosts on trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

import trio

from windsock import _trio_threads
from windsock.core import State
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing

from ._connection import HostedConnection
from ._link import GONE, AsgiLink
from ._loop import EventLoop
from ._scope import AsgiEvent, Receive, Send
from ._watch import TICK, Watch

_OPEN: Final = State.OPEN

T = TypeVar("T")


class TrioLoop(EventLoop):
    """trio's."""

    checkpoints = True

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.checkpoint = trio.lowlevel.checkpoint_if_cancelled
        self.now = trio.current_time
        self.watch = Watch(self._tick)

    def runs_here(self) -> bool:
        try:
            return trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def link(
        self,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> AsgiLink:
        return TrioLink(self, connection, channel, receive, send)

    def open_tasks(self) -> AbstractAsyncContextManager[Any]:
        return trio.open_nursery()

    def is_cancellation(self, group: BaseExceptionGroup[BaseException]) -> bool:
        return group.split(trio.Cancelled)[1] is None

    def start(self, tasks: Any, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        tasks.start_soon(function)

    def call_soon(self, function: Callable[[], None]) -> None:
        function()

    def _tick(self, tick: Callable[[], bool]) -> None:
        async def go_on() -> None:
            while True:
                await trio.sleep(TICK)
                if not tick():
                    return

        # No connection's nursery lives as long as all the others.
        trio.lowlevel.spawn_system_task(go_on)

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await _trio_threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return _trio_threads.from_thread(self._token, function, timeout)


class TrioLink(AsgiLink):
    """A task that is inside the host's `receive` comes out of it by a cancel scope."""

    __slots__ = ("_scope",)

    async def read(
        self, otherwise: Callable[..., Awaitable[Any]] | None = None, *arguments: Any
    ) -> Any:
        connection = self._connection
        if otherwise is not None and (
            self.reading
            or self._channel.inbox
            or connection.backlog
            or connection.state is not _OPEN
        ):
            return await otherwise(*arguments)
        event: AsgiEvent | None = None
        self.reading = True
        try:
            with trio.CancelScope() as self._scope:
                event = await self._receive()
        except OSError:
            event = GONE
        finally:
            self.reading = False
            if self._looks != 0 or self._news is not None or event is None:
                self._after_read(event)
        message = None if event is None else connection.take_message(event)
        if message is not None:
            return message
        self._take(event)
        return None if otherwise is None else await otherwise(*arguments)

    async def _read_until(self, deadline: float) -> Any:
        with trio.CancelScope(deadline=deadline):
            return await self.read()
        self._take(None)
        return None

    def _interrupt(self) -> None:
        if self.reading:
            self._scope.cancel()
