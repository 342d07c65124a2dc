"""A channel on a byte stream."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

import trio
from trio.lowlevel import current_task, reschedule, wait_task_rescheduled

from windsock import _trio_threads
from windsock.core import Capabilities, State
from windsock.core.app.channel import Channel
from windsock.core.app.session import logger
from windsock.core.protocol.connection import Connection

from ._attendant import Attendant
from ._io import ByteStream

T = TypeVar("T")

_OPEN: Final = State.OPEN

# How long the next turn waits for a handler that was given one and went elsewhere, in seconds.
_MAX_TURN_WAIT: Final = 0.25


class TrioLink:
    """Moves bytes between a byte stream and a channel; implements `Link`."""

    __slots__ = (
        "_asked",
        "_attendant",
        "_connection",
        "_deadline_kept",
        "_deadline_number",
        "_ended",
        "_eof",
        "_news",
        "_queue_flush",
        "_reading",
        "_send_now",
        "_sending_shut",
        "_stream",
        "_unsent",
        "_waiting",
        "_write_high_water",
        "channel",
        "flush_due",
    )

    capabilities = Capabilities()
    checkpoints = True
    threaded = False
    mutex: AbstractContextManager[object] = nullcontext()
    cancelled: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        channel: Channel[Any],
        stream: ByteStream,
        attendant: Attendant,
        asked: Callable[[TrioLink], None] | None = None,
    ) -> None:
        """
        Args:
            channel: the connection.
            stream: what it goes over.
            attendant: who sees to both.
            asked: called once, when a request has come, or is known not to come any more.
        """
        self.channel = channel
        self._asked = asked
        channel.takes_turns = True
        self._connection: Connection = channel.connection
        self._stream = stream
        self._send_now = stream.send_now
        self._attendant = attendant
        self._queue_flush = attendant.flusher.flush_soon
        self._write_high_water = channel.config.write_high_water
        self._waiting: list[trio.lowlevel.Task] = []
        self._news = 0
        self._reading = True
        self._eof = False
        self._unsent = 0
        self._sending_shut = False
        self._ended = False
        self.flush_due = False
        self._deadline_kept = float("inf")
        self._deadline_number = -1
        self._keep_deadline()
        stream.start(self)

    # Link

    checkpoint = staticmethod(trio.lowlevel.checkpoint_if_cancelled)
    now = staticmethod(trio.current_time)

    # A KeyboardInterrupt in here would leave a dead task to be rescheduled.
    @trio.lowlevel.enable_ki_protection
    async def wait(self) -> None:
        news = self._news
        self._flush()
        if news != self._news:
            await trio.lowlevel.checkpoint()
        elif self.channel.more:
            await trio.lowlevel.checkpoint()
            self._take_turn()
        else:
            task = current_task()

            def abort(_: object) -> trio.lowlevel.Abort:
                self._waiting.remove(task)
                return trio.lowlevel.Abort.SUCCEEDED

            self._waiting.append(task)
            await wait_task_rescheduled(abort)

    async def drain(self) -> None:
        self._flush()
        # A peer that reads as fast as we write must not starve the other tasks.
        await trio.lowlevel.checkpoint()
        while self._connection.backlog >= self._write_high_water and not self.channel.ended:
            await self.wait()

    def flush_soon(self) -> None:
        if not self.flush_due:
            self.flush_due = True
            self._queue_flush(self)

    def wake(self) -> None:
        if self._asked is not None and (self.channel.greeting is not None or self.channel.ended):
            asked, self._asked = self._asked, None
            asked(self)
        self._notify()
        wanted = not self._eof and self.channel.wants_data
        if wanted is not self._reading:
            self._reading = wanted
            self._stream.read(wanted)
        if self.channel.finished and not self._ended:
            # The peer waits for our end of TCP, however long the handler goes on.
            self._ended = True
            self._stream.end()

    def _notify(self) -> None:
        self._news += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for task in waiting:
                reschedule(task)

    def resume_reading(self) -> None:
        self.wake()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await _trio_threads.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return _trio_threads.from_thread(self._attendant.token, function, timeout)

    # For the stream

    def data_received(self, data: bytes, now: float) -> None:
        try:
            if self.channel.receive_data(data, now):
                self._notify()
            else:
                self._eof = self._eof or not data
                self._after_input()
        except Exception:  # the boundary: an error of ours costs this connection and no other
            self._fail()

    def received(self, count: int, now: float) -> None:
        try:
            self._connection.received(count, now)
            self.channel.pump()
            self._after_input()
        except Exception:  # the boundary, as above
            self._fail()

    def _after_input(self) -> None:
        connection = self._connection
        self._stream.offer(connection.room())
        if self.channel.more:
            # Whoever waits takes the next turn, unless he goes elsewhere now.
            self._be_called_at(trio.current_time() + _MAX_TURN_WAIT)
        if connection.pending_output or connection.deadline_moved or connection.half_close:
            self.flush_soon()
        self.wake()

    def _take_turn(self) -> None:
        """The next of what was read at once and not yet looked at."""
        if self.channel.more:
            self.channel.pump()
            self._after_input()

    def written(self, left: int) -> None:
        try:
            self._unsent = left
            self._connection.unsent(left, trio.current_time())
            if left == 0:
                self.channel.pump()
                self._flush()
            if left < self._write_high_water:
                self.wake()
        except Exception:  # the boundary, as above
            self._fail()

    def write_failed(self) -> None:
        self._unsent = 0
        self._connection.write_failed(trio.current_time())
        self.channel.pump()
        self.wake()

    def _fail(self) -> None:
        logger().exception("the connection failed")
        self.write_failed()

    # For the attendant and the flusher

    def flush_now(self) -> None:
        try:
            if self.channel.more:
                self.wake()  # whoever waits takes the next turn
            self._flush()
        except Exception:  # the boundary, as above
            self._fail()

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
        self._take_turn()
        self._keep_deadline()

    def _keep_deadline(self) -> None:
        due = self._connection.deadline()
        if due is not None:
            self._be_called_at(due)

    def _be_called_at(self, due: float) -> None:
        if due < self._deadline_kept:
            self._attendant.forget_deadline(self._deadline_number)
            self._deadline_kept = due
            self._deadline_number = self._attendant.keep_deadline(self, due)

    # Writing

    def _flush(self) -> None:
        self.flush_due = False
        if self._unsent:
            return  # the stream is at it
        connection = self._connection
        while connection.pending_output:
            data = connection.piece_to_send()
            try:
                sent = self._send_now(data)
            except OSError:
                self.write_failed()
                return
            if sent < len(data):
                self._unsent = len(data) - sent
                self._stream.write_rest(data, sent)
                connection.unsent(self._unsent, trio.current_time())
                break
        if connection.state is not _OPEN:
            self._approach_end()
        if connection.deadline_moved:
            self._keep_deadline()

    def _approach_end(self) -> None:
        if self._connection.half_close and not self._sending_shut and not self._connection.backlog:
            self._sending_shut = True
            closed = self._connection.closed
            self._stream.shut_sending(clean=closed is not None and closed.clean)

    async def close(self) -> None:
        """Close the stream and have no more to do with the attendant."""
        self._flush()  # the goodbye of a cancelled handler, if the stream takes it
        self._ended = True
        if not self.channel.finished:
            self.write_failed()
        self._attendant.forget_deadline(self._deadline_number)
        await self._stream.close()
