"""A channel on an asyncio transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar, cast

from windsock import _asyncio_threads
from windsock.core import Capabilities, State
from windsock.core.app.channel import Channel
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.memory import keep_memory

from ._flusher import Flusher

T = TypeVar("T")

_OPEN: Final = State.OPEN
_DRAINING: Final = State.DRAINING
_CLOSED: Final = State.CLOSED
_Future: Final = asyncio.Future


class AsyncioLink(asyncio.Protocol):
    """Moves bytes between an asyncio transport and a channel; implements `Link`."""

    capabilities = Capabilities()
    checkpoints = False
    threaded = False
    mutex: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    cancelled: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        channel: Channel[Any],
        loop: asyncio.AbstractEventLoop,
        flusher: Flusher,
        connected: Callable[[AsyncioLink], None] | None = None,
        asked: Callable[[AsyncioLink], None] | None = None,
    ) -> None:
        self.channel = channel
        channel.takes_turns = True
        self._connection: Connection = channel.connection
        self._loop = loop
        self._flusher = flusher
        self.now = loop.time
        self._connected = connected
        self._asked = asked
        self._transport: asyncio.Transport | None = None
        self._write_high_water = channel.config.write_high_water
        self._waiters: list[asyncio.Future[None]] = []
        self._flush_queued = False
        self._reading_paused = False
        self._sending_shut = False
        self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        keep_memory()  # asyncio reads into a new buffer of 256 KiB each time, uvloop does with TLS
        self._transport = cast(asyncio.Transport, transport)
        # Every byte that the kernel does not take at once pauses writing: the core does the
        # accounting, with its own high-water mark.
        self._transport.set_write_buffer_limits(high=0)
        self._arm_timer()
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        if self.channel.receive_data(data, self.now()):
            self._run_waiters()
        else:
            self._after_input()

    def _run_waiters(self) -> None:
        """`wake` in this pass of the event loop: who waits goes on here and now, as if called.

        What they send is written when they wait again, or here, without the flusher's help.
        """
        waiters = self._waiters
        if not waiters:
            return
        self._waiters = []
        queued = self._flush_queued
        self._flush_queued = True
        try:
            for waiter in waiters:
                if not waiter.done():
                    self._run(waiter)
        finally:
            self._flush_queued = queued
        if not queued:
            self.flush_now()

    def _run(self, waiter: asyncio.Future[None]) -> None:
        """Have `waiter` done, and call who awaits it, which else the event loop does."""
        callbacks = waiter._callbacks
        if not callbacks:
            waiter.set_result(None)  # nobody awaits it yet
            return
        callback, context = callbacks[0]
        waiter.remove_done_callback(callback)
        waiter.set_result(None)
        try:
            context.run(callback, waiter)
        except RuntimeError:
            # This is called by another task, which must come to its end first.
            self._loop.call_soon(callback, waiter, context=context)
        except (KeyboardInterrupt, SystemExit) as error:
            # What is to end the event loop is not to pass through a transport.
            self._loop.call_soon(_raise, error)

    def eof_received(self) -> bool:
        self.channel.receive_data(b"", self._loop.time())
        self._after_input()
        if self.channel.finished:
            return False
        # Keep the sending side open; with TLS there is no such thing.
        return self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._report_unsent()
        self._flush()
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.channel.finished:
            now = self._loop.time()
            self.channel.receive_data(b"", now)
            if not self.channel.finished:
                self._connection.write_failed(now)
                self.channel.pump()
        if self._timer is not None:
            self._timer.cancel()
        self._look_for_request()
        self.wake()

    def _look_for_request(self) -> None:
        """Tell whoever waits for one, once, that it came, or that none will come."""
        asked = self._asked
        if asked is not None and (self.channel.greeting is not None or self.channel.ended):
            self._asked = None
            asked(self)

    def _after_input(self) -> None:
        transport = self._transport
        connection = self._connection
        self._look_for_request()
        self.wake()
        state = connection.state
        if state is _DRAINING or state is _CLOSED:
            self._flush()  # nothing will be added to it
            return
        if not self.channel.wants_data and not self._reading_paused and transport is not None:
            self._reading_paused = True
            transport.pause_reading()
        if self.channel.more or connection.pending_output:
            self.flush_soon()
        elif connection.deadline_moved:
            self._arm_timer()

    # Link

    async def checkpoint(self) -> None:
        """asyncio delivers a cancellation at the next suspension: nothing to do."""

    def wait(self) -> Awaitable[None]:
        if self._waiters:  # drop those that were cancelled
            self._waiters = [waiter for waiter in self._waiters if not waiter.done()]
        waiter: asyncio.Future[None] = _Future(loop=self._loop)
        self._waiters.append(waiter)
        if self._flush_queued:
            self._flush()
        return waiter

    async def drain(self) -> None:
        self._flush()
        # A peer that reads as fast as we write must not starve the other tasks.
        await asyncio.sleep(0)
        while self._connection.backlog >= self._write_high_water and not self.channel.ended:
            await self.wait()

    def flush_soon(self) -> None:
        if not self._flush_queued:
            self._flush_queued = True
            self._flusher.flush_soon(self)

    def wake(self) -> None:
        waiters = self._waiters
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        waiters.clear()

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await _asyncio_threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return _asyncio_threads.from_thread(self._loop, function, timeout)

    # Output and time

    def flush_now(self) -> None:
        """For the flusher: the flush that was asked for with `flush_soon`, and the next turn."""
        self._flush_queued = False
        channel = self.channel
        took_turn = channel.more and channel.pump()
        if self._reading_paused and channel.wants_data:
            self.resume_reading()
        if took_turn:
            self._after_input()
        connection = self._connection
        # A handler that waits again has written already.
        if connection.pending_output or connection.deadline_moved or connection.state is not _OPEN:
            self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        connection = self._connection
        while connection.pending_output:
            transport.write(connection.piece_to_send())
            if self._writing_paused:
                self._report_unsent()
        state = connection.state
        if state is _DRAINING or state is _CLOSED:
            self._approach_end(transport)
        if connection.deadline_moved:
            self._arm_timer()

    def _approach_end(self, transport: asyncio.Transport) -> None:
        if self.channel.finished:
            self._close(transport)
        elif self._connection.half_close and not self._sending_shut:
            self._sending_shut = True
            if transport.can_write_eof():
                with contextlib.suppress(OSError):  # the peer may have gone
                    transport.write_eof()
            else:
                transport.close()  # TLS says goodbye for both directions at once

    def _report_unsent(self) -> None:
        if self._transport is None:
            return
        size = self._transport.get_write_buffer_size()
        self._connection.unsent(size, self._loop.time())
        if size == 0 and self._connection.state is not _OPEN:
            self.channel.pump()  # that may have been what the end waited for

    def _arm_timer(self) -> None:
        due = self._connection.deadline()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return  # a timer that comes too early looks again
        if self._timer is not None:
            self._timer.cancel()
        # Not every event loop's handles know their time.
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._handle_deadline)

    def _handle_deadline(self) -> None:
        self._timer = None
        self._report_unsent()
        self._connection.handle_deadline(self._loop.time())
        self.channel.pump()
        self._flush()
        self._arm_timer()
        self._look_for_request()
        self.wake()

    def end(self) -> None:
        """Close the socket now, with a last word if the kernel takes it at once."""
        self._flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    def _close(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return  # a TLS transport has begun to, and forgets itself when told twice
        if transport.get_write_buffer_size() == 0:
            transport.close()
        else:
            transport.abort()  # the peer has not taken it in time

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, None before and after its life."""
        return self._transport


def _raise(error: BaseException) -> NoReturn:
    raise error
