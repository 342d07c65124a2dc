"""A connection whose bytes belong to a host server: ASGI events in, ASGI events out. No I/O."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NoReturn

from windsock.core import (
    NEED_DATA,
    PAUSED,
    Closed,
    Config,
    Disconnected,
    Event,
    HandshakeRequested,
    HttpRequested,
    LocalProtocolError,
    RequestRefused,
    State,
    Status,
)
from windsock.core.protocol import close_codes
from windsock.core.protocol.checked import Checked
from windsock.core.protocol.connection import Message
from windsock.core.protocol.handshake import (
    Refusal,
    accept_fields,
    check_head,
    check_hosted_request,
    origin_allowed,
    response_fields,
)
from windsock.core.protocol.headers import HeaderFields
from windsock.core.protocol.state import SERVER, Input, transition

from ._scope import AsgiEvent, Scope, capabilities, is_valid_target, request_head, spec_version

# RFC 9110 §6.4.1: statuses of responses without content.
_WITHOUT_CONTENT: Final = frozenset({204, 304})

_MESSAGE_TOO_BIG: Final = 1009  # RFC 6455 §7.4.1

# Codes that hosts put into `websocket.disconnect` on their own account, not because a Close frame
# said so: they prove no closing handshake.
_MADE_BY_HOSTS: Final = frozenset({1002, 1005, 1006, 1007, 1009, 1011, 1012})

_OPEN: Final = State.OPEN
_DRAINING: Final = State.DRAINING
_READABLE: Final = frozenset({State.AWAITING_REQUEST, State.DECIDING, State.OPEN, State.CLOSING})


class HostedConnection:
    """One HTTP request in an ASGI host, then perhaps a WebSocket; implements `SupportsServing`.

    It takes the place of `ServerConnection`: the same states, commands, events and errors. Its
    user gives it what the host sends with `receive_event`, pulls `next_event`, and hands
    `next_output` to the host one by one, with `output_sent` or `write_failed` after each.
    """

    __slots__ = (
        "_answered",
        "_body",
        "_closing_since",
        "_config",
        "_events",
        "_handed_over",
        "_head",
        "_input",
        "_max_message_size",
        "_offered",
        "_opened_at",
        "_out",
        "_passes_reasons",
        "_paused",
        "_sent_close",
        "_websocket",
        "backlog",
        "capabilities",
        "closed",
        "state",
        "subprotocol",
    )

    def __init__(self, scope: Scope, config: Config, *, now: float) -> None:
        self._config = config
        self._max_message_size = config.max_message_size
        self._websocket = scope["type"] == "websocket"
        self._head = request_head(scope)
        self._offered: tuple[str, ...] = tuple(scope.get("subprotocols") or ())
        self._passes_reasons = spec_version(scope) >= (2, 4)
        self.capabilities = capabilities(scope)
        """What the host allows."""
        self.state = State.AWAITING_REQUEST
        """Where the connection stands."""
        self.closed: Closed | None = None
        """The outcome, once it is known."""
        self.subprotocol: str | None = None
        """The subprotocol that was agreed on."""
        self.backlog = 0
        """Bytes that the host has not taken yet; every event counts as one besides its data."""
        # Never more than a few, and an empty deque is large.
        self._input: list[AsgiEvent] = []
        self._events: list[Event] = []
        self._out: deque[tuple[AsgiEvent, int]] = deque()
        self._handed_over = 0
        self._body = bytearray()
        self._answered = False
        self._paused = False
        self._sent_close: tuple[int, str] | None = None
        self._opened_at = now
        self._closing_since = now

    # Input

    def receive_event(self, event: AsgiEvent) -> None:
        """What the host sent. Whatever it is comes out of `next_event`; nothing is raised."""
        self._input.append(event)

    def receive_data(self, data: bytes | None, now: float) -> None:
        """The end of the stream, for what drives all connections alike: a host hands over no bytes.

        Raises:
            LocalProtocolError: `data` is anything but b"" or None.
        """
        if data:
            raise LocalProtocolError("a host server hands over events, not bytes")
        self._end_of_input(close_codes.ABNORMAL, "")

    def receive_messages(
        self, data: bytes, now: float, messages: deque[Any], room: int
    ) -> tuple[int, bool]:
        """As `receive_data`."""
        self.receive_data(data, now)
        return 0, False

    @property
    def holds_end(self) -> bool:
        """Never: see `next_event`."""
        return False

    def take_message(self, event: AsgiEvent) -> str | bytes | None:
        """The message that an event of the host is, if it is one and there is nothing before it.

        None where the event must be received in full.
        """
        if self.state is not _OPEN or self._input or self._events:
            return None
        if not isinstance(event, dict):
            return None
        kind = event["type"]
        if not isinstance(kind, str) or kind != "websocket.receive":
            return None
        text = event.get("text")
        if text is None:
            data = event.get("bytes")
            if type(data) is bytes and len(data) <= self._max_message_size:
                return data
        # UTF-8 takes at most four bytes for a character.
        elif type(text) is str and len(text) * 4 <= self._max_message_size:
            return text
        return None

    def take_messages(self, messages: deque[Any], room: int) -> int:
        """0: the host gives one message at a time, and `next_event` has it."""
        return 0

    def next_event(self, *, hold_end: bool = False) -> Event | Status:
        """The next event; the state advances as it is returned.

        `hold_end` changes nothing: a host that reports the end can send no more answers.
        """
        while True:
            if self._events:
                return self._events.pop(0)
            if not self._input:
                decides = self.state is State.DECIDING or self.state is State.RESPONDING
                return PAUSED if decides else NEED_DATA
            event = self._input.pop(0)
            if self.state is _OPEN and event["type"] == "websocket.receive":
                message = self._check_message(event)
                if message is not None:
                    return message
            else:
                self._take(event)

    def _check_message(self, event: AsgiEvent) -> str | bytes | None:
        limit = self._max_message_size
        text = event.get("text")
        if text is not None:
            # UTF-8 takes at most four bytes for a character.
            size = len(text)
            if size * 4 > limit and not text.isascii():
                size = len(text.encode())
            if size <= limit:
                return str(text)
        else:
            data: bytes | None = event.get("bytes")
            if data is None:
                self._break_off(close_codes.INTERNAL_ERROR, "message without content")
                return None
            if len(data) <= limit:
                return bytes(data)
        self._break_off(_MESSAGE_TOO_BIG, f"message over {limit} bytes")
        return None

    def _take(self, event: AsgiEvent) -> None:
        kind = event["type"]
        if kind == "websocket.disconnect":
            self._take_disconnect(event)
        elif kind == "http.disconnect":
            self._end_of_input(close_codes.ABNORMAL, "")
        elif kind == "websocket.receive" and self.state in {State.CLOSING, State.DRAINING}:
            pass  # it crossed our close (RFC 6455 §1.4)
        elif self.state is State.AWAITING_REQUEST and kind == self._first_event:
            self._take_request(event)
        elif self.state is State.OPEN:
            self._break_off(close_codes.INTERNAL_ERROR, "")
        elif self.state is not State.CLOSED:
            # A host that breaks the order of events: nothing it says can be relied on.
            self._end_of_input(close_codes.ABNORMAL, "")

    @property
    def _first_event(self) -> str:
        return "websocket.connect" if self._websocket else "http.request"

    def _take_disconnect(self, event: AsgiEvent) -> None:
        code = event.get("code")
        code = close_codes.NO_STATUS if code is None else int(code)
        if self._passes_reasons and code == close_codes.NO_STATUS and "reason" not in event:
            # Such a host has a reason, if an empty one, for every Close frame: there was none.
            code = close_codes.ABNORMAL
        self._end_of_input(code, event.get("reason") or "")

    def _end_of_input(self, code: int, reason: str) -> None:
        before = self.state
        # No more can be sent after a host's last event, to a client that has half-closed neither.
        self._advance(Input.WRITE_FAILED if before is State.RESPONDING else Input.EOF)
        self.drop_output()
        if before is State.CLOSING and self._sent_close is not None:
            # The hosts say the same whether or not the peer has answered our Close frame.
            self._finish(*self._sent_close, clean=False, by_peer=False)
        elif before is State.OPEN:
            self._finish(code, reason, clean=code not in _MADE_BY_HOSTS, by_peer=True)
        else:
            self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=True)

    def _take_request(self, event: AsgiEvent) -> None:
        if not self._websocket:
            self._body += event.get("body") or b""
            if len(self._body) > self._config.max_body_size:
                size = self._config.max_body_size
                return self._refuse(Input.BAD_REQUEST, Refusal(413, f"body over {size} bytes"))
            if event.get("more_body"):
                return None
        refusal = self._check_request()
        if refusal is not None:
            return self._refuse(Input.BAD_REQUEST, refusal)
        if self._websocket:
            self._advance(Input.HANDSHAKE_REQUEST)
            allowed = origin_allowed(self._head.headers, self._config.origins)
            self._events.append(HandshakeRequested(self._head, self._offered, allowed))
        else:
            self._advance(Input.HTTP_REQUEST)
            self._events.append(HttpRequested(self._head, bytes(self._body)))
        return None

    def _check_request(self) -> Refusal | None:
        head, config = self._head, self._config
        if not is_valid_target(head.target):
            return Refusal(400, "character outside of visible ASCII in the request target")
        refusal = check_head(head, config)
        if refusal is not None or not self._websocket:
            return refusal
        checked = check_hosted_request(head, self._offered)
        if isinstance(checked, Refusal):
            return checked
        self._offered = checked
        return None

    def _break_off(self, code: int, reason: str) -> None:
        """_Fail the WebSocket Connection_ (RFC 6455 §7.1.7)."""
        self._advance(Input.VIOLATION)
        self._queue_close(code, reason)
        self._finish(code, reason, clean=False, by_peer=False)

    # Commands

    def configure(self, config: Config) -> None:
        """Go on with other limits and timeouts.

        Raises:
            LocalProtocolError: there is no WebSocket to accept, or it is accepted already.
            Disconnected: the client has gone.
        """
        self._decide(Input.ACCEPT)
        self._config = config
        self._max_message_size = config.max_message_size

    def accept(
        self, subprotocol: Checked[str | None] = None, headers: HeaderFields = (), *, now: float
    ) -> None:
        """Open the WebSocket; raises as `ServerConnection.accept` does."""
        state = self._decide(Input.ACCEPT)
        fields = accept_fields(self._offered, subprotocol, headers)
        self.state = state
        self.subprotocol = subprotocol
        self._queue(
            {
                "type": "websocket.accept",
                "subprotocol": subprotocol,
                "headers": _encode(fields),
            }
        )

    def reject(
        self,
        status: Checked[int] = 403,
        headers: HeaderFields = (),
        body: Checked[bytes] = b"",
        *,
        now: float,
    ) -> None:
        """Answer the opening handshake with an HTTP response instead.

        The client sees 403 and nothing else where `capabilities.rejection_response` is False.
        Raises as `ServerConnection.reject` does.
        """
        self._decide(Input.REJECT)
        self._respond(Input.REJECT, status, headers, body)

    def respond(
        self,
        status: Checked[int] = 200,
        headers: HeaderFields = (),
        body: Checked[bytes] = b"",
        *,
        now: float,
    ) -> None:
        """Answer a plain HTTP request; raises as `ServerConnection.respond` does."""
        self._decide(Input.RESPOND)
        self._respond(Input.RESPOND, status, headers, body)

    def _decide(self, command: Input) -> State:
        if self.closed is not None and not self._answered:
            raise self.disconnected()
        return transition(SERVER, self.state, command)

    def _respond(
        self, cause: Input, status: Checked[int], headers: HeaderFields, body: Checked[bytes]
    ) -> None:
        fields = _encode(response_fields(status, headers, len(body)))
        # Who comes after the connection's own answer was late, not wrong.
        self._answered = cause not in {Input.BAD_REQUEST, Input.TIMEOUT}
        self._advance(cause)
        if not self._websocket:
            self._queue_response("http.response", status, fields, body)
        elif self.capabilities.rejection_response:
            self._queue_response("websocket.http.response", status, fields, body)
        else:
            self._queue({"type": "websocket.close"})
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def _refuse(self, cause: Input, refusal: Refusal) -> None:
        headers = [("Content-Type", "text/plain; charset=utf-8"), *refusal.headers]
        self._respond(cause, refusal.status, headers, f"{refusal.message}\n".encode())
        self._events.append(RequestRefused(refusal.status, refusal.message))

    def _queue_response(
        self, kind: str, status: int, fields: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        if self._head.method == "HEAD" or status in _WITHOUT_CONTENT:
            body = b""
        self._queue({"type": f"{kind}.start", "status": status, "headers": fields})
        self._queue({"type": f"{kind}.body", "body": body}, len(body))

    def send(self, message: Message) -> int:
        """Send a complete message; returns and raises as `ServerConnection.send` does."""
        if self.state is not _OPEN:
            self._refuse_to_send(Input.SEND)
        event, size = _message_event(message)
        self._queue(event, size)
        return self.backlog

    def hand_over(self, message: Message) -> AsgiEvent:
        """The event that sends a message, for the host at once, where there is no backlog.

        As after `next_output`, `output_sent` is to follow. Raises as `send`.
        """
        if self.state is not _OPEN:
            self._refuse_to_send(Input.SEND)
        event: AsgiEvent
        if type(message) is str and message.isascii():
            event, size = {"type": "websocket.send", "text": message}, len(message)
        elif type(message) is bytes:
            event, size = {"type": "websocket.send", "bytes": message}, len(message)
        else:
            event, size = _message_event(message)
        self.backlog = self._handed_over = size + 1
        return event

    def ping(self, payload: Checked[bytes | None], now: float) -> bytes:
        """Raises LocalProtocolError, or Disconnected where the WebSocket has ended."""
        if self.state is not State.OPEN:
            self._refuse_to_send(Input.PING)
        raise LocalProtocolError(
            "cannot ping: the host server owns the frames, and ASGI has no event for a Ping "
            "(capabilities.ping is False)"
        )

    def awaits_pong(self, payload: Checked[bytes]) -> bool:
        """Never: see `ping`."""
        return False

    def close(self, code: Checked[int], reason: Checked[str], now: float) -> None:
        """Begin the closing handshake; does nothing where the end has begun already.

        Before the decision it rejects with 403. Raises as `ServerConnection.close` does.
        """
        close_codes.check_close(code, reason)
        before = self.state
        if before is State.OPEN:
            self._advance(Input.CLOSE)
            self._closing_since = now
            self._sent_close = (code, reason)
            self._queue_close(code, reason)
        elif before in {State.DECIDING, State.RESPONDING}:
            self._respond(Input.CLOSE, 403 if before is State.DECIDING else 503, (), b"")
        else:
            self._advance(Input.CLOSE)
            if before is State.AWAITING_REQUEST:
                self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def disconnected(self) -> Disconnected:
        """The error that says that the WebSocket has ended or is ending."""
        if self.closed is not None:
            return Disconnected(self.closed.code, self.closed.reason, self.closed.clean)
        code, reason = self._sent_close or (close_codes.ABNORMAL, "")
        return Disconnected(code, reason, False)

    def _refuse_to_send(self, command: Input) -> NoReturn:
        if self.closed is None and self._sent_close is None:
            transition(SERVER, self.state, command)
        raise self.disconnected()

    def pause_reading(self) -> None:
        """The inbox is full: the host's events are left with the host."""
        self._paused = True

    def resume_reading(self, now: float) -> None:
        """There is room again."""
        self._paused = False

    # Output

    @property
    def has_output(self) -> bool:
        """Whether `next_output` has something."""
        return bool(self._out)

    @property
    def readable(self) -> bool:
        """Whether to ask the host for its next event."""
        return not self._paused and (self.state is _OPEN or self.state in _READABLE)

    def next_output(self) -> AsgiEvent | None:
        """The next event for the host, None if there is none now."""
        if not self._out:
            return None
        event, self._handed_over = self._out.popleft()
        return event

    def output_sent(self) -> None:
        """The host has taken what `next_output` gave last."""
        self.backlog -= self._handed_over
        self._handed_over = 0
        if self.state is _DRAINING and not self._out:
            self._advance(Input.EOF)  # whatever the host still does, it needs no application

    def write_failed(self, now: float) -> None:
        """The host takes no more: the connection has ended."""
        by_peer = self.state is not State.CLOSING
        self._advance(Input.WRITE_FAILED)
        self.drop_output()
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=by_peer)

    def drop_output(self) -> None:
        """The host refuses what it was given: whatever still waits cannot be sent either."""
        self._out.clear()
        self.backlog = self._handed_over = 0

    # Time

    def deadline(self) -> float | None:
        """When `handle_deadline` must be called at the latest, None for never."""
        if self.state in {State.AWAITING_REQUEST, State.DECIDING}:
            return self._opened_at + self._config.open_timeout
        if self.state is State.CLOSING:
            return self._closing_since + self._config.close_timeout
        return None

    def handle_deadline(self, now: float) -> None:
        """Do what is due at `now`; nothing if it is too early."""
        due = self.deadline()
        if due is None or now < due:
            return
        if self.state is State.CLOSING:
            self._advance(Input.TIMEOUT)
            self.drop_output()
            self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)
            return
        awaiting = self.state is State.AWAITING_REQUEST
        status, what = (408, "request") if awaiting else (503, "decision of the application")
        timeout = self._config.open_timeout
        self._refuse(Input.TIMEOUT, Refusal(status, f"no {what} within {timeout:g} s"))

    # Helpers

    def _advance(self, given: Input) -> None:
        self.state = transition(SERVER, self.state, given)

    def _queue(self, event: AsgiEvent, size: int = 0) -> None:
        self._out.append((event, size + 1))
        self.backlog += size + 1

    def _queue_close(self, code: int, reason: str) -> None:
        event = {"type": "websocket.close", "code": code}
        self._queue({**event, "reason": reason} if self.capabilities.close_reason else event)

    def _finish(self, code: int, reason: str, *, clean: bool, by_peer: bool) -> None:
        if self.closed is None:
            self.closed = Closed(code, reason, clean, by_peer)
            self._events.append(self.closed)


def _message_event(message: Message) -> tuple[AsgiEvent, int]:
    if isinstance(message, str):
        if not message.isascii():
            _check_encodable(message)
        return {"type": "websocket.send", "text": message}, len(message)
    if isinstance(message, (bytes, bytearray, memoryview)):
        data = bytes(message)
        return {"type": "websocket.send", "bytes": data}, len(data)
    raise TypeError(f"a message is str or bytes-like, not {type(message).__name__}")


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text that is not encodable as UTF-8: {error}") from None


def _encode(fields: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    # ASGI: names of header fields are lower-case.
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in fields]
