"""A channel in an ASGI host."""

from __future__ import annotations

import contextlib
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar, cast

import anyio
import anyio.lowlevel

from windsock.core import Disconnected, State
from windsock.core.app.channel import Channel
from windsock.core.app.link import SupportsServing
from windsock.core.app.session import going_away
from windsock.core.app.steps import in_steps
from windsock.core.protocol.connection import Message

from ._connection import HostedConnection
from ._loop import EventLoop
from ._scope import AsgiEvent, Receive, Send

T = TypeVar("T")

_OPEN: Final = State.OPEN

# What it is to be told by a host that raises instead.
GONE: Final[AsgiEvent] = {"type": "websocket.disconnect", "code": 1006}

# How long the host may take to say why it refuses to send, and to say goodbye for a handler that
# was cancelled, in seconds.
_LAST_WORD: Final = 1.0

# Sends in a row that may not have suspended the task: a host does not suspend as long as it has
# room, nor once the peer has gone.
_MAX_SENDS_IN_A_ROW: Final = 64

# What hosts raise from `send` once the peer has gone or they have closed the WebSocket themselves:
# OSError by the specification, version 2.4; RuntimeError is uvicorn's after a close of its own.
_REFUSALS: Final = (OSError, RuntimeError)


class AsgiLink(ABC):
    """Moves events between an ASGI host and a channel; implements `Link`.

    The task that waits for something awaits the host's `receive` itself. Where several wait, one
    does and tells the others. Where none does for a while, or what was to be sent is left behind,
    an attendant is started, which does what is to be done and goes again.
    """

    threaded = False
    mutex: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    cancelled: tuple[type[Exception], ...] = ()

    __slots__ = (
        "_attendance",
        "_attended",
        "_channel",
        "_connection",
        "_interrupted",
        "_looks",
        "_loop",
        "_news",
        "_receive",
        "_refusal",
        "_send",
        "_sending",
        "_sends_in_a_row",
        "_start",
        "_waiting",
        "capabilities",
        "checkpoints",
        "host_error",
        "reading",
    )

    def __init__(
        self,
        loop: EventLoop,
        connection: HostedConnection,
        channel: Channel[SupportsServing],
        receive: Receive,
        send: Send,
    ) -> None:
        self.capabilities = connection.capabilities
        self.checkpoints = loop.checkpoints
        self._loop = loop
        self._connection = connection
        self._channel = channel
        self._receive = receive
        self._send = send
        self.reading = False
        """Whether a task is inside the host's `receive`."""
        self._interrupted = False
        self._sending = False
        self._sends_in_a_row = 0
        self._refusal: Exception | None = None
        self.host_error: Exception | None = None
        """What the host raised from `send` that says nothing about the peer: the host's to see."""
        self._news: anyio.Event | None = None
        self._waiting = 0
        # How often `look` has seen nobody read since the last read; None: nobody looks.
        self._looks: int | None = 0
        # Starts the attendant; None where there may be none.
        self._start: Callable[[], object] | None = None
        self._attended = False
        self._attendance: anyio.CancelScope | None = None

    # Link

    async def checkpoint(self) -> None:
        await self._loop.checkpoint()

    def now(self) -> float:
        return self._loop.now()

    async def to_thread(self, function: Callable[[], T]) -> T:
        return await self._loop.to_thread(function)

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        return self._loop.from_thread(function, timeout)

    async def wait(self) -> None:
        connection = self._connection
        if connection.backlog and not self._sending:
            await self._flush()
        elif self.reading or not connection.readable:
            await self._wait_for_news()
        else:
            due = None if connection.state is _OPEN else connection.deadline()
            message = await (self.read() if due is None else self._read_until(due))
            if message is not None:
                self._channel.put(message)

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
                self._stop_sending()
            self._sends_in_a_row += 1
        if self._sends_in_a_row >= _MAX_SENDS_IN_A_ROW or self._refusal is not None:
            await self._look_up()

    def flush_soon(self) -> None:
        # Who has given the connection output drains it, or waits, or calls `wake`: nearly always.
        if self._looks is None:
            self._have_watched()

    def wake(self) -> None:
        self._interrupt()
        self._tell()
        if self._connection.has_output:
            self._flush_without_the_application()

    def resume_reading(self) -> None:
        if self._looks is None:
            self._have_watched()

    # What nearly always happens

    def begin_read(self) -> Any:
        """What to await for the next event of the host's; `end_read` is to follow."""
        try:
            event = self._next_event()
        except Exception as error:  # by a host whose `receive` is no coroutine function
            event = _raising(error)
        self.reading = True
        return event

    def begin_read_for_user(self) -> Any:
        """As `begin_read`; NotImplemented where something must come first.

        That is, somebody reads already, or there is a message in the inbox, or output, or no open
        WebSocket.
        """
        connection = self._connection
        if (
            self.reading
            or connection.state is not _OPEN
            or connection.backlog
            or self._channel.inbox
        ):
            return NotImplemented
        return self.begin_read()

    def end_read(self, event: AsgiEvent | None, error: BaseException | None) -> Any:
        """The message that was read; NotImplemented where it was none, and the channel has it."""
        if (
            event is None
            or error is not None
            or self._interrupted
            or self._looks != 0
            or self._news is not None
        ):
            return self._end_unusual_read(event, error)
        message = self._connection.take_message(event)
        if message is None:
            return self._end_unusual_read(event, None)
        self.reading = False
        return message

    def _end_unusual_read(self, event: AsgiEvent | None, error: BaseException | None) -> Any:
        self.reading = False
        if self._was_interrupted(error):
            error = None
        elif isinstance(error, OSError):
            event, error = GONE, None
        if self._looks != 0:
            self._have_watched()
        if event is None or self._news is not None:
            self._tell()  # there is news, or another task that waits must read instead
        if error is not None:
            raise error
        if event is None:
            self._look_at_clock()
            return NotImplemented
        message = self._connection.take_message(event)
        if message is not None:
            return message
        self._connection.receive_event(event)
        self._channel.pump()
        return NotImplemented

    def _look_at_clock(self) -> None:
        self._connection.handle_deadline(self.now())
        self._channel.pump()

    def begin_send(self, message: Message) -> Any:
        """What to await to send a message past the output; `end_send` is to follow.

        NotImplemented where something must come first. Raises as `WebSocket.send`.
        """
        connection = self._connection
        if connection.backlog or self._refusal is not None:
            return NotImplemented
        event = connection.hand_over(message)
        self._sending = True
        try:
            return self._put(event)
        except Exception as error:  # by a host whose `send` is no coroutine function
            return _raising(error)

    def end_send(self, error: BaseException | None) -> Any:
        """The host has the message, or refuses it: None, or what is to be awaited besides."""
        self._connection.output_sent()
        self._sending = False
        if self._news is not None or self._connection.backlog:
            self._stop_sending()
        self._sends_in_a_row += 1
        if error is None:
            return self._look_up() if self._sends_in_a_row >= _MAX_SENDS_IN_A_ROW else None
        if isinstance(error, _REFUSALS):
            self._refusal = error
            return self._look_up()
        if isinstance(error, Exception):
            self.host_error = error
        raise error

    async def send_behind(self, message: Message) -> None:
        """Send a message after what waits already."""
        await self.checkpoint()
        self._connection.send(message)
        await self.drain()

    def read(self) -> Awaitable[Any]:
        """The next event of the host's: a message is returned, all else goes to the channel."""
        return cast("Awaitable[Any]", _reading(self))

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

    @abstractmethod
    async def _read_until(self, deadline: float) -> Any:
        """As `read`; None also once the clock has come to `deadline`."""

    @abstractmethod
    def _next_event(self) -> Awaitable[AsgiEvent | None]:
        """What awaits the host's `receive`; None stands for an interruption."""

    @abstractmethod
    def note_reader(self) -> None:
        """The host has no event yet: note which task it is that waits for one."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Have the task that is inside `read`, if any, come out of it soon."""

    @abstractmethod
    def _was_interrupted(self, error: BaseException | None) -> bool:
        """Whether `error` is what the task that has read came out with because of that."""

    # Writing

    @abstractmethod
    def _put(self, event: AsgiEvent) -> Awaitable[None]:
        """What gives the host an event, unless the task has been cancelled already."""

    async def _flush(self) -> None:
        await self.checkpoint()
        with contextlib.suppress(Disconnected):  # whoever sends next is told
            await self.drain()

    async def _send_shielded(self, event: AsgiEvent) -> None:
        """What opens or ends a connection is sent even if the task is cancelled: a host that lost
        it half-way would go on with a connection that the peer knows nothing of."""
        with anyio.move_on_after(self._channel.config.close_timeout, shield=True):
            await self._send(event)

    def _stop_sending(self) -> None:
        self._sending = False
        self._tell()
        if self._connection.has_output and self._refusal is self.host_error is None:
            self._flush_without_the_application()  # who was to send it may have been cancelled

    async def _look_up(self) -> None:
        """After some sends, or one that was refused: let others run, or hear of the end."""
        self._sends_in_a_row = 0
        if self._refusal is None:
            await anyio.lowlevel.checkpoint()
        else:
            await self._hear_why()
            raise self._connection.disconnected() from self._refusal

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

    def employ(self, tasks: Any) -> None:
        """From now on there may be an attendant, which is started in `tasks`."""
        context = contextvars.copy_context()
        start = self._loop.start
        self._start = lambda: context.run(start, tasks, self._attend)
        self._looks = None

    def dismiss(self) -> None:
        """The application has ended: the attendant goes, too."""
        self._start = None
        self._looks = 0
        if self._attendance is not None:
            self._attendance.cancel()

    def _have_watched(self) -> None:
        if self._looks is None:
            self._loop.watch.add(self)
        self._looks = 0

    def look(self) -> bool:
        if self._start is None:
            return False
        self._flush_if_left()
        connection = self._connection
        if self.reading or not connection.readable:
            self._looks = None
            return False
        self._looks = (self._looks or 0) + 1
        if self._absent:
            self._start_attendant()
        return True

    @property
    def _absent(self) -> bool:
        return self._looks is not None and self._looks > 1

    def _flush_without_the_application(self) -> None:
        # Nearly always the application sends it itself, before this.
        if self._start is not None:
            self._loop.call_soon(self._flush_if_left)

    def _flush_if_left(self) -> None:
        if self._connection.has_output and not self._sending:
            self._start_attendant()

    def _start_attendant(self) -> None:
        if self._attended:
            self._interrupt()  # to see what else there is to do
        elif self._start is not None:
            self._attended = True
            self._start()

    async def _attend(self) -> None:
        """Do what must be done while no task of the application's is waiting."""
        connection = self._connection
        absent = self._absent
        with anyio.CancelScope() as self._attendance:
            while self._start is not None:
                if connection.has_output and not self._sending:
                    await self._flush()
                elif absent and connection.readable and not (self.reading or self._waiting):
                    await self.wait()
                else:
                    break
        self._attendance = None
        self._attended = False

    async def end(self) -> None:
        """Say goodbye where the application was cancelled before it could."""
        if self._channel.finished:
            return
        going_away(self._channel, self)
        with anyio.move_on_after(_LAST_WORD, shield=True):
            while self._connection.has_output and self._refusal is None:
                await self._flush()


async def _raising(error: Exception) -> Any:
    raise error


def _begin(link: AsgiLink, _: object) -> Any:
    return link.begin_read()


def _note(link: AsgiLink, _: object) -> None:
    link.note_reader()


def _end(link: AsgiLink, _: object, event: AsgiEvent | None, error: BaseException | None) -> Any:
    return link.end_read(event, error)


@in_steps(_begin, _note, _end)
async def _reading(_: AsgiLink) -> None:
    """What was read was no message."""
