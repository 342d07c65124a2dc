"""A channel on a byte stream."""

from __future__ import annotations

import enum
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

import trio

from windsock import _trio_threads
from windsock.core import Capabilities, State
from windsock.core.app.channel import Channel
from windsock.core.protocol.connection import Connection

from ._attendant import Attendant
from ._io import AnyStream, SocketStream

T = TypeVar("T")

_OPEN: Final = State.OPEN


class _Reader(enum.Enum):
    """Who is inside `receive` of the byte stream."""

    NOBODY = enum.auto()
    WAITER = enum.auto()
    BACKGROUND = enum.auto()


class TrioLink:
    """Moves bytes between a byte stream and a channel; implements `Link`."""

    __slots__ = (
        "_attendant",
        "_background",
        "_connection",
        "_deadline_kept",
        "_deadline_number",
        "_eof",
        "_flush_queued",
        "_lot",
        "_news",
        "_reader",
        "_sending_shut",
        "_stream",
        "_stream_ended",
        "_write_high_water",
        "_writing",
        "channel",
    )

    capabilities = Capabilities()
    checkpoints = True
    threaded = False
    mutex: AbstractContextManager[object] = nullcontext()
    cancelled: tuple[type[Exception], ...] = ()

    def __init__(
        self, channel: Channel[Any], stream: SocketStream | AnyStream, attendant: Attendant
    ) -> None:
        self.channel = channel
        channel.takes_turns = True
        self._connection: Connection = channel.connection
        self._stream = stream
        self._attendant = attendant
        self._write_high_water = channel.config.write_high_water
        self._reader = _Reader.NOBODY
        self._background: trio.CancelScope | None = None
        self._lot = trio.lowlevel.ParkingLot()
        self._news = 0
        self._eof = False
        self._writing = False
        self._sending_shut = False
        self._stream_ended = False
        self._flush_queued = False
        self._deadline_kept = float("inf")
        self._deadline_number = -1
        self._keep_deadline()

    # Link

    async def checkpoint(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()

    def now(self) -> float:
        return trio.current_time()

    async def wait(self) -> None:
        news = self._news
        self._flush()
        if news != self._news:
            await trio.lowlevel.checkpoint()
        elif self.channel.more:
            await trio.lowlevel.checkpoint()
            self._take_turn()
        elif self._reader is _Reader.NOBODY and self._readable:
            await self._read_as_waiter()
        else:
            if self._background is not None:
                self._background.cancel()  # this task will read itself from now on
            await self._lot.park()

    @property
    def _readable(self) -> bool:
        return not self._eof and self.channel.wants_data

    async def _read_as_waiter(self) -> None:
        self._reader = _Reader.WAITER
        self._attendant.attended(self)
        data: bytes | None = None
        try:
            data = await self._stream.receive()
        finally:
            self._reader = _Reader.NOBODY
            if not self.channel.finished:
                self._attendant.unattended(self)
            if data is None:
                self._lot.unpark_all()  # another task that waits must read instead
        if data is not None:
            self._feed(data)

    def _take_turn(self) -> None:
        """The next of what was read at once and not yet looked at."""
        if self.channel.more:
            self.channel.pump()
            self.wake()

    def _feed(self, data: bytes) -> None:
        if not data:
            self._eof = True
        self.channel.receive_data(data, trio.current_time())
        self.wake()

    async def drain(self) -> None:
        self._flush()
        # A peer that reads as fast as we write must not starve the other tasks.
        await trio.lowlevel.checkpoint()
        while self._connection.backlog >= self._write_high_water and not self.channel.ended:
            await self.wait()

    def flush_soon(self) -> None:
        if not self._flush_queued:
            self._flush_queued = True
            self._attendant.flush_soon(self)

    def wake(self) -> None:
        self._news += 1
        if self._lot:
            self._lot.unpark_all()
        if self._reader is _Reader.WAITER:
            self._stream.interrupt()
        if self.channel.finished and not self._stream_ended:
            # The peer waits for our end of TCP, however long the handler goes on.
            self._stream_ended = True
            self._attendant.nursery.start_soon(self._stream.close)

    def resume_reading(self) -> None:
        self.wake()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await _trio_threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return _trio_threads.from_thread(self._attendant.token, function, timeout)

    # For the attendant

    def flush_now(self) -> None:
        """The flush that was asked for with `flush_soon`."""
        self._flush_queued = False
        if self.channel.more:
            self.wake()  # whoever waits takes the next turn
        self._flush()

    def read_in_background(self) -> None:
        """Read in place of the handler until it waits itself."""
        # What the handler's last read left: a Pong to be sent, an end that is held for it, a turn.
        self._take_turn()
        self._flush()
        if self._reader is _Reader.NOBODY and self._readable:
            self._reader = _Reader.BACKGROUND
            self._attendant.attended(self)
            self._attendant.nursery.start_soon(self._read_loop)

    async def _read_loop(self) -> None:
        try:
            with trio.CancelScope() as self._background:
                while self._readable:
                    data = await self._stream.receive()
                    if data is not None:
                        self._feed(data)
                        self._flush()
        finally:
            self._background = None
            self._reader = _Reader.NOBODY
            if not self.channel.finished:
                self._attendant.unattended(self)
            self.wake()

    def handle_deadline(self, now: float) -> None:
        """Time has come, or has moved on: look what is due."""
        self._deadline_kept = float("inf")
        if self.channel.finished:
            return
        due = self._connection.deadline()
        if due is not None and due <= now:
            self._connection.handle_deadline(now)
            self.channel.pump()
            self._flush()
            self.wake()
        self._keep_deadline()

    def _keep_deadline(self) -> None:
        due = self._connection.deadline()
        if due is not None and due < self._deadline_kept:
            self._attendant.forget_deadline(self._deadline_number)
            self._deadline_kept = due
            self._deadline_number = self._attendant.keep_deadline(self, due)

    # Writing

    def _flush(self) -> None:
        if self._writing:
            return
        connection = self._connection
        data = connection.data_to_send()
        if data:
            try:
                sent = self._stream.send_now(data)
            except OSError:
                self._write_failed()
                return
            if sent < len(data):
                self._start_writing(data[sent:])
        if (
            connection.state is not _OPEN
            and not self._writing
            and connection.half_close
            and not self._sending_shut
        ):
            self._start_writing(b"")
        if connection.deadline_moved:
            self._keep_deadline()

    def _start_writing(self, data: bytes) -> None:
        self._writing = True
        self._unsent(len(data))
        self._attendant.nursery.start_soon(self._write_loop, data)

    async def _write_loop(self, data: bytes) -> None:
        """Write what the stream could not take at once; no handler's cancellation reaches here."""
        connection = self._connection
        try:
            while data:
                await self._stream.send_all(data, self._unsent)
                data = connection.data_to_send()
                if data:
                    self._unsent(len(data))
            if connection.half_close and not self._sending_shut:
                self._sending_shut = True
                closed = connection.closed
                clean = closed is not None and closed.clean
                if not await self._stream.shut_sending(clean=clean):
                    self._feed(b"")
        except OSError:
            self._write_failed()
        finally:
            self._writing = False
            self._keep_deadline()
            self.wake()

    def _unsent(self, size: int) -> None:
        self._connection.unsent(size, trio.current_time())
        if size == 0:
            self.channel.pump()
        if size < self._write_high_water:
            self.wake()

    def _write_failed(self) -> None:
        self._connection.write_failed(trio.current_time())
        self.channel.pump()
        self.wake()

    async def close(self) -> None:
        """Close the stream and have no more to do with the attendant."""
        self._flush()  # the goodbye of a cancelled handler, if the stream takes it
        if self._background is not None:
            self._background.cancel()
        self._attendant.attended(self)
        self._stream_ended = True
        if not self.channel.finished:
            self._write_failed()
        self._attendant.forget_deadline(self._deadline_number)
        await self._stream.close()
