"""A channel in an ASGI host."""

from __future__ import annotations

import contextlib
import math
from typing import Final

import anyio
import anyio.lowlevel

from windsock.core import Disconnected, State
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing
from windsock.core.app.session import going_away

from ._connection import HostedConnection
from ._loop import make_reader
from ._scope import AsgiEvent, Receive, Send

_OPEN: Final = State.OPEN

# How long a handler may be elsewhere before its connection is read without it, in seconds. A peer
# that has gone is noticed within this time; so short a time must not cost much either.
_PATIENCE: Final = 0.25

# How long the host may take to say why it refuses to send, and to say goodbye for a handler that
# was cancelled, in seconds.
_LAST_WORD: Final = 1.0

# Sends in a row that may not have suspended the task: a host does not suspend as long as it has
# room, nor once the peer has gone.
_MAX_SENDS_IN_A_ROW: Final = 64

# What hosts raise from `send` once the peer has gone or they have closed the WebSocket themselves:
# OSError by the specification, version 2.4; RuntimeError is uvicorn's after a close of its own.
_REFUSALS: Final = (OSError, RuntimeError)


class AsgiLink:
    """Moves events between an ASGI host and a channel; implements `Link`.

    The task that waits for something awaits the host's `receive` itself. Where several wait, one
    does and tells the others. Where none does, `attend` steps in.
    """

    threaded = False
    mutex: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    cancelled: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> None:
        self.capabilities = connection.capabilities
        self._connection = connection
        self._channel = channel
        self._send = send
        self._reader = make_reader(receive)
        self.now = self._reader.now
        self.checkpoint = self._reader.checkpoint
        self.checkpoints = self._reader.checkpoints
        self.to_thread = self._reader.to_thread
        self.from_thread = self._reader.from_thread
        self._reading = False
        self._reads = 0
        self._sending = False
        self._sends_in_a_row = 0
        self._refusal: Exception | None = None
        self.host_error: Exception | None = None
        """What the host raised from `send` that says nothing about the peer: the host's to see."""
        self._news: anyio.Event | None = None
        self._waiting = 0
        self._call: anyio.Event | None = None
        self._dormant = False
        self._attendance = anyio.CancelScope()

    # Link

    async def wait(self) -> None:
        connection = self._connection
        if connection.backlog and not self._sending:
            await self._flush()
            return
        if self._reading or not connection.readable:
            await self._wait_for_news()
            return
        event: AsgiEvent | None = None
        self._reading = True
        try:
            if connection.state is _OPEN:
                event = await self._reader.read()
            else:
                event = await self._read_until_deadline()
        except OSError:
            event = {"type": "websocket.disconnect", "code": 1006}
        finally:
            self._reading = False
            self._reads += 1
            if self._dormant:
                self._call_attendant()
            if event is None or self._news is not None:
                self._tell()  # there is news, or another task that waits must read instead
        if event is None:
            return
        message = connection.take_message(event)
        if message is not None:
            self._channel.put(message)
        else:
            connection.receive_event(event)
            self._channel.pump()

    async def drain(self) -> None:
        connection = self._connection
        while self._sending and connection.backlog and self._refusal is None:
            await self._wait_for_news()
        if connection.backlog and self._refusal is None:
            self._sending = True
            try:
                while (event := connection.next_output()) is not None:
                    try:
                        if event["type"] == "websocket.send":
                            await self._send(event)
                        else:
                            await self._send_shielded(event)
                    finally:
                        # A host whose `send` is cancelled has the event all the same, or drops
                        # it whole: it must not be given it twice.
                        connection.output_sent()
                    if connection.backlog:
                        # The next may be another task's: a cancelled one must not touch it.
                        await anyio.lowlevel.checkpoint_if_cancelled()
            except _REFUSALS as error:
                self._refusal = error
            except Exception as error:
                self.host_error = error
                raise
            finally:
                self._sending = False
                if self._news is not None:
                    self._tell()
            self._sends_in_a_row += 1
            if self._sends_in_a_row >= _MAX_SENDS_IN_A_ROW:
                self._sends_in_a_row = 0
                await anyio.lowlevel.checkpoint()
        if self._refusal is not None:
            await self._hear_why()
            raise connection.disconnected() from self._refusal

    def flush_soon(self) -> None:
        """Nothing: whoever has given the connection output drains it, waits, or calls `wake`."""

    def wake(self) -> None:
        self._reader.interrupt()
        self._tell()
        self._call_attendant()

    def resume_reading(self) -> None:
        self._call_attendant()

    # Waiting for one another

    async def _wait_for_news(self) -> None:
        news = self._news
        if news is None:
            news = self._news = anyio.Event()
        self._waiting += 1
        try:
            await news.wait()
        finally:
            self._waiting -= 1

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    # Reading

    async def _read_until_deadline(self) -> AsgiEvent | None:
        due = self._connection.deadline()
        event = None
        with anyio.CancelScope(deadline=math.inf if due is None else due):
            event = await self._reader.read()
        if event is None:
            self._connection.handle_deadline(self.now())
            self._channel.pump()
        return event

    # Writing

    async def _flush(self) -> None:
        await anyio.lowlevel.checkpoint_if_cancelled()
        with contextlib.suppress(Disconnected):  # whoever sends next is told
            await self.drain()

    async def _send_shielded(self, event: AsgiEvent) -> None:
        """What opens or ends a connection is sent even if the task is cancelled: a host that lost
        it half-way would go on with a connection that the peer knows nothing of."""
        with anyio.move_on_after(self._channel.config.close_timeout, shield=True):
            await self._send(event)

    async def _hear_why(self) -> None:
        """Read up to the event that says why the host takes no more, so that the code is known."""
        self._connection.drop_output()
        with anyio.move_on_after(_LAST_WORD):
            while self._connection.readable:
                await self.wait()
                self._connection.drop_output()
        if not self._channel.finished:
            self._connection.write_failed(self.now())
            self._channel.pump()
            self._tell()

    # The attendant

    async def attend(self) -> None:
        """Do what must be done while no task of the application's is waiting.

        It sleeps, without so much as a timer, while one is.
        """
        channel, connection = self._channel, self._connection
        with self._attendance:
            while not channel.finished:
                if connection.has_output and not self._sending:
                    await self._flush()
                elif self._reading or not connection.readable:
                    await self._sleep(math.inf)
                else:
                    reads = self._reads
                    await self._sleep(_PATIENCE)
                    if reads == self._reads:
                        await self._read_in_place_of_the_application()

    async def _read_in_place_of_the_application(self) -> None:
        connection = self._connection
        while connection.readable and not (self._reading or self._waiting or connection.has_output):
            await self.wait()

    async def _sleep(self, seconds: float) -> None:
        self._call = anyio.Event()
        self._dormant = seconds == math.inf
        try:
            with anyio.move_on_after(seconds):
                await self._call.wait()
        finally:
            self._call = None
            self._dormant = False

    def _call_attendant(self) -> None:
        if self._call is not None:
            self._call.set()

    def dismiss(self) -> None:
        """The application has ended: the attendant goes, too."""
        self._attendance.cancel()

    async def end(self) -> None:
        """Say goodbye where the application was cancelled before it could."""
        if self._channel.finished:
            return
        going_away(self._channel, self)
        with anyio.move_on_after(_LAST_WORD, shield=True):
            while self._connection.has_output and self._refusal is None:
                await self._flush()
