"""A server that does what a test says, for clients under test."""

from __future__ import annotations

import base64
import hashlib
import socket
from types import TracebackType
from typing import Final, Self

from wsproto.connection import Connection, ConnectionType

from windsock.core import Headers

from .peer import HeaderList, WirePeer
from .sync import TIMEOUT

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Accepted(WirePeer):
    """One connection of a client under test."""

    masks = False

    def __init__(self, sock: socket.socket, *, answer_close: bool = True) -> None:
        self._begin(sock, answer_pings=True, answer_close=answer_close)

    def read_request(self) -> tuple[str, Headers]:
        """The request line and the header fields."""
        while b"\r\n\r\n" not in self._unread:
            self._read_more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines]
        return line, Headers((name, value.strip()) for name, _, value in fields)

    def upgrade(self, extra: HeaderList = (), *, then: bytes = b"") -> Headers:
        """Read the opening handshake and accept it; `then` goes out in the same packet."""
        _, headers = self.read_request()
        self.send_raw(switching(headers, extra) + then)
        self._frames = Connection(ConnectionType.SERVER)
        return headers


def switching(request: Headers, extra: HeaderList = (), *, leave_out: str = "") -> bytes:
    """The 101 response to a request, perhaps without one of its fields."""
    token = hashlib.sha1(request["sec-websocket-key"].encode() + _GUID).digest()
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", base64.b64encode(token).decode()),
    ]
    lines = [f"{name}: {value}" for name, value in [*fields, *extra] if name != leave_out]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode("latin-1")


class RawServer:
    """Listens; the test accepts when it likes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(TIMEOUT)
        self._accepted: list[Accepted] = []

    @property
    def authority(self) -> str:
        """Host and port."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"ws://{self.authority}/"

    def accept(self, *, answer_close: bool = True) -> Accepted:
        """The next connection."""
        accepted = Accepted(self._socket.accept()[0], answer_close=answer_close)
        self._accepted.append(accepted)
        return accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()
        for accepted in self._accepted:
            accepted.dispose()
