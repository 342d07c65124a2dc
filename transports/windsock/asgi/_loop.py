"""What differs between the event loops that a host may run on: the clock, threads, and how one task
stops another that is inside the host's `receive`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from ._scope import AsgiEvent, Receive

if TYPE_CHECKING:
    import asyncio

    import trio

T = TypeVar("T")


class Reader(ABC):
    """Awaits the host's `receive` in the task that wants the event, for one task at a time."""

    checkpoints: bool
    """Whether `checkpoint` can do anything."""
    now: Callable[[], float]
    """The loop's monotonic clock."""

    @abstractmethod
    async def checkpoint(self) -> None:
        """Let a pending cancellation happen, without a task switch."""

    @abstractmethod
    async def read(self) -> AsgiEvent | None:
        """The host's next event, or None where `interrupt` came first."""

    @abstractmethod
    def interrupt(self) -> None:
        """Have the task that is inside `read`, if any, come out of it soon."""

    @abstractmethod
    async def to_thread(self, function: Callable[[], T]) -> T:
        """Run a function that blocks in a thread."""

    @abstractmethod
    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        """Run a coroutine function on the event loop from such a thread."""


class AsyncioReader(Reader):
    """On asyncio, a cancel scope around each read would cost more than the rest of it together:
    as `asyncio.timeout` does, this one cancels the task and takes the cancellation back."""

    def __init__(self, receive: Receive) -> None:
        import asyncio

        from windsock import _asyncio_threads

        self._threads = _asyncio_threads
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._current_task = asyncio.current_task
        self._cancelled = asyncio.CancelledError
        self._task: asyncio.Task[object] | None = None
        self._interrupted = False
        self.checkpoints = False
        self.now = self._loop.time

    async def checkpoint(self) -> None:
        """asyncio delivers a cancellation at the next suspension: nothing to do."""

    async def read(self) -> AsgiEvent | None:
        task = self._task = self._current_task()
        assert task is not None
        before = task.cancelling()
        try:
            return await self._receive()
        except self._cancelled:
            if not self._interrupted or task.cancelling() - 1 > before:
                raise
            return None
        finally:
            self._task = None
            if self._interrupted:
                self._interrupted = False
                task.uncancel()

    def interrupt(self) -> None:
        if self._task is not None and not self._interrupted:
            self._interrupted = True
            self._task.cancel()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await self._threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return self._threads.from_thread(self._loop, function, timeout)


class TrioReader(Reader):
    """On trio, a cancel scope is what there is."""

    def __init__(self, receive: Receive) -> None:
        import trio

        from windsock import _trio_threads

        self._threads = _trio_threads
        self._token = trio.lowlevel.current_trio_token()
        self._receive = receive
        self._new_scope = trio.CancelScope
        self._scope: trio.CancelScope | None = None
        self._checkpoint = trio.lowlevel.checkpoint_if_cancelled
        self.checkpoints = True
        self.now = trio.current_time

    async def checkpoint(self) -> None:
        await self._checkpoint()

    async def read(self) -> AsgiEvent | None:
        try:
            with self._new_scope() as self._scope:
                return await self._receive()
        finally:
            self._scope = None
        return None

    def interrupt(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await self._threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return self._threads.from_thread(self._token, function, timeout)


def make_reader(receive: Receive) -> Reader:
    """The reader for the event loop that runs."""
    import asyncio

    # anyio has no public name of the loop, but one for its way of cancelling.
    on_asyncio = anyio.get_cancelled_exc_class() is asyncio.CancelledError
    return AsyncioReader(receive) if on_asyncio else TrioReader(receive)
