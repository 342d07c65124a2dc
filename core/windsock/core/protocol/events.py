"""What a connection tells its user. A complete message is simply its own `str` or `bytes`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

from .headers import Headers


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The request line and header fields of an HTTP request."""

    method: str
    target: str
    """The request target as sent, ASCII: path and query, still percent-encoded."""
    headers: Headers
    http_version: str = "1.1"


@dataclass(frozen=True, slots=True)
class HandshakeRequested:
    """Server: a valid opening handshake came in; answer with `accept` or `reject`."""

    head: RequestHead
    subprotocols: tuple[str, ...]
    """What the client offers, in its order of preference (RFC 6455 §4.1)."""
    origin_allowed: bool = True
    """Whether the page that it comes from may open a WebSocket here (§10.2). Always True unless
    the connection was made with `leave_origin`: all others have been refused."""


@dataclass(frozen=True, slots=True)
class HttpRequested:
    """Server: a complete HTTP request that asks for no WebSocket; answer with `respond`."""

    head: RequestHead
    body: bytes


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """Server: a request was answered with an error by the connection itself."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Client: the server accepted; the WebSocket is open."""

    subprotocol: str | None
    headers: Headers
    """The header fields of the 101 response."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Client: the WebSocket was not opened: another status, or a 101 that breaks the rules."""

    message: str
    status: int | None
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer sent a Ping; its Pong is already on the way (RFC 6455 §5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer sent a Pong (RFC 6455 §5.5.3)."""

    payload: bytes
    latency: float | None
    """Seconds since the Ping it answers, None for an unsolicited Pong."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The WebSocket has ended. The last event of every connection that was opened.

    It comes as soon as the outcome is known; the TCP connection may take longer to end.
    """

    code: int
    """The close code (RFC 6455 §7.1.5): the peer's where the peer closed first, ours where we
    did; 1005 where a Close frame had none, 1006 where there was no closing handshake."""
    reason: str
    clean: bool
    """Whether Close frames went both ways (RFC 6455 §7.1.4)."""
    by_peer: bool
    """Whether the peer ended it: by closing first, or by vanishing."""


Event = (
    str
    | bytes
    | HandshakeRequested
    | HttpRequested
    | RequestRefused
    | Opened
    | Refused
    | Ping
    | Pong
    | Closed
)


class Status(enum.Enum):
    """What `next_event` returns when there is no event."""

    NEED_DATA = enum.auto()
    """Everything received has been seen: read more from the peer."""
    PAUSED = enum.auto()
    """The application must decide (`accept`, `reject`, `respond`) before anything goes on."""


NEED_DATA: Final[Literal[Status.NEED_DATA]] = Status.NEED_DATA
PAUSED: Final[Literal[Status.PAUSED]] = Status.PAUSED
