"""A WebSocket connection of either role: bytes and time in, events and bytes out. No I/O.

How to drive one, whatever the transport:

1. Give it what the peer sent: `receive_data`, with b"" at the end of the stream.
2. Pull `next_event` until it returns NEED_DATA or PAUSED; react with commands.
3. Write `data_to_send`, shut down the sending side if `half_close`, and say with `unsent` how much
   of it the kernel has not taken.
4. Call `handle_deadline` no later than at `deadline`.
5. Close the socket when `state` is CLOSED.

Times are seconds on any monotonic clock of the caller's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from . import close_codes
from .accelerator import decode_message
from .checked import Checked
from .close_codes import check_close
from .config import Config
from .deflate import DeflateParameters
from .errors import Disconnected, LocalProtocolError, RemoteProtocolError
from .events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Event,
    Ping,
    Pong,
    Status,
)
from .fast_lane import MAX_SMALL, MESSAGE_OVERHEAD
from .frames import CloseFrame, FrameEngine, FrameEvent, PongFrame, Role, Violation
from .keepalive import Due, Keepalive
from .output import LARGE, Output
from .state import Input, State, Table, transition

# How long an application may take to answer what came before the peer's end, in seconds: it must
# not be kept from it for longer than a moment.
_MAX_HOLD: Final = 0.25

_NEVER: Final = float("inf")

# Where this is compiled, looking up what was imported, or is a method, takes longer.
_decode_message: Final = decode_message
_append: Final = deque[Any].append

Message = str | bytes | bytearray | memoryview

# Looking a member up in its class takes longer.
_DECIDING: Final = State.DECIDING
_RESPONDING: Final = State.RESPONDING
_OPEN: Final = State.OPEN
_CLOSING: Final = State.CLOSING
_DRAINING: Final = State.DRAINING
_CLOSED: Final = State.CLOSED
_SERVER: Final = Role.SERVER
_CLOSING_OR_AFTER: Final = frozenset({State.CLOSING, State.DRAINING, State.CLOSED})
_AWAITING: Final = frozenset({State.AWAITING_REQUEST, State.AWAITING_RESPONSE})


class Connection(Output, ABC):
    """What both roles share: everything from the moment the WebSocket is open."""

    __slots__ = (
        "_at_rest",
        "_closing_since",
        "_config",
        "_decode_messages",
        "_encode_message",
        "_eof",
        "_events",
        "_frames",
        "_held",
        "_held_since",
        "_keepalive",
        "_leaves_payload",
        "_message_since",
        "_now",
        "_opened_at",
        "_owed_pong",
        "_reading_paused",
        "_role",
        "_sent_close",
        "_small_frame",
        "_table",
        "_violation",
        "closed",
        "deadline_moved",
        "state",
        "subprotocol",
    )

    def __init__(self, role: Role, table: Table, state: State, config: Config, now: float) -> None:
        super().__init__()
        self._role = role
        self._table = table
        self._config = config
        self.state = state
        """Where the connection stands."""
        self.closed: Closed | None = None
        """The outcome, once it is known."""
        self.subprotocol: str | None = None
        """The subprotocol that was agreed on (RFC 6455 §1.9)."""
        self.deadline_moved = True
        """Whether `deadline` may be nearer than when it was last asked for."""
        self._events: list[Event] = []  # no deque: an empty one takes more than half a KiB
        self._frames: FrameEngine | None = None
        self._at_rest = False  # whether the next byte begins a frame, and nothing else is going on
        self._decode_messages: Callable[
            [bytes | bytearray, int, bool, int, deque[Any], int], tuple[int, int]
        ]
        self._encode_message: Callable[[str | bytes], bytes]
        self._small_frame: int  # the longest that `_decode_message` is for
        self._leaves_payload = False
        self._keepalive = Keepalive(config.ping_interval, config.ping_timeout, now)
        self._now = self._opened_at = now
        self._eof = False
        self._reading_paused = False
        self._message_since: float | None = None
        self._held: CloseFrame | Violation | None = None
        self._held_since: float | None = None
        self._violation: Violation | None = None
        self._closing_since: float | None = None
        self._sent_close: CloseFrame | None = None
        self._owed_pong: bytes | None = None

    # Input

    def receive_data(self, data: Checked[bytes | None], now: float) -> None:
        """What the peer sent; b"" or None is the end of its stream.

        Never raises on what a peer can send: what is wrong with it comes out as events.
        """
        self._now = now
        self._at_rest = False
        if self._eof:
            return
        if not data:
            self._eof = True
            self._feed_handshake(b"")
            return
        if self._keepalive.received(now):
            self.deadline_moved = True
        if self._frames is not None:
            if self.state is _OPEN or self.state is _CLOSING:
                self._frames.receive_data(data)
        else:
            self._feed_handshake(data)

    def room(self) -> memoryview | None:
        """Where the next bytes can be received without a copy: the rest of a large message.

        None for anywhere, as nearly always. It is to be released before `received` is called.
        """
        frames = self._frames
        return None if frames is None or not frames.message_in_progress else frames.room()

    def received(self, count: int, now: float) -> None:
        """`receive_data` for so many bytes, not 0, that are in the last `room`."""
        self._now = now
        self._at_rest = False
        if self._keepalive.received(now):
            self.deadline_moved = True
        if self._frames is not None and (self.state is _OPEN or self.state is _CLOSING):
            self._frames.received(count)

    def next_event(self, *, hold_end: bool = False) -> Event | Status:
        """The next event; the state advances as it is returned.

        NEED_DATA: everything has been seen. PAUSED: the application must decide first.

        Args:
            hold_end: there are messages that were not answered yet, so the end of an open
                WebSocket is to wait: neither the peer's Close frame nor a violation is seen
                before the next call without it, or `_MAX_HOLD` seconds have passed.
        """
        while True:
            if self._events:
                return self._events.pop(0)
            if self.state is _OPEN or self.state is _CLOSING:
                assert self._frames is not None
                found = self._frames.next_event() if self._held is None else self._held
                self._held = None
                if hold_end and self.state is _OPEN and isinstance(found, (CloseFrame, Violation)):
                    self._hold(found)
                    return NEED_DATA
                if found is not None:
                    event = self._take_frame_event(found)
                    if event is not None:
                        return event
                    continue
                self._note_message_progress()
                self._at_rest = (
                    self.state is _OPEN
                    and not self._eof
                    and self._held is None
                    and self._frames.at_rest
                    and not self._keepalive.awaits
                )
            elif self.state in _AWAITING and self._advance_handshake():
                continue
            if self.state is _RESPONDING or (self.state is _DECIDING and not self._eof):
                return PAUSED
            if not self._eof or self.state is _CLOSED:
                return NEED_DATA
            if self.state is _DRAINING and self.backlog:
                return NEED_DATA  # the peer may still read what we sent last
            self._end_of_stream()

    @property
    def holds_end(self) -> bool:
        """Whether `next_event` has held back the end and has it when it is asked without."""
        return self._held is not None

    def take_messages(self, messages: deque[Any], room: int) -> int:
        """Append complete messages to `messages`, in place of as many calls of `next_event`.

        Args:
            room: how much may be appended, in lengths of messages plus `MESSAGE_OVERHEAD` each;
                the last one may exceed it.

        Returns:
            How much it was. 0 means to ask `next_event`, which may still have a message.
        """
        if self.state is not _OPEN or self._events or self._held is not None:
            return 0
        assert self._frames is not None
        used = self._frames.take_messages(messages, room)
        if used:
            self._message_since = None
        return used

    def receive_messages(
        self, data: bytes, now: float, messages: deque[Any], room: int
    ) -> tuple[int, bool]:
        """`receive_data` and `take_messages` in one: the short cut for what is nearly always so.

        Returns:
            How much room the messages took, and whether that was all: nothing else was received,
            nothing is left to be seen by `next_event`, and `deadline` has not come nearer.
        """
        if not self._at_rest or not data:
            self.receive_data(data, now)
            return 0, False
        self._now = self._keepalive.last_received = now
        masked = self._role is _SERVER
        if len(data) <= self._small_frame and room > 0:
            message = _decode_message(data, masked)
            if message is not None:
                _append(messages, message)
                return len(message) + MESSAGE_OVERHEAD, True
        position, used = self._decode_messages(
            data, 0, masked, self._config.max_message_size, messages, room
        )
        if position == len(data):
            return used, True
        self.receive_data(data[position:], now)
        return used, False

    def _take_frame_event(self, found: FrameEvent) -> Event | None:
        if isinstance(found, (str, bytes)):
            self._message_since = None
            # Messages that cross our Close frame are discarded (§1.4: no more data is processed).
            return found if self.state is _OPEN else None
        if isinstance(found, Ping):
            if self.state is not _OPEN:
                return None
            self._answer_ping(found.payload)
            return found
        if isinstance(found, PongFrame):
            return Pong(found.payload, self._keepalive.pong(found.payload, self._now))
        if isinstance(found, CloseFrame):
            self._receive_close(found)
        else:
            self._violation = found
            self._fail(Input.VIOLATION, found.code, found.reason)
        return None

    def _hold(self, end: CloseFrame | Violation) -> None:
        if self._held_since is None:
            self._held_since = self._now
            self.deadline_moved = True
        self._held = end

    def _release(self) -> None:
        """See the end that was held, now."""
        if self._held is not None:
            held, self._held = self._held, None
            self._take_frame_event(held)

    def _answer_ping(self, payload: bytes) -> None:
        # §5.5.3: while nothing can be written, only the newest Ping is owed an answer.
        if self._unsent or self.pending_output > self._config.write_high_water:
            self._owed_pong = payload
        else:
            assert self._frames is not None
            self._queue(self._frames.encode_pong(payload))

    def _receive_close(self, frame: CloseFrame) -> None:
        if self.state is _OPEN:
            assert self._frames is not None
            self._advance(Input.CLOSE_FRAME)
            self._queue(self._frames.encode_close(frame.code, frame.reason))
            self._closing_since = self._now
            self._finish(frame.code, frame.reason, clean=True, by_peer=True)
        else:
            self._advance(Input.CLOSE_FRAME)
            assert self._sent_close is not None
            ours = self._sent_close
            self._finish(ours.code, ours.reason, clean=True, by_peer=False)

    def _fail(self, cause: Input, code: int, reason: str) -> None:
        """_Fail the WebSocket Connection_ (§7.1.7): say why, then wait for the peer to go."""
        was_open = self.state is _OPEN
        self._advance(cause)
        if was_open:
            assert self._frames is not None
            self._queue(self._frames.encode_close(code, reason))
            self._closing_since = self._now
        self._finish(code, reason, clean=False, by_peer=False)

    def _end_of_stream(self) -> None:
        by_peer = self.state is not _CLOSING
        self._advance(Input.EOF)
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=by_peer)

    def _note_message_progress(self) -> None:
        assert self._frames is not None
        if not self._frames.message_in_progress:
            self._message_since = None
        elif self._message_since is None:
            self._message_since = self._now
            self.deadline_moved = True

    # Commands

    def send(self, message: Message) -> int:
        """Send a complete message: text from a str, binary from anything bytes-like.

        Returns:
            The `backlog` with it, in bytes.

        Raises:
            TypeError: `message` is neither.
            LocalProtocolError: the WebSocket is not open yet.
            Disconnected: it is no longer open.
        """
        if self.state is not _OPEN:
            self._refuse_to_send(Input.SEND)
        # One after the other: of a str no more is asked than that.
        if not isinstance(message, str) and not isinstance(message, bytes):
            if not isinstance(message, (bytearray, memoryview)):
                raise TypeError(f"a message is str or bytes-like, not {type(message).__name__}")
            message = bytes(message)
        try:
            if self._leaves_payload and len(message) >= LARGE:
                return self._queue_large(message)
            encode = self._encode_message
            data = encode(message)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"text that is not encodable as UTF-8: {error}") from None
        pending = self.pending_output
        if pending:
            self._more_out.append(data)
        else:
            self._out = data
        self.pending_output = pending = pending + len(data)
        return pending + self._unsent

    def ping(self, payload: Checked[bytes | None], now: float) -> bytes:
        """Send a Ping; returns its payload, which is made up where None is given.

        Raises:
            LocalProtocolError: not open yet; over 125 bytes (RFC 6455 §5.5); the same payload, or
                too many Pings, are unanswered.
            Disconnected: the WebSocket is no longer open.
        """
        if self.state is not _OPEN:
            self._refuse_to_send(Input.PING)
        assert self._frames is not None
        if payload is not None:
            check_control_payload(payload)
        payload = self._keepalive.user_ping(payload, now)
        self._queue(self._frames.encode_ping(payload))
        return payload

    def awaits_pong(self, payload: Checked[bytes]) -> bool:
        """Whether the Ping with this payload still awaits its own Pong, or a later one."""
        return self._keepalive.unanswered(payload)

    def pong(self, payload: Checked[bytes]) -> None:
        """Send an unsolicited Pong (RFC 6455 §5.5.3). Pings are answered without it.

        Raises:
            LocalProtocolError: not open yet, or over 125 bytes.
            Disconnected: the WebSocket is no longer open.
        """
        if self.state is not _OPEN:
            self._refuse_to_send(Input.PONG)
        assert self._frames is not None
        check_control_payload(payload)
        self._queue(self._frames.encode_pong(payload))

    def close(self, code: Checked[int], reason: Checked[str], now: float) -> None:
        """Begin the closing handshake; does nothing where the end has begun already.

        A server that has not decided yet rejects with 403 instead; a client that has no answer
        yet ends the connection.

        Raises:
            LocalProtocolError: `code` or `reason` cannot be in a Close frame.
        """
        check_close(code, reason)
        self._now = now
        before = self.state
        if before is _OPEN:
            assert self._frames is not None
            self._advance(Input.CLOSE)
            self._queue(self._frames.encode_close(code, reason))
            self._closing_since = now
            self._sent_close = CloseFrame(code, reason)
        elif before in _CLOSING_OR_AFTER:
            self._advance(Input.CLOSE)
        else:
            self._close_before_open()

    def _close_before_open(self) -> None:
        self._advance(Input.CLOSE)
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def disconnected(self) -> Disconnected:
        """The error that tells a user of this connection that it has ended or is ending.

        Its `__cause__` is a RemoteProtocolError where the peer broke the protocol.
        """
        if self.closed is not None:
            error = Disconnected(self.closed.code, self.closed.reason, self.closed.clean)
            if self._violation is not None:
                error.__cause__ = RemoteProtocolError(self._violation.reason, self._violation.code)
            return error
        if self._sent_close is not None:
            return Disconnected(self._sent_close.code, self._sent_close.reason, False)
        return Disconnected(close_codes.ABNORMAL, "", False)

    def _refuse_to_send(self, command: Input) -> None:
        if self.closed is not None or self._sent_close is not None:
            raise self.disconnected()
        transition(self._table, self.state, command)

    # Output: see also `Output`

    @property
    def half_close(self) -> bool:
        """Whether the sending side is to be shut down once everything is written.

        A client leaves it to the server to end TCP after a clean close (RFC 6455 §7.1.1).
        """
        if self.state is not _DRAINING:
            return False
        return self._role is Role.SERVER or (self.closed is not None and not self.closed.clean)

    def unsent(self, size: int, now: float) -> None:
        """How many bytes of what `data_to_send` gave the kernel has not taken yet.

        To be called after each write, when writing goes on, and before `handle_deadline`.
        """
        if size == 0 and self.state is _DRAINING and self._frames is None and self._unsent:
            self._closing_since = now  # an HTTP response may take longer than closing
            self.deadline_moved = True
        if self._note_unsent(size, now):
            self.deadline_moved = True
        if size == 0 and self._owed_pong is not None:
            if self.state is _OPEN:
                assert self._frames is not None
                self._queue(self._frames.encode_pong(self._owed_pong))
            self._owed_pong = None
        if self._eof and self.state is _DRAINING and not self.backlog:
            self._end_of_stream()

    def write_failed(self, now: float) -> None:
        """Writing has failed for good: nothing more is sent, and the connection has ended."""
        self._now = now
        self._release()
        by_peer = self.state is not _CLOSING
        self._advance(Input.WRITE_FAILED)
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=by_peer)
        self._drop_output()
        self._owed_pong = None

    # Time

    def pause_reading(self) -> None:
        """The caller stops reading for now: silence is not the peer's fault."""
        self._reading_paused = True

    def resume_reading(self, now: float) -> None:
        """The caller reads again."""
        if self._reading_paused:
            self._reading_paused = False
            self._keepalive.received(now)
            self.deadline_moved = True
            if self._message_since is not None:
                self._message_since = now

    def deadline(self) -> float | None:
        """When `handle_deadline` must be called at the latest, None for never.

        It moves: ask again after every call of anything else.
        """
        self.deadline_moved = False
        due = self._due()
        return None if due == _NEVER else due

    def _due(self) -> float:
        state = self.state
        due = _NEVER
        if state is _CLOSED:
            return due
        if state is _OPEN:
            due = self._keepalive.deadline()
            if self._held_since is not None:
                due = min(due, self._held_since + _MAX_HOLD)
            if self._message_since is not None and not self._reading_paused:
                due = min(due, self._message_since + self._config.message_timeout)
        elif state is _CLOSING or state is _DRAINING:
            # An HTTP response that is still being read has the write deadline alone.
            if self._frames is not None or self._unsent_since is None:
                assert self._closing_since is not None
                due = self._closing_since + self._config.close_timeout
        elif state is not _RESPONDING:
            due = self._opened_at + self._config.open_timeout
        if self._unsent_since is not None:
            due = min(due, self._unsent_since + self._config.write_timeout)
        return due

    def handle_deadline(self, now: float) -> None:
        """Do what is due at `now`; nothing if it is too early."""
        self._now = now
        if now < self._due():
            return
        if self._unsent_since is not None and now >= (
            self._unsent_since + self._config.write_timeout
        ):
            self.write_failed(now)
        elif self.state is _OPEN:
            self._handle_open_deadline(now)
        elif self.state in _CLOSING_OR_AFTER:
            self._advance(Input.TIMEOUT)
            self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)
        else:
            self._handshake_timed_out()

    def _handle_open_deadline(self, now: float) -> None:
        assert self._frames is not None
        due = self._keepalive.due(now)
        if self._held_since is not None and now >= self._held_since + _MAX_HOLD:
            self._release()
        elif due is Due.PING:
            self._at_rest = False  # whatever comes next answers it
            self._queue(self._frames.encode_ping(self._keepalive.keepalive_ping(now)))
        elif due is Due.FAIL and self._reading_paused:
            self._keepalive.received(now)  # an answer could not have been seen
        elif due is Due.FAIL:
            self._fail(Input.TIMEOUT, close_codes.INTERNAL_ERROR, "keepalive ping timeout")
        else:
            self._fail(Input.TIMEOUT, close_codes.POLICY_VIOLATION, "message took too long")

    # For the roles

    def _advance(self, given: Input) -> None:
        self.state = transition(self._table, self.state, given)
        self.deadline_moved = True
        self._at_rest = False

    def _finish(self, code: int, reason: str, *, clean: bool, by_peer: bool) -> None:
        if self.closed is None:
            self.closed = Closed(code, reason, clean, by_peer)
            self._events.append(self.closed)

    def _open(self, deflate: DeflateParameters | None, trailing: bytes) -> None:
        self._frames = FrameEngine(self._role, self._config, deflate)
        self._decode_messages = self._frames.decode_messages
        self._encode_message = self._frames.encode_message
        header = 6 if self._role is _SERVER else 2
        self._small_frame = header + min(MAX_SMALL, self._config.max_message_size)
        self._leaves_payload = self._frames.leaves_payload
        self._keepalive.received(self._now)
        if trailing:
            self._frames.receive_data(trailing)

    @abstractmethod
    def _feed_handshake(self, data: bytes) -> None:
        """What the peer sent before the WebSocket is open, b"" for the end of its stream."""

    @abstractmethod
    def _advance_handshake(self) -> bool:
        """Look for the next step of the handshake; whether there was one."""

    @abstractmethod
    def _handshake_timed_out(self) -> None:
        """There was none in time."""


def check_control_payload(payload: Checked[bytes]) -> None:
    """Raises LocalProtocolError for anything but what a Ping or Pong can carry (§5.5)."""
    if not isinstance(payload, bytes) or len(payload) > 125:
        raise LocalProtocolError("the payload of a Ping or Pong is bytes, at most 125 of them")
