"""The one `WebSocket`: the same object on every transport, for both roles."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

from windsock.core.protocol import close_codes
from windsock.core.protocol.close_codes import check_close
from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import check_control_payload
from windsock.core.protocol.errors import (
    Disconnected,
    LocalProtocolError,
    disconnect_in,
)
from windsock.core.protocol.headers import HeaderFields, Headers
from windsock.core.protocol.state import State

from .channel import Channel
from .codec import JSONCodec, MessageType
from .link import Capabilities, CatchDisconnect, Link, SupportsServing
from .messages import Messages, fill_inbox, receive_event, see_held_end, take
from .request import Query, Request
from .response import Response

if TYPE_CHECKING:
    from .application import App

T = TypeVar("T")


class WebSocket(Messages):
    """A WebSocket connection.

    Handlers get one from their server, `connect` makes one for clients. `receive`, `send` and the
    others may be called from several tasks at a time.
    """

    __slots__ = (
        "__weakref__",
        "_decided",
        "_depth",
        "_sent_event",
        "_subprotocols",
        "auto_accept",
        "catch_disconnect",
        "request",
        "response_headers",
    )

    def __init__(
        self,
        channel: Channel[Any],
        link: Link,
        request: Request,
        *,
        response_headers: Headers | None = None,
    ) -> None:
        super().__init__(channel, link)
        self._decided = False
        self._depth = 0
        self._sent_event: dict[str, Any] | None = {"type": "websocket.connect"}
        self.request = request
        """The HTTP request that this WebSocket was, or is to be, opened with."""
        self.response_headers = response_headers
        """Clients: the header fields of the server's answer. None on servers."""
        self.catch_disconnect: CatchDisconnect = True
        """Which disconnects `async with` swallows: True, False, or a set of close codes."""
        self.auto_accept = True
        """Whether `async with` accepts."""
        self._subprotocols: tuple[str, ...] = ()

    def configure(
        self,
        *,
        receive_type: MessageType | None = None,
        send_type: MessageType | None = None,
        subprotocols: tuple[str, ...] = (),
        json: JSONCodec | None = None,
        config: Config | None = None,
    ) -> None:
        """Change what `receive`, `send` and `accept` do by themselves, before anything is accepted.

        Args:
            receive_type: what `receive` and iteration give; None for messages as they come.
            send_type: what `send` takes; None for messages as they are.
            subprotocols: which of the client's offers `accept` chooses if it is not told, in order
                of preference.
            json: the codec of JSON messages; None for the one there is.
            config: other limits and timeouts; None for those there are.

        Raises:
            Disconnected: the client has gone.
        """
        if config is not None:
            self._channel.configure(config)
        self._receive_type = receive_type
        self._send_type = send_type
        self._subprotocols = subprotocols
        if json is not None:
            self._json = json

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.target} {self._channel.connection.state.value}>"

    # What there is to know

    @property
    def path_params(self) -> dict[str, Any]:
        """What the route's placeholders stand for."""
        return self.request.path_params

    @property
    def state(self) -> dict[str, Any]:
        """Free for the application's own use; begins with what its lifespan gave."""
        return self.request.state

    @property
    def app(self) -> App | None:
        """Servers: the application that handles this WebSocket."""
        return self.request.app

    @property
    def headers(self) -> Headers:
        """The header fields of the request."""
        return self.request.headers

    @property
    def url(self) -> str:
        """The whole URL as the client sees it."""
        return self.request.url

    @property
    def query_params(self) -> Query:
        """The parameters of the query string, decoded."""
        return self.request.query

    @property
    def config(self) -> Config:
        """The limits and timeouts that hold here."""
        return self._channel.config

    @property
    def link(self) -> Link:
        """Its transport."""
        return self._link

    @property
    def scope(self) -> dict[str, Any]:
        """The request as ASGI describes it."""
        return self.request.scope

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on, None if none was or nothing is decided yet."""
        return self._channel.connection.subprotocol

    @property
    def closed(self) -> bool:
        """Whether the WebSocket has ended. Unread messages can still be received after that."""
        return self._channel.ended

    @property
    def code(self) -> int | None:
        """The close code (RFC 6455 §7.1.5), None until the WebSocket has ended."""
        closed = self._channel.closed
        return None if closed is None else closed.code

    @property
    def reason(self) -> str | None:
        """The close reason (§7.1.6), None until the WebSocket has ended."""
        closed = self._channel.closed
        return None if closed is None else closed.reason

    @property
    def closed_by_peer(self) -> bool:
        """Whether the WebSocket has ended and it was the peer who ended it, or vanished."""
        closed = self._channel.closed
        return closed is not None and closed.by_peer

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered Ping and its Pong, None before the first."""
        return self._channel.latency

    @property
    def backlog(self) -> int:
        """Bytes sent that the peer's side has not taken yet: how far it is behind."""
        return self._channel.connection.backlog

    @property
    def capabilities(self) -> Capabilities:
        """What this connection can do; less where a host server owns the frames."""
        return self._link.capabilities

    # The opening handshake

    async def accept(self, subprotocol: str | None = None, headers: HeaderFields = ()) -> None:
        """Open the WebSocket (servers).

        Args:
            subprotocol: one of `request.subprotocols`; None for the first of the route's
                subprotocols that the client offers, or none.
            headers: further fields for the 101 response.

        Raises:
            LocalProtocolError: accepted or rejected already; a subprotocol that was not offered;
                a header field that cannot be sent.
            Disconnected: the client has gone.
        """
        await self._link.checkpoint()
        if subprotocol is None:
            subprotocol = self._preferred_subprotocol()
        self._server().accept(subprotocol, headers, now=self._link.now())
        self._decided = True
        self._sent_event = None  # who accepts knows that somebody connects
        self._channel.settle(self._link)

    def _preferred_subprotocol(self) -> str | None:
        offered = self.request.subprotocols
        return next((ours for ours in self._subprotocols if ours in offered), None)

    async def reject(
        self,
        status: int | Response = 403,
        headers: HeaderFields = (),
        body: str | bytes = b"",
    ) -> None:
        """Answer the opening handshake with an HTTP response instead (servers).

        Args:
            status: 200 to 599, or a whole Response.
            headers: header fields of the response.
            body: its body; text is sent as UTF-8.

        Raises:
            LocalProtocolError: accepted or rejected already; a status or header that cannot be
                sent.
            Disconnected: the client has gone.
        """
        await self._link.checkpoint()
        if not isinstance(status, Response):
            status = Response(body, status, headers)
        self._server().reject(status.status, status.headers, status.body, now=self._link.now())
        self._decided = True
        self._channel.settle(self._link)

    def _server(self) -> SupportsServing:
        connection = self._channel.connection
        if not hasattr(connection, "accept"):
            raise LocalProtocolError("a client has nothing to accept or reject")
        if self._channel.closed is not None and not self._decided:
            # Too late, which is not the application's fault, even if it is the server that goes.
            raise connection.disconnected()
        return cast(SupportsServing, connection)  # who has the one has the other methods too

    # Messages

    async def _wait(self) -> None:
        """Wait for news; whoever does so has answered what came before, and may see the end."""
        channel = self._channel
        channel.waiting += 1
        try:
            if not (channel.connection.holds_end and see_held_end(self._channel, self._link)):
                await self._link.wait()
        finally:
            channel.waiting -= 1

    async def receive_text(self) -> str:
        """The next message, which must be text.

        Raises:
            MessageTypeError: it is binary; it stays in the inbox.
            LocalProtocolError, Disconnected: as `receive`.
        """
        return await self._receive_typed(str)

    async def receive_bytes(self) -> bytes:
        """The next message, which must be binary.

        Raises:
            MessageTypeError: it is text; it stays in the inbox.
            LocalProtocolError, Disconnected: as `receive`.
        """
        return await self._receive_typed(bytes)

    async def _receive_typed(self, wanted: type[T]) -> T:
        if self._link.checkpoints:
            await self._link.checkpoint()
        await fill_inbox(self._channel, self._link)
        return self._take_typed(wanted)

    async def receive_json(self) -> Any:
        """The next message, parsed as JSON, whether it came as text or binary.

        Raises:
            json.JSONDecodeError, UnicodeDecodeError (both ValueErrors): it is not JSON; it is
                taken from the inbox all the same. Another codec than the standard library's may
                raise what it likes.
            LocalProtocolError, Disconnected: as `receive`.
        """
        if self._link.checkpoints:
            await self._link.checkpoint()
        await fill_inbox(self._channel, self._link)
        return self._json.loads(take(self._channel, self._link))

    async def _send_as(self, wanted: MessageType, data: Any) -> None:
        match wanted:
            case "text":
                await self.send_text(data)
            case "bytes":
                await self.send_bytes(data)
            case "json":
                await self.send_json(data)
            case _:  # "event"
                await self.send_event(data)

    async def send_text(self, data: str) -> None:
        """Send a text message. Raises TypeError for anything but a str; else as `send`."""
        if not isinstance(data, str):
            raise TypeError(f"send_text takes a str, not {type(data).__name__}")
        await self._send(data)

    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send a binary message. Raises TypeError for a str; else as `send`."""
        if isinstance(data, str):
            raise TypeError("send_bytes takes bytes, not str")
        await self._send(data)

    async def send_json(self, data: Any) -> None:
        """Send `data` as JSON in a text message.

        Raises:
            TypeError, ValueError: JSON cannot say it.
            LocalProtocolError, Disconnected: as `send`.
        """
        text = self._json.dumps(data)
        await self._send(text if isinstance(text, str) else text.decode())

    # Ping and close

    async def ping(self, payload: bytes | None = None) -> float:
        """Send a Ping and wait for its Pong; returns the seconds in between.

        Args:
            payload: up to 125 bytes; made up by default.

        Raises:
            LocalProtocolError: not accepted yet; a payload that is too long or still unanswered;
                `capabilities.ping` is False.
            Disconnected: the WebSocket ended before the Pong came.
        """
        if payload is not None:
            check_control_payload(payload)
        await self._link.checkpoint()
        connection = self._channel.connection
        sent_at = self._link.now()
        payload = connection.ping(payload, sent_at)
        self._link.flush_soon()
        while connection.awaits_pong(payload):
            if self._channel.ended:
                raise connection.disconnected()
            await self._wait()
        return self._link.now() - sent_at

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket and wait until it has ended, at most `Config.close_timeout`.

        Before `accept` it rejects with 403. Where the end has begun already nothing is sent.
        Messages that were not received yet are discarded.

        Args:
            code: 1000-1003, 1007-1013 or 3000-4999 (RFC 6455 §7.4).
            reason: at most 123 bytes in UTF-8.

        Raises:
            LocalProtocolError: `code` or `reason` cannot be sent.
        """
        self.begin_close(code, reason)
        await self._link.checkpoint()
        while not self._channel.ended:
            await self._wait()

    def begin_close(self, code: int = 1000, reason: str = "") -> None:
        """Do what `close` does at once, and leave the waiting to it. Errors as `close`."""
        check_close(code, reason)
        now = self._link.now()
        channel = self._channel
        settled = channel.ended and not channel.full
        channel.connection.close(code, reason, now)
        self._decided = True
        channel.discard(now)
        if not settled:
            channel.settle(self._link)

    def see_end(self) -> None:
        """See the end that the peer has begun already, if it has.

        Its Close frame waits for a moment, so that what was received before it can be answered.
        Messages that were not received yet are discarded.
        """
        channel = self._channel
        channel.waiting += 1
        try:
            channel.discard(self._link.now())
            channel.settle(self._link)
            while channel.inbox:  # what there was no room for until now
                channel.discard(self._link.now())
                channel.settle(self._link)
        finally:
            channel.waiting -= 1

    async def wait_closed(self) -> None:
        """Wait until the WebSocket has ended.

        The peer's close is seen only while there is room in the inbox: some task should receive.
        """
        await self._link.checkpoint()
        while not self._channel.ended:
            await self._wait()

    async def __aenter__(self) -> Self:
        """Accepts, if nothing is decided yet and the route is not `auto_accept=False`.

        Raises Disconnected where the client has gone before.
        """
        if self.auto_accept and not self._decided and hasattr(self._channel.connection, "accept"):
            await self.accept()
        self._depth += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Closes: 1000, or 1011 after an exception. Swallows Disconnected by `catch_disconnect`."""
        self._depth -= 1
        # A nursery or task group inside wraps what it lets through.
        disconnected = None if exc is None else disconnect_in(exc)
        if disconnected is not None and self._over:
            return self._depth == 0 and self._catches(disconnected)
        if self._depth:
            return False
        if exc is None:
            await self.close()
        elif isinstance(exc, Exception) and not isinstance(exc, self._link.cancelled):
            await self.close(close_codes.INTERNAL_ERROR)
        else:
            # Cancelled, or the program ends: nothing can be awaited any more.
            self.begin_close(close_codes.GOING_AWAY)
        return False

    @property
    def _over(self) -> bool:
        return self._channel.ended or self._channel.connection.state is State.CLOSING

    def _catches(self, disconnected: Disconnected) -> bool:
        if isinstance(self.catch_disconnect, bool):
            return self.catch_disconnect
        return disconnected.code in self.catch_disconnect

    # ASGI-shaped events

    async def receive_event(self) -> dict[str, Any]:
        """The next event as ASGI has it: `websocket.receive` or `.disconnect`.

        Before `accept` the first one is `websocket.connect`.
        """
        if self._sent_event is not None:
            event, self._sent_event = self._sent_event, None
            return event
        if self._link.checkpoints:
            await self._link.checkpoint()
        try:
            await fill_inbox(self._channel, self._link)
        except Disconnected as gone:
            return {"type": "websocket.disconnect", "code": gone.code, "reason": gone.reason}
        return receive_event(take(self._channel, self._link))

    async def send_event(self, event: dict[str, Any]) -> None:
        """Do what an ASGI event says: `websocket.accept`, `.send` or `.close`.

        Raises:
            LocalProtocolError: an unknown type, or an event that says nothing.
            TypeError, Disconnected: as the method it stands for.
        """
        match event:
            case {"type": "websocket.accept"}:
                fields = [
                    (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                    for name, value in event.get("headers") or ()
                ]
                await self.accept(event.get("subprotocol"), fields)
            case {"type": "websocket.send", "text": str(text)}:
                await self.send_text(text)
            case {"type": "websocket.send", "bytes": bytes(data)}:
                await self.send_bytes(data)
            case {"type": "websocket.close"}:
                await self.close(event.get("code") or 1000, event.get("reason") or "")
            case _:
                _unknown_event(event)


def _unknown_event(event: dict[str, Any]) -> NoReturn:
    raise LocalProtocolError(
        "an event is websocket.accept, websocket.close, or websocket.send with text (str) or "
        f"bytes, not {event!r}"
    )
