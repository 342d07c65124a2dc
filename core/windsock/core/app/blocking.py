"""The `WebSocket` for code that blocks: each call runs the one coroutine where it lives."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from windsock.core.protocol.connection import Message
from windsock.core.protocol.headers import HeaderFields, Headers

from .link import Capabilities, Link
from .request import Request
from .response import Response
from .websocket import WebSocket

T = TypeVar("T")


class BlockingWebSocket:
    """A `WebSocket` whose methods block, for plain functions and threads.

    It may be used from several threads at a time. Every method takes a `timeout` in seconds, None
    for no limit, and raises TimeoutError when that has passed; what it was to do has then been
    done in full or not at all. For the rest, all is as in `WebSocket`.
    """

    __slots__ = ("_link", "_ws")

    def __init__(self, ws: WebSocket, link: Link) -> None:
        self._ws = ws
        self._link = link

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._ws)[1:]}"

    def _call(self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None) -> T:
        return self._link.from_thread(function, timeout)

    # What there is to know

    @property
    def request(self) -> Request:
        """The HTTP request that this WebSocket was opened with."""
        return self._ws.request

    @property
    def response_headers(self) -> Headers | None:
        """Clients: the header fields of the server's answer. None on servers."""
        return self._ws.response_headers

    @property
    def path_params(self) -> dict[str, Any]:
        """What the route's placeholders stand for."""
        return self._ws.path_params

    @property
    def state(self) -> dict[str, Any]:
        """Free for the application's own use."""
        return self._ws.state

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._ws.subprotocol

    @property
    def closed(self) -> bool:
        """Whether the WebSocket has ended."""
        return self._ws.closed

    @property
    def code(self) -> int | None:
        """The close code (RFC 6455 §7.1.5), None until the WebSocket has ended."""
        return self._ws.code

    @property
    def reason(self) -> str | None:
        """The close reason (§7.1.6), None until the WebSocket has ended."""
        return self._ws.reason

    @property
    def latency(self) -> float | None:
        """Seconds between the last answered Ping and its Pong, None before the first."""
        return self._ws.latency

    @property
    def backlog(self) -> int:
        """Bytes sent that the peer's side has not taken yet."""
        return self._ws.backlog

    @property
    def capabilities(self) -> Capabilities:
        """What this connection can do."""
        return self._ws.capabilities

    # The opening handshake

    def accept(
        self,
        subprotocol: str | None = None,
        headers: HeaderFields = (),
        timeout: float | None = None,
    ) -> Self:
        """Open the WebSocket (servers), as `WebSocket.accept`; returns itself, for `with`."""
        self._call(lambda: self._ws.accept(subprotocol, headers), timeout)
        return self

    def reject(
        self,
        status: int | Response = 403,
        headers: HeaderFields = (),
        body: str | bytes = b"",
        timeout: float | None = None,
    ) -> None:
        """Answer the opening handshake with an HTTP response, as `WebSocket.reject`."""
        self._call(lambda: self._ws.reject(status, headers, body), timeout)

    # Messages

    @overload
    def receive(self, timeout: float | None = None) -> Any: ...
    @overload
    def receive(self, timeout: float | None = None, *, default: T) -> Any | T: ...
    def receive(self, timeout: float | None = None, **default: Any) -> Any:
        """The next message, as `WebSocket.receive`; after a timeout it is still to be received."""
        return self._call(lambda: self._ws.receive(**default), timeout)

    def receive_text(self, timeout: float | None = None) -> str:
        """The next message, which must be text, as `WebSocket.receive_text`."""
        return self._call(self._ws.receive_text, timeout)

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, which must be binary, as `WebSocket.receive_bytes`."""
        return self._call(self._ws.receive_bytes, timeout)

    def receive_json(self, timeout: float | None = None) -> Any:
        """The next message, parsed as JSON, as `WebSocket.receive_json`."""
        return self._call(self._ws.receive_json, timeout)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """Iteration ends silently on codes 1000, 1001 and 1005, else it raises Disconnected."""
        try:
            return self._call(self._ws.__anext__, None)
        except StopAsyncIteration:
            raise StopIteration from None

    def send(self, data: Message, timeout: float | None = None) -> None:
        """Send a message, as `WebSocket.send`."""
        self._call(lambda: self._ws.send(data), timeout)

    def send_text(self, data: str, timeout: float | None = None) -> None:
        """Send a text message, as `WebSocket.send_text`."""
        self._call(lambda: self._ws.send_text(data), timeout)

    def send_bytes(
        self, data: bytes | bytearray | memoryview, timeout: float | None = None
    ) -> None:
        """Send a binary message, as `WebSocket.send_bytes`."""
        self._call(lambda: self._ws.send_bytes(data), timeout)

    def send_json(self, data: Any, timeout: float | None = None) -> None:
        """Send `data` as JSON in a text message, as `WebSocket.send_json`."""
        self._call(lambda: self._ws.send_json(data), timeout)

    # Ping and close

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> float:
        """Send a Ping and wait for its Pong, as `WebSocket.ping`; returns the seconds between."""
        return self._call(lambda: self._ws.ping(payload), timeout)

    def close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """Close the WebSocket and wait until it has ended, as `WebSocket.close`.

        Another thread that is inside `receive` is told at once.
        """
        self._call(lambda: self._ws.close(code, reason), timeout)

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until the WebSocket has ended, as `WebSocket.wait_closed`."""
        self._call(self._ws.wait_closed, timeout)

    def __enter__(self) -> Self:
        """Accepts, if nothing is decided yet."""
        self._call(self._ws.__aenter__, None)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Closes: 1000, or 1011 after an exception. Swallows Disconnected by `catch_disconnect`."""
        return self._call(lambda: self._ws.__aexit__(exc_type, exc, traceback), None)

    # ASGI-shaped events

    def receive_event(self, timeout: float | None = None) -> dict[str, Any]:
        """The next event as ASGI has it, as `WebSocket.receive_event`."""
        return self._call(self._ws.receive_event, timeout)

    def send_event(self, event: dict[str, Any], timeout: float | None = None) -> None:
        """Do what an ASGI event says, as `WebSocket.send_event`."""
        self._call(lambda: self._ws.send_event(event), timeout)
