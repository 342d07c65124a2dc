"""Every error that windsock raises on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .headers import Headers


class WindsockError(Exception):
    """Base class of all errors of this library."""


class ProtocolError(WindsockError):
    """One side broke the rules of the protocol."""


class LocalProtocolError(ProtocolError):
    """This side asked for something that the protocol does not allow now, or at all.

    A programming error: nothing was sent and the connection's state is unchanged.
    """


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    Attributes:
        code: the close code this violation is answered with (RFC 6455 §7.4.1).
    """

    def __init__(self, message: str, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code


class HandshakeError(WindsockError):
    """The server did not open the WebSocket (raised by clients).

    Attributes:
        status: HTTP status of the answer, None where no complete answer came.
        headers: headers of the answer.
        body: its body, cut at `Config.max_body_size` bytes.
    """

    def __init__(
        self, message: str, status: int | None, headers: Headers, body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = body


class Disconnected(WindsockError):
    """The connection has ended, or is being closed.

    Attributes:
        code: the close code (RFC 6455 §7.1.5); 1005 where the peer gave none, 1006 where
            there was no closing handshake.
        reason: the close reason, often empty.
        clean: whether both sides exchanged Close frames (§7.1.4).
    """

    def __init__(self, code: int, reason: str, clean: bool) -> None:
        super().__init__(code, reason, clean)
        self.code = code
        self.reason = reason
        self.clean = clean

    def __str__(self) -> str:
        how = "closing handshake complete" if self.clean else "no complete closing handshake"
        return f"{self.code} {self.reason!r} ({how})" if self.reason else f"{self.code} ({how})"


def disconnect_in(error: BaseException) -> Disconnected | None:
    """The `Disconnected` that `error` is, or that a group of nothing else holds, else None."""
    if isinstance(error, Disconnected):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [
        disconnect_in(inner)
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions
    ]
    return found[0] if all(found) else None


class MessageTypeError(WindsockError, TypeError):
    """A text message was asked for and the next one is binary, or the other way round.

    The message stays in the inbox: nothing is lost.
    """
