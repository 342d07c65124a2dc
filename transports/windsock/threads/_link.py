"""A channel on a byte stream, between the I/O thread and those that use the WebSocket."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, Final, TypeVar

from windsock._nonblocking import READ, WRITE, ByteStream
from windsock.core import Capabilities, State
from windsock.core.app.channel import Channel
from windsock.core.app.session import logger
from windsock.core.protocol.connection import Connection

from ._coroutines import complete
from ._io import IOThread, Timer

T = TypeVar("T")

_OPEN: Final = State.OPEN
_NOTHING: Final = memoryview(b"")
_NEVER: Final = float("inf")

# How much is still read, in turns, from a connection that cannot be written to any more.
_LAST_READS: Final = 16


class _Call(threading.local):
    """The blocking call that the thread is in."""

    deadline: float = _NEVER


_call: Final = _Call()


class ThreadsLink:
    """Moves bytes between a byte stream and a channel; implements `Link`.

    One lock guards the connection: whoever touches it, on whatever thread, holds `mutex`, and the
    methods of `Link` but `to_thread` and `from_thread` are called by who does. Reading, deadlines
    and closing are for the I/O thread; what is to be sent is written by whoever sends it, up to
    where the kernel takes no more.
    """

    capabilities = Capabilities()
    checkpoints = False
    threaded = True
    cancelled: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        channel: Channel[Any],
        stream: ByteStream,
        io: IOThread,
        *,
        secured: bool = True,
        opened: Callable[[ThreadsLink], None] | None = None,
        closed: Callable[[ThreadsLink], None] | None = None,
    ) -> None:
        """`start` is to be called next.

        Args:
            channel: the connection.
            stream: what it is on; belongs to the link from now on.
            io: reads it.
            secured: whether there is no handshake of TLS to be done first.
            opened: called by the I/O thread once the channel has its greeting, holding `mutex`.
            closed: called by the I/O thread once the stream is closed, holding `mutex`.
        """
        self.channel = channel
        self.now = monotonic
        self._condition = threading.Condition()
        self.mutex: AbstractContextManager[object] = self._condition
        self._connection: Connection = channel.connection
        self._stream = stream
        self._io = io
        self._secured = secured
        self._opened = opened
        self._closed = closed
        self._unsent = _NOTHING
        self._eof = False
        self._sending_shut = False
        self._waiting = 0
        self._due = _NEVER
        # What only the I/O thread changes.
        self._watched = 0
        self._timer: Timer | None = None
        self._timer_due = _NEVER
        self._is_closed = False
        # Whether the I/O thread will look at all that below anyway.
        self._turn_due = False

    def start(self) -> None:
        """Begin to read, and to keep deadlines."""
        with self._condition:
            self._request_turn()

    # Link

    async def checkpoint(self) -> None:
        """Nothing is ever cancelled here."""

    async def wait(self) -> None:
        self.flush_soon()
        timeout = None
        if _call.deadline is not _NEVER:
            timeout = min(_call.deadline - monotonic(), threading.TIMEOUT_MAX)
            if timeout <= 0:
                raise TimeoutError("the time that the call was given is over")
        self._waiting += 1
        try:
            # What came at the last moment counts: only who finds nothing waits once more.
            self._condition.wait(timeout)
        finally:
            self._waiting -= 1

    async def drain(self) -> None:
        high_water = self.channel.config.write_high_water
        while self._connection.backlog >= high_water and not self.channel.ended:
            await self.wait()

    def flush_soon(self) -> None:
        self._flush()
        if not self._turn_due and self._needs_turn():
            self._request_turn()

    def wake(self) -> None:
        if self._waiting:
            self._condition.notify_all()

    def resume_reading(self) -> None:
        self.flush_soon()  # which looks for everything that the I/O thread is to do

    async def to_thread(self, function: Callable[[], T]) -> T:
        return function()

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        outer = _call.deadline
        if timeout is not None:
            _call.deadline = min(outer, monotonic() + timeout)
        try:
            return complete(function())
        finally:
            _call.deadline = outer

    def end(self) -> None:
        """Close the socket, with a last word if the kernel takes it at once."""
        with self._condition:
            self._flush()
            self._lose()
            if not self._turn_due:
                self._request_turn()

    def wait_closed(self, timeout: float) -> None:
        """Block until the socket is closed, at most `timeout` seconds."""
        with self._condition:
            self._waiting += 1
            try:
                self._condition.wait_for(lambda: self._is_closed, timeout)
            finally:
                self._waiting -= 1

    # Output

    def _flush(self) -> None:
        connection = self._connection
        if connection.pending_output and not self._unsent and self._secured:
            self._write()
        if connection.state is not _OPEN:
            self._approach_end()

    def _write(self) -> None:
        """Write until nothing is left or the kernel takes no more."""
        connection, stream = self._connection, self._stream
        waited = bool(self._unsent)
        try:
            while True:
                data = self._unsent or connection.piece_to_send()
                if not data:
                    break
                sent = stream.send(data)
                if sent < len(data):
                    self._unsent = memoryview(data)[sent:]
                    if not sent:
                        break
                else:
                    self._unsent = _NOTHING
                    if waited or connection.state is not _OPEN:
                        connection.unsent(0, monotonic())  # an owed Pong may come of it
        except OSError:
            self._read_last_words()
            self._lose()
            return
        except BaseException:
            # An interrupt: how much was written is not known, and nothing may follow a torn frame.
            self._lose()
            raise
        if self._unsent:
            connection.unsent(len(self._unsent), monotonic())
        elif waited or connection.state is not _OPEN:
            self.channel.pump()

    def _read_last_words(self) -> None:
        """What the peer sent before it went, such as its Close frame, tells more than our error."""
        with contextlib.suppress(OSError):
            for _ in range(_LAST_READS):
                if not self.channel.wants_data or not self._receive():
                    break

    def _approach_end(self) -> None:
        if not self._connection.half_close or self._sending_shut or not self._secured:
            return
        if not self._connection.backlog:
            self._sending_shut = True
            with contextlib.suppress(OSError):  # the peer may have gone
                self._stream.shut_sending()

    def _lose(self) -> None:
        """The stream has broken, or is to be closed however that is for the peer."""
        self._eof = True
        self._unsent = _NOTHING
        if not self.channel.finished:
            now = monotonic()
            self.channel.receive_data(b"", now)
            if not self.channel.finished:
                self._connection.write_failed(now)
                self.channel.pump()
        self.wake()

    # What the I/O thread is to know

    def _wanted_events(self) -> int:
        if self._is_closed or self.channel.finished:
            return 0
        if not self._secured:
            return self._stream.receive_on
        wanted = 0
        if not self._eof and self.channel.wants_data:
            wanted = self._stream.receive_on
        if self._unsent:
            wanted |= self._stream.send_on
        return wanted

    def _needs_turn(self) -> bool:
        if self.channel.finished:
            return True  # it is for the I/O thread to close the socket
        if self._connection.deadline_moved:
            self._look_at_deadline()
        return self._due < self._timer_due or self._watched != self._wanted_events()

    def _look_at_deadline(self) -> None:
        due = self._connection.deadline()
        self._due = _NEVER if due is None else due

    def _request_turn(self) -> None:
        if not self._is_closed:
            self._turn_due = True
            self._io.call(self._turn)

    # The I/O thread

    def _turn(self, mask: int = 0) -> None:
        """All that the I/O thread does here: after an event, at a deadline, or on request."""
        with self._condition:
            if self._is_closed:
                return
            self._turn_due = True
            try:
                self._advance(mask)
                self._flush()
            except Exception:  # the boundary: an error of ours costs this connection and no other
                logger().exception("the connection failed")
                self._lose()
            self._turn_due = False
            self._look_out()

    def _advance(self, mask: int) -> None:
        try:
            if not self._secured:
                self._secured = self._stream.handshake()
                mask = READ if self._secured else 0
            if self._unsent and mask & self._stream.send_on:
                self._write()
                self.wake()
            if mask & self._stream.receive_on and not self._eof and self.channel.wants_data:
                self._receive()
                self.wake()
        except OSError:
            self._lose()
        if self._timer is None and monotonic() >= self._timer_due:
            self._keep_deadline()
        if self._opened is not None and self.channel.greeting is not None:
            opened, self._opened = self._opened, None
            opened(self)

    def _receive(self) -> bool:
        """Read once, so that no peer keeps the others waiting; whether anything came."""
        receive_into = self._stream.receive_into
        room = None if receive_into is None else self._connection.room()
        if receive_into is not None and room is not None:
            with room:
                count = receive_into(room)
            if count:
                self._connection.received(count, monotonic())
                self.channel.pump()
                return True
            data = None if count is None else b""
        else:
            data = self._stream.receive()
        if data is None:
            return False
        self._eof = not data
        self.channel.receive_data(data, monotonic())
        return not self._eof

    def _keep_deadline(self) -> None:
        self._timer_due = _NEVER
        self._connection.unsent(len(self._unsent), monotonic())
        self._connection.handle_deadline(monotonic())
        self.channel.pump()
        if not self._secured and self.channel.ended:
            self._lose()  # nothing can be said without TLS
        self.wake()

    def _time_is_up(self) -> None:
        self._timer = None
        self._turn()

    def _look_out(self) -> None:
        """Arrange for the next turn, or close the socket after the last."""
        if self.channel.finished:
            self._close()
            return
        wanted = self._wanted_events()
        if wanted != self._watched:
            self._io.watch(self._stream.socket, self._watched, wanted, self._turn)
            self._watched = wanted
        if wanted & self._stream.receive_on and self._secured and self._stream.pending:
            self._turn_due = True
            self._io.call(lambda: self._turn(READ | WRITE))
        if self._timer is None or self._connection.deadline_moved:
            self._look_at_deadline()
        if self._due < self._timer_due:  # a timer that comes too early looks again
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = self._due
            self._timer = self._io.call_at(self._due, self._time_is_up)

    def _close(self) -> None:
        self._is_closed = True
        if self._watched:
            self._io.watch(self._stream.socket, self._watched, 0, self._turn)
            self._watched = 0
        if self._timer is not None:
            self._timer.cancel()
        self._stream.close()
        self.wake()
        if self._closed is not None:
            self._closed(self)
