"""The server's side of a connection: one HTTP request, and what the application makes of it."""

from __future__ import annotations

from . import close_codes
from .checked import Checked
from .config import Config
from .connection import Connection
from .events import HandshakeRequested, HttpRequested, RequestHead, RequestRefused
from .frames import Role
from .handshake import ORIGIN_REFUSED, Refusal
from .headers import HeaderFields
from .http import ServerHandshake, serialize_head
from .keepalive import Keepalive
from .state import SERVER, Input, State, transition


class ServerConnection(Connection):
    """The server's side of one TCP connection: one HTTP request, then perhaps a WebSocket."""

    __slots__ = ("_answered", "_handshake", "_leave_origin")

    def __init__(
        self, config: Config | None = None, *, now: float, leave_origin: bool = False
    ) -> None:
        """
        Args:
            config: limits and timeouts.
            now: the time, in seconds.
            leave_origin: do not refuse what `Config.origins` does not allow, but leave that to the
                application, which sees it in `HandshakeRequested.origin_allowed`.
        """
        super().__init__(Role.SERVER, SERVER, State.AWAITING_REQUEST, config or Config(), now)
        self._leave_origin = leave_origin
        self._handshake: ServerHandshake | None = ServerHandshake(self._config)
        self._answered = False

    def receive_request(self, head: RequestHead, now: float) -> None:
        """Enter with a request whose head somebody else has parsed; the body must follow as data.

        It is judged like one that came as bytes.
        """
        self.receive_data(serialize_head(head), now)

    def _feed_handshake(self, data: bytes) -> None:
        # What follows a plain request is not looked at: its response is the last.
        if self._handshake is not None and self.state is not State.RESPONDING:
            self._handshake.feed(data)

    def _advance_handshake(self) -> bool:
        assert self._handshake is not None
        found = self._handshake.next()
        if found is None:
            continue_ = self._handshake.continue_()
            if continue_:
                self._queue(continue_)
            return False
        if isinstance(found, HandshakeRequested):
            found = self._judge_origin(found)
        if isinstance(found, Refusal):
            self._refuse(Input.BAD_REQUEST, found)
        else:
            http = isinstance(found, HttpRequested)
            self._advance(Input.HTTP_REQUEST if http else Input.HANDSHAKE_REQUEST)
            self._events.append(found)
        return True

    def _judge_origin(self, asked: HandshakeRequested) -> HandshakeRequested | Refusal:
        if asked.origin_allowed or self._leave_origin:
            return asked
        return Refusal(403, ORIGIN_REFUSED)

    def _refuse(self, cause: Input, refusal: Refusal) -> None:
        assert self._handshake is not None
        self._advance(cause)
        self._queue(self._handshake.refuse(refusal))
        self._end_http()
        self._events.append(RequestRefused(refusal.status, refusal.message))
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def _handshake_timed_out(self) -> None:
        awaiting = self.state is State.AWAITING_REQUEST
        status, what = (408, "request") if awaiting else (503, "decision of the application")
        timeout = self._config.open_timeout
        self._refuse(Input.TIMEOUT, Refusal(status, f"no {what} within {timeout:g} s"))

    def _close_before_open(self) -> None:
        if self.state is State.AWAITING_REQUEST:
            super()._close_before_open()
        else:
            deciding = self.state is State.DECIDING
            self._respond(Input.CLOSE, 403 if deciding else 503, (), b"")

    def configure(self, config: Config) -> None:
        """Go on with other limits and timeouts; what has happened already stands.

        Raises:
            LocalProtocolError: there is no WebSocket to accept, or it is accepted already.
            Disconnected: the client has gone.
        """
        self._decide(Input.ACCEPT)
        self._config = config
        self._keepalive = Keepalive(config.ping_interval, config.ping_timeout, self._now)

    def accept(
        self, subprotocol: Checked[str | None] = None, headers: HeaderFields = (), *, now: float
    ) -> None:
        """Open the WebSocket: the 101 response (RFC 6455 §4.2.2).

        Raises:
            LocalProtocolError: nothing to accept; a subprotocol that was not offered; a header
                that cannot be sent, or that the handshake sets itself.
            Disconnected: the client has gone.
        """
        state = self._decide(Input.ACCEPT)
        assert self._handshake is not None
        response, deflate, trailing = self._handshake.accept(
            subprotocol, headers, self._config.compression
        )
        self._now = now
        self.state = state
        self.deadline_moved = True
        self.subprotocol = subprotocol
        self._handshake = None
        self._queue(response)
        self._open(deflate, trailing)

    def reject(
        self,
        status: Checked[int] = 403,
        headers: HeaderFields = (),
        body: Checked[bytes] = b"",
        *,
        now: float,
    ) -> None:
        """Answer the opening handshake with an HTTP response instead.

        Raises:
            LocalProtocolError: nothing to reject; a status outside 200 to 599; an unusable header.
            Disconnected: the client has gone.
        """
        self._decide(Input.REJECT)
        self._now = now
        self._respond(Input.REJECT, status, headers, body)

    def respond(
        self,
        status: Checked[int] = 200,
        headers: HeaderFields = (),
        body: Checked[bytes] = b"",
        *,
        now: float,
    ) -> None:
        """Answer a plain HTTP request.

        Raises:
            LocalProtocolError: nothing to respond to; a status outside 200 to 599; an unusable
                header.
            Disconnected: the client has gone.
        """
        self._decide(Input.RESPOND)
        self._now = now
        self._respond(Input.RESPOND, status, headers, body)

    def _decide(self, command: Input) -> State:
        # Whoever has answered already is told so; whoever was too late, that the client has gone.
        if self.closed is not None and not self._answered:
            raise self.disconnected()
        return transition(self._table, self.state, command)

    def _respond(
        self, cause: Input, status: Checked[int], headers: HeaderFields, body: Checked[bytes]
    ) -> None:
        assert self._handshake is not None
        response = self._handshake.respond(status, headers, body)
        self._answered = True
        self._advance(cause)
        self._queue(response)
        self._end_http()
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def _end_http(self) -> None:
        self._handshake = None
        self._closing_since = self._now
