"""What an adapter needs of the event loop that its host runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing

from ._connection import HostedConnection
from ._scope import Receive, Send
from ._watch import Watch

if TYPE_CHECKING:
    from ._link import AsgiLink

T = TypeVar("T")


class EventLoop(ABC):
    """The event loop that runs, for all connections on it."""

    checkpoints: bool
    """Whether `checkpoint` can do anything."""
    checkpoint: Callable[[], Coroutine[Any, Any, None]]
    """Let a pending cancellation happen, without a task switch."""
    now: Callable[[], float]
    """The loop's monotonic clock."""
    watch: Watch
    """Who looks for absent applications."""

    @abstractmethod
    def runs_here(self) -> bool:
        """Whether this is the event loop that runs."""

    @abstractmethod
    def link(
        self,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> AsgiLink:
        """The link of one connection."""

    @abstractmethod
    def open_tasks(self) -> AbstractAsyncContextManager[Any]:
        """A context that is not left before the tasks that were started in it have ended."""

    @abstractmethod
    def is_cancellation(self, group: BaseExceptionGroup[BaseException]) -> bool:
        """Whether what left that context says no more than that the tasks were cancelled."""

    @abstractmethod
    def start(self, tasks: Any, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function in a task of its own."""

    @abstractmethod
    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a function once other tasks have run, where that costs less than to start one."""

    @abstractmethod
    async def to_thread(self, function: Callable[[], T]) -> T:
        """Run a function that blocks in a thread."""

    @abstractmethod
    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        """Run a coroutine function on the event loop from such a thread."""
