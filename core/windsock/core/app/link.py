"""What a transport does for a `WebSocket`: the whole of the interface between the two."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import Message
from windsock.core.protocol.errors import Disconnected
from windsock.core.protocol.events import Closed, Event, Status
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.state import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this connection can do. A host server that owns the frames may not do everything."""

    ping: bool = True
    """`ping()` works and `latency` is measured."""
    rejection_response: bool = True
    """`reject()` sends status, headers and body as given; otherwise the client sees 403."""
    close_reason: bool = True
    """The reason of a Close frame travels both ways."""
    limits: bool = True
    """Message size, fragments and timeouts are enforced by windsock, not left to the host."""
    compression: bool = True
    """permessage-deflate is negotiated by windsock's `Config`, not by the host."""


class Link(Protocol):
    """One connection's transport, as the `WebSocket` sees it."""

    capabilities: Capabilities
    checkpoints: bool
    """Whether `checkpoint` can do anything; asking this first is cheaper than awaiting nothing."""
    threaded: bool
    """Whether each handler has a thread of its own, which it may block."""
    mutex: AbstractContextManager[object]
    """Held while the session itself changes the channel, and from its look at the channel until it
    waits, so that no news is missed in between. Does nothing where all that touches the channel
    runs on one thread."""
    cancelled: tuple[type[Exception], ...]
    """What a cancelled await raises, where that is an `Exception`: it ends a handler as it ends
    any coroutine, and is no failure of the handler's. Empty where it is a `BaseException` only."""

    async def checkpoint(self) -> None:
        """Let a pending cancellation happen; no task switch is needed."""

    def wait(self) -> Awaitable[None]:
        """Write what is to be written, then suspend until the channel may have news.

        Returns after each batch of input, each deadline that was handled, and each `wake`; the
        caller looks for what it waits for and waits again.
        """
        ...

    async def drain(self) -> None:
        """Suspend until `backlog` is below the write high-water mark or the WebSocket has ended."""

    def flush_soon(self) -> None:
        """There is output (or a new deadline): write it no later than the next scheduler pass."""

    def wake(self) -> None:
        """Something changed that others may `wait` for."""

    def resume_reading(self) -> None:
        """The inbox has room again."""

    def now(self) -> float:
        """The transport's monotonic clock, in seconds."""
        ...

    async def to_thread(self, function: Callable[[], T]) -> T:
        """Run a function that blocks, where it blocks nobody else.

        It cannot be cancelled: where the caller is, it goes on by itself, and finds the WebSocket
        ended.
        """
        ...

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        """Run a coroutine function where the connection lives, and block until it is done.

        For what runs by `to_thread`, and for any other thread that has no event loop.

        Raises:
            TimeoutError: it was not done after `timeout` seconds, and was cancelled.
            Disconnected: the connection's home is no more.
        """
        ...


class SupportsWebSocket(Protocol):
    """The part of a connection that the API needs.

    `ServerConnection` and `ClientConnection` have it, and so has what an adapter puts in their
    place where a host server owns the frames.
    """

    state: State
    closed: Closed | None
    subprotocol: str | None

    @property
    def backlog(self) -> int: ...
    @property
    def holds_end(self) -> bool: ...
    def receive_data(self, data: bytes | None, now: float) -> None: ...
    def next_event(self, *, hold_end: bool = False) -> Event | Status: ...
    def take_messages(self, messages: deque[Any], room: int) -> int: ...
    def receive_messages(
        self, data: bytes, now: float, messages: deque[Any], room: int
    ) -> tuple[int, bool]: ...
    def send(self, message: Message) -> int: ...
    def ping(self, payload: bytes | None, now: float) -> bytes: ...
    def awaits_pong(self, payload: bytes) -> bool: ...
    def close(self, code: int, reason: str, now: float) -> None: ...
    def disconnected(self) -> Disconnected: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self, now: float) -> None: ...


class SupportsServing(SupportsWebSocket, Protocol):
    """The server's part."""

    def configure(self, config: Config) -> None: ...
    def accept(
        self, subprotocol: str | None = None, headers: HeaderFields = (), *, now: float
    ) -> None: ...
    def reject(
        self, status: int = 403, headers: HeaderFields = (), body: bytes = b"", *, now: float
    ) -> None: ...
    def respond(
        self, status: int = 200, headers: HeaderFields = (), body: bytes = b"", *, now: float
    ) -> None: ...


CatchDisconnect = bool | Iterable[int]
"""Which disconnects `async with ws` swallows: all, none, or those with the given codes."""
