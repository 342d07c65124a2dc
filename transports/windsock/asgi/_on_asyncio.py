"""ASGI hosts on asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from windsock import _asyncio_threads
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing

from ._connection import HostedConnection
from ._link import AsgiLink
from ._loop import EventLoop
from ._scope import AsgiEvent, Receive, Send
from ._watch import TICK, Watch

T = TypeVar("T")


_current_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
if sys.version_info >= (3, 12):
    _current_task = asyncio.current_task
else:  # where that is in Python, and slow
    _current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]  # it is private


async def _nothing() -> None:
    """asyncio delivers a cancellation at the next suspension."""


class AsyncioLoop(EventLoop):
    """asyncio's, and its like."""

    checkpoints = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.checkpoint = _nothing
        self.now = self.loop.time
        self.watch = Watch(self._tick)

    def runs_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return False

    def link(
        self,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> AsgiLink:
        return AsyncioLink(self, connection, channel, receive, send)

    def open_tasks(self) -> AbstractAsyncContextManager[Any]:
        return asyncio.TaskGroup()

    def is_cancellation(self, group: BaseExceptionGroup[BaseException]) -> bool:
        return False  # asyncio groups no cancellations

    def start(self, tasks: Any, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        tasks.create_task(function())

    def call_soon(self, function: Callable[[], None]) -> None:
        self.loop.call_soon(function)

    def _tick(self, tick: Callable[[], bool]) -> None:
        def go_on() -> None:
            if tick():
                self._tick(tick)

        # The context of whichever connection was first is not to be kept.
        self.loop.call_later(TICK, go_on, context=contextvars.Context())

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await _asyncio_threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return _asyncio_threads.from_thread(self.loop, function, timeout)


class AsyncioLink(AsgiLink):
    """A cancel scope around each read would cost more than the rest of it together: as
    `asyncio.timeout` does, this cancels the task that reads and takes the cancellation back."""

    __slots__ = ("_asyncio", "_cancelling", "_reader")

    def __init__(
        self,
        loop: AsyncioLoop,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(loop, connection, channel, receive, send)
        self._asyncio = loop.loop
        self._reader: asyncio.Task[object] | None = None
        self._cancelling = 0

    def _next_event(self) -> Awaitable[AsgiEvent]:
        self._reader = None
        return self._receive()

    def _put(self, event: AsgiEvent) -> Awaitable[None]:
        return self._send(event)

    def note_reader(self) -> None:
        task = self._reader = _current_task(self._asyncio)
        assert task is not None
        self._cancelling = task.cancelling()

    async def _read_until(self, deadline: float) -> Any:
        timer = self._asyncio.call_at(deadline, self._interrupt)
        try:
            return await self.read()
        finally:
            timer.cancel()

    def _interrupt(self) -> None:
        if self.reading and not self._interrupted and self._reader is not None:
            self._interrupted = True
            self._reader.cancel()

    def _was_interrupted(self, error: BaseException | None) -> bool:
        if not self._interrupted or self._reader is None:
            return False
        self._interrupted = False
        self._reader.uncancel()
        # Unless somebody else has cancelled it, too.
        return (
            isinstance(error, asyncio.CancelledError)
            and self._reader.cancelling() <= self._cancelling
        )
