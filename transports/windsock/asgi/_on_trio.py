"""ASGI hosts on trio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import trio

from windsock import _trio_threads
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing

from ._connection import HostedConnection
from ._link import AsgiLink
from ._loop import EventLoop
from ._scope import AsgiEvent, Receive, Send
from ._watch import TICK, Watch

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

    async def _next_event(self) -> AsgiEvent | None:
        with trio.CancelScope() as self._scope:
            return await self._receive()
        return None

    async def _put(self, event: AsgiEvent) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._send(event)

    def note_reader(self) -> None:
        pass  # its scope is known

    async def _read_until(self, deadline: float) -> Any:
        with trio.CancelScope(deadline=deadline):
            return await self.read()
        self._look_at_clock()
        return None

    def _interrupt(self) -> None:
        if self.reading:
            self._scope.cancel()

    def _was_interrupted(self, error: BaseException | None) -> bool:
        return False  # then there is no error
