"""A channel on a Twisted transport."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from windsock.core import Capabilities, State
from windsock.core.app.channel import Channel
from windsock.core.protocol.connection import Connection

from ._reactor import DelayedCall, Reactor, Transport, implements, is_tls, reason_of
from ._threads import home_of
from ._waiting import Waiters

T = TypeVar("T")

_OPEN: Final = State.OPEN

# Bytes that the transport is handed at a time. Twisted's own hold up to 64 KiB before they pause
# their producer, and resume it only when all is written: in bigger pieces, a slow peer's progress
# would not show for as long as one takes.
_PIECE: Final = 64 * 1024


@implements(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class TwistedLink(Protocol):
    """Moves bytes between a Twisted transport and a channel; implements `Link`.

    Transports do not say how much they have not written yet, only that it is more than they like
    (`pauseProducing`), and that it is nothing any more (`resumeProducing`). So the link hands over
    what there is in pieces, only while it is not paused, and counts what it keeps. What the
    transport holds without complaint counts as taken, as what the kernel holds does.
    """

    capabilities = Capabilities()
    checkpoints = False
    threaded = False
    mutex: AbstractContextManager[object] = nullcontext()
    cancelled: tuple[type[Exception], ...] = (CancelledError,)

    def __init__(
        self,
        channel: Channel[Any],
        reactor: Reactor,
        connected: Callable[[TwistedLink], None] | None = None,
    ) -> None:
        self.channel = channel
        self.now = time.monotonic  # reactors count by the wall clock
        self.secure = False
        """Whether the transport is TLS."""
        self.handshaking = False
        """Whether the TLS handshake is still to be done."""
        self.peer: object = None
        """The peer's address (`IAddress`)."""
        self.host: object = None
        """Our own."""
        self.lost: Exception | None = None
        """Why the transport has ended, once it has."""
        self._connection: Connection = channel.connection
        self._reactor = reactor
        self._home = home_of(reactor)
        self._connected = connected
        self._transport: Transport | None = None
        self._waiters = Waiters()
        self._write_high_water = channel.config.write_high_water
        self._held = memoryview(b"")
        self._paused = False
        self._flush_scheduled = False
        self._wake_scheduled = False
        self._saw_eof = False
        self._sending_shut = False
        self._losing = False
        self._timer: DelayedCall | None = None
        self._timer_due = 0.0
        self._last_resort: DelayedCall | None = None

    # What the transport calls: IProtocol, IHandshakeListener, IHalfCloseableProtocol

    def connectionMade(self) -> None:
        transport: Transport = cast(Any, self).transport
        self._transport = transport
        self.secure = self.handshaking = is_tls(transport)
        self.peer, self.host = transport.getPeer(), transport.getHost()
        no_delay = getattr(transport, "setTcpNoDelay", None)
        if no_delay is not None and isinstance(self.host, IPv4Address | IPv6Address):
            no_delay(True)  # Unix sockets have the method, too, and fail in it
        transport.registerProducer(self, True)
        self._arm_timer()
        if self._connected is not None:
            self._connected(self)

    def handshakeCompleted(self) -> None:
        self.handshaking = False
        self._look()

    def dataReceived(self, data: bytes) -> None:
        self.handshaking = False  # a wrapper may have kept it to itself
        self._receive(data)

    def readConnectionLost(self) -> None:
        """The peer has ended its side; ours stays open until the channel ends it."""
        self._saw_eof = True
        self._receive(b"")

    def writeConnectionLost(self) -> None:
        """Our side is shut down, as the channel wished."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason_of(reason) or ConnectionDone()
        self._transport = None
        self._held = memoryview(b"")
        if not self.channel.finished:
            now = self.now()
            self.channel.receive_data(b"", now)
            if not self.channel.finished:
                self._connection.write_failed(now)
                self.channel.pump()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._last_resort is not None:
            self._last_resort.cancel()
            self._last_resort = None
        self._look()

    def _receive(self, data: bytes) -> None:
        self.channel.receive_data(data, self.now())
        transport = self._transport
        if transport is not None and not self.channel.wants_data:
            transport.pauseProducing()
        self._look()

    # What the transport calls: IPushProducer

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._report_unsent()
        self._look()

    def stopProducing(self) -> None:
        """The transport ends; `connectionLost` says so, too."""

    # Link

    async def checkpoint(self) -> None:
        """Twisted delivers a cancellation where a Deferred is awaited: nothing to do."""

    async def wait(self) -> None:
        news = self._waiters.wait()
        self._flush()
        await news

    async def drain(self) -> None:
        self._flush()
        # A peer that reads as fast as we write must not starve everybody else.
        await deferLater(cast(Any, self._reactor), 0)
        while self._connection.backlog >= self._write_high_water and not self.channel.ended:
            await self.wait()

    def flush_soon(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._reactor.callLater(0, self._scheduled_flush)

    def wake(self) -> None:
        # Not now: a Deferred runs who awaits it in the midst of what the caller is doing.
        if self._waiters and not self._wake_scheduled:
            self._wake_scheduled = True
            self._reactor.callLater(0, self._scheduled_wake)

    def resume_reading(self) -> None:
        if self._transport is not None and not self._saw_eof:
            self._transport.resumeProducing()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await self._home.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return self._home.from_thread(function, timeout)

    # Output and time

    def _look(self) -> None:
        """There is news: let those run who wait for it, and write what they have to say."""
        self._flush_scheduled = True
        self._waiters.wake()
        self._flush_scheduled = False
        self._flush()

    def _scheduled_flush(self) -> None:
        self._flush_scheduled = False
        self._flush()

    def _scheduled_wake(self) -> None:
        self._wake_scheduled = False
        self._look()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        if not (self._paused or self._losing or self.handshaking):
            self._hand_over(transport)
        connection = self._connection
        if connection.state is not _OPEN:
            self._approach_end(transport)
        if connection.deadline_moved:
            self._arm_timer()

    def _hand_over(self, transport: Transport) -> None:
        connection = self._connection
        while not self._paused:
            data = self._held or memoryview(connection.data_to_send())
            if not data:
                return
            self._held = data[_PIECE:]
            transport.write(bytes(data[:_PIECE]))
        self._report_unsent()

    def _report_unsent(self) -> None:
        size = len(self._held) + (_PIECE if self._paused else 0)
        self._connection.unsent(size, self.now())
        if size == 0:
            self.channel.pump()

    def _approach_end(self, transport: Transport) -> None:
        if self.channel.finished:
            self.end()
        elif self._connection.half_close and not self._sending_shut:
            if self.handshaking:
                transport.abortConnection()  # there is no way to say goodbye yet
            elif not self._paused:
                self._sending_shut = True
                shut = getattr(transport, "loseWriteConnection", None)
                if shut is None or self.secure:
                    self._lose(transport)  # TLS says goodbye for both directions at once
                else:
                    shut()

    def _arm_timer(self) -> None:
        due = self._connection.deadline()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return  # a timer that comes too early looks again
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._reactor.callLater(max(0.0, due - self.now()), self._handle_deadline)

    def _handle_deadline(self) -> None:
        self._timer = None
        self._connection.handle_deadline(self.now())
        self.channel.pump()
        self._look()
        if self._transport is not None:
            self._arm_timer()

    # The end

    async def gone(self) -> None:
        """Wait until the transport has ended."""
        while self._transport is not None:
            await self.wait()

    def end(self) -> None:
        """Close the socket once the transport has written what it holds, if it takes that well.

        It has `Config.close_timeout` seconds for it.
        """
        transport = self._transport
        if transport is None or self._losing:
            return
        if not (self._paused or self.handshaking):
            self._hand_over(transport)
        if self._paused or self.handshaking:
            self.abort()  # the peer has not taken it in time
        else:
            self._lose(transport)

    def _lose(self, transport: Transport) -> None:
        self._losing = True
        transport.unregisterProducer()  # else it would wait for us
        self._last_resort = self._reactor.callLater(
            self.channel.config.close_timeout, self._give_up
        )
        transport.loseConnection()

    def _give_up(self) -> None:
        self._last_resort = None
        self.abort()

    def abort(self) -> None:
        """Close the socket now."""
        if self._transport is not None:
            self._transport.abortConnection()
