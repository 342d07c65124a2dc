"""A connection with an inbox: pulls events as they come and keeps messages until they are read."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar, cast

from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import Connection, Message
from windsock.core.protocol.events import (
    Closed,
    HandshakeRequested,
    HttpRequested,
    Opened,
    Ping,
    Pong,
    Refused,
    RequestRefused,
    Status,
)
from windsock.core.protocol.fast_lane import MESSAGE_OVERHEAD
from windsock.core.protocol.state import State

from .link import Link, SupportsServing, SupportsWebSocket

# How much a peer may send ahead of the application's decision before it is no longer read.
_MAX_EARLY_DATA: Final = 64 * 1024

# How much a task that waits gets at a time, in lengths of messages with their overhead, where the
# link takes turns: some hundred small messages, so that no peer keeps the others waiting for long.
_TURN: Final = 8 * 1024
# Large messages are few, and each is worth the scheduler's pass: a turn has at least so many.
_FEW: Final = 8

_DECIDING: Final = State.DECIDING
_RESPONDING: Final = State.RESPONDING
_OPEN: Final = State.OPEN
_CLOSED: Final = State.CLOSED
_ENDING: Final = frozenset({State.DRAINING, State.CLOSED})

ConnectionT = TypeVar("ConnectionT", bound=SupportsWebSocket)


class Channel(Generic[ConnectionT]):
    """Sans-IO like the connection it wraps. Its transport calls `receive_data` whenever something
    came in, and reads on only while `wants_data`."""

    __slots__ = (
        "_early_data",
        "_high_water",
        "_inbox_size",
        "_low_water",
        "_own",
        "config",
        "connection",
        "full",
        "greeting",
        "inbox",
        "latency",
        "more",
        "takes_turns",
        "waiting",
    )

    def __init__(self, connection: ConnectionT, config: Config) -> None:
        self.connection = connection
        # The same, if it is ours: where this is compiled its methods need not be looked up.
        self._own: Connection | None = connection if isinstance(connection, Connection) else None
        self.config = config
        self.inbox: deque[str | bytes] = deque()
        """Complete messages that were not read yet."""
        self.greeting: (
            HandshakeRequested | HttpRequested | RequestRefused | Opened | Refused | None
        ) = None
        """What the opening handshake came to: the request, or the answer to ours."""
        self.latency: float | None = None
        """Seconds between the last answered Ping and its Pong."""
        self.waiting = 0
        """How many tasks wait for what comes next."""
        self._inbox_size = 0
        self._high_water = config.inbox_high_water
        self._low_water = config.inbox_high_water // 2
        self.full = False
        """Whether reading is paused because too much is unread."""
        self.takes_turns = False
        """Set by a link that calls `pump` again in the scheduler's next pass if there is `more`."""
        self.more = False
        """Whether a turn is over and the rest waits for the next one."""
        self._early_data = 0

    def configure(self, config: Config) -> None:
        """Have other limits for a WebSocket that is not accepted yet."""
        cast(SupportsServing, self.connection).configure(config)
        self.config = config
        self._high_water = config.inbox_high_water
        self._low_water = config.inbox_high_water // 2

    @property
    def closed(self) -> Closed | None:
        """The outcome, once it is known."""
        return self.connection.closed

    @property
    def ended(self) -> bool:
        """Whether nothing more can be sent or received, though TCP may live on for a moment."""
        connection = self.connection
        return connection.state is not _OPEN and (
            connection.closed is not None or connection.state in _ENDING
        )

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do but to close the socket."""
        return self.connection.state is _CLOSED

    @property
    def wants_data(self) -> bool:
        """Whether the transport should read from the peer."""
        state = self.connection.state
        if state is _OPEN:
            return not (self.full or self.more)
        if state is _DECIDING or state is _RESPONDING:
            return self._early_data < _MAX_EARLY_DATA
        return state is not _CLOSED  # from the end on, what comes is read and discarded

    def receive_data(self, data: bytes | None, now: float) -> bool:
        """What the peer sent, b"" or None for the end of its stream.

        Returns whether it was nothing but messages, with room for more: whoever waits is to be
        woken, and that is all.
        """
        connection = self.connection
        state = connection.state
        if state is _OPEN and data:
            room = self._high_water - self._inbox_size
            if room > _TURN and self.waiting and self.takes_turns:
                room = _TURN
            own = self._own
            if own is not None:
                used, alone = own.receive_messages(data, now, self.inbox, room)
            else:
                used, alone = connection.receive_messages(data, now, self.inbox, room)
            self._inbox_size += used
            if alone and used < room and not self.more:
                return True
        else:
            if data and (state is _DECIDING or state is _RESPONDING):
                self._early_data += len(data)
            connection.receive_data(data, now)
        self.pump()
        return False

    def pump(self) -> bool:
        """Pull what the connection has, until it needs data, a decision, or a reader.

        Returns whether there was anything.
        """
        take_messages, next_event = self.connection.take_messages, self.connection.next_event
        inbox = self.inbox
        high_water = limit = self._high_water
        if self.waiting and self.takes_turns:
            limit = min(limit, self._inbox_size + _TURN)
        self.more = False
        news = False
        while self._inbox_size < limit or self.connection.state is not _OPEN:
            used = take_messages(inbox, limit - self._inbox_size)
            if used:
                self._inbox_size += used
                news = True
                if self._inbox_size >= limit and len(inbox) < _FEW:
                    limit = min(high_water, self._inbox_size + _TURN)
                continue
            # What was received before the end can still be answered before it.
            event = next_event(hold_end=bool(inbox) or not self.waiting)
            if isinstance(event, (str, bytes)):
                inbox.append(event)
                self._inbox_size += len(event) + MESSAGE_OVERHEAD
            elif isinstance(event, Status):
                return news
            elif isinstance(event, Pong):
                if event.latency is not None:
                    self.latency = event.latency
            elif not isinstance(event, (Closed, Ping)):
                self.greeting = event
            news = True
        if self._inbox_size < high_water:
            self.more = True
        elif not self.full:
            self.full = True
            self.connection.pause_reading()
        return news

    def send(self, data: Message) -> int:
        """Have the connection send a message; returns and raises what it does."""
        own = self._own
        return self.connection.send(data) if own is None else own.send(data)

    def put(self, message: str | bytes) -> None:
        """A message that somebody else has taken from the connection."""
        self.inbox.append(message)
        self._inbox_size += len(message) + MESSAGE_OVERHEAD
        if self._inbox_size >= self._high_water:
            self.pump()

    def take(self) -> str | bytes:
        """The oldest message. While the inbox is `full`, `make_room` is to be called after it."""
        message = self.inbox.popleft()
        self._inbox_size -= len(message) + MESSAGE_OVERHEAD
        return message

    def make_room(self, now: float) -> bool:
        """Look for room in the inbox; whether the transport is to read again because of it."""
        if self._inbox_size > self._low_water:
            return False
        self.full = False
        self.connection.resume_reading(now)
        self.pump()
        return not self.full

    def discard(self, now: float) -> None:
        """Forget the unread messages."""
        self.inbox.clear()
        self._inbox_size = 0
        if self.full:
            self.make_room(now)

    def settle(self, link: Link) -> None:
        """After a command: see what came of it, write it, read on, and tell who waits."""
        self.pump()
        link.flush_soon()
        if self.wants_data:
            link.resume_reading()  # what came early, or was unread, may have stopped it
        link.wake()


ClientChannel = Channel[ClientConnection]
