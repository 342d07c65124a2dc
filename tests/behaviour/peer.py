"""The other side of a WebSocket, as a test plays it: blocking, with deadlines."""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import Opcode

from windsock.core import Headers

from .sync import TIMEOUT

T = TypeVar("T")

HeaderList = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Close:
    """How the WebSocket ended, as the peer saw it."""

    code: int
    """1005 for a Close frame without a code, 1006 where the stream ended without a Close frame."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to an HTTP request; a 101 has no body."""

    status: int
    headers: Headers
    body: bytes = b""


class Peer(ABC):
    """A client of the server under test. What every host can offer; `WirePeer` can do more."""

    answer: Answer
    """What the server answered to the opening handshake."""

    @abstractmethod
    def send(self, message: str | bytes) -> None:
        """Send a message."""

    @abstractmethod
    def receive(self) -> str | bytes | Close:
        """The next message, or how the WebSocket ended; a Close frame is answered at once."""

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a Close frame; 1005 sends one without a code."""

    @abstractmethod
    def abort(self) -> None:
        """Be gone without a word."""

    @abstractmethod
    def dispose(self) -> None:
        """Free everything, whatever state it is in."""

    def take(self, count: int) -> list[str | bytes | Close]:
        """The next `count` messages."""
        return [self.receive() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
    declared_length: int | None = None,
) -> bytes:
    """One frame (RFC 6455 §5.2), be it a legal one or not."""
    length = len(payload) if declared_length is None else declared_length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    second = 0x80 if mask else 0
    if length <= 125:
        head = bytes([first, second | length])
    elif length < 2**16:
        head = bytes([first, second | 126]) + struct.pack("!H", length)
    else:
        head = bytes([first, second | 127]) + struct.pack("!Q", length)
    if not mask:
        return head + payload
    return head + bytes(4) + payload  # a key of zeros masks nothing


def handshake_request(
    target: str,
    headers: HeaderList = (),
    *,
    subprotocols: Iterable[str] = (),
    host: str = "test.example",
) -> bytes:
    """A valid opening handshake (RFC 6455 §4.1)."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    offered = ", ".join(subprotocols)
    if offered:
        lines.append(f"Sec-WebSocket-Protocol: {offered}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


RECEIVE_SIZE: Final = 65536


class WirePeer(Peer):
    """A client on a TCP connection, in control of every byte."""

    masks: ClassVar[bool] = True
    """Whether its frames are masked (RFC 6455 §5.3)."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        receive_buffer: int | None = None,
        send_buffer: int | None = None,
        answer_pings: bool = True,
        answer_close: bool = True,
    ) -> None:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sock.settimeout(TIMEOUT)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        self._begin(sock, answer_pings=answer_pings, answer_close=answer_close)

    def _begin(self, sock: socket.socket, *, answer_pings: bool, answer_close: bool) -> None:
        self.socket = sock
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer_pings = answer_pings
        self._answer_close = answer_close
        self._unread = b""
        self._frames: Connection | None = None
        self._part: list[Any] = []
        self._inbox: deque[str | bytes | Close] = deque()
        self._pings: deque[bytes] = deque()
        self._pongs: deque[bytes] = deque()

    # HTTP

    def open(self, request: bytes) -> None:
        """Send the opening handshake, perhaps with more after it, and read the answer."""
        self.send_raw(request)
        self.answer = self.read_answer()
        if self.answer.status == 101:
            extensions: list[Extension] = []
            if "sec-websocket-extensions" in self.answer.headers:
                deflate = PerMessageDeflate()
                deflate.finalize(self.answer.headers["sec-websocket-extensions"])
                extensions.append(deflate)
            self._frames = Connection(ConnectionType.CLIENT, extensions)
            unread, self._unread = self._unread, b""
            self._feed(unread)

    def read_answer(self, method: str = "GET") -> Answer:
        """Read one HTTP response.

        Raises:
            EOFError: there is none.
        """
        while b"\r\n\r\n" not in self._unread:
            self._read_more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines]
        headers = Headers((name, value.strip()) for name, _, value in fields)
        status = int(status_line.split(" ")[1])
        if status in {101, 204, 304} or method == "HEAD":
            return Answer(status, headers)
        return Answer(status, headers, self._read_body(headers))

    def _read_body(self, headers: Headers) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                while b"\r\n" not in self._unread:
                    self._read_more()
                size, _, self._unread = self._unread.partition(b"\r\n")
                chunk = self._read_exactly(int(size, 16) + 2)[:-2]
                if not chunk:
                    return body
                body += chunk
        if "content-length" in headers:
            return self._read_exactly(int(headers["content-length"]))
        return self.read_to_the_end()

    def _read_exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._read_more()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _read_more(self) -> None:
        data = self.socket.recv(RECEIVE_SIZE)
        if not data:
            raise EOFError(f"the server hung up after {self._unread!r}")
        self._unread += data

    def read_to_the_end(self) -> bytes:
        """All that the server sends until it hangs up."""
        chunks = [self._unread]
        self._unread = b""
        while chunk := self._receive_raw():
            chunks.append(chunk)
        return b"".join(chunks)

    def _receive_raw(self) -> bytes:
        try:
            return self.socket.recv(RECEIVE_SIZE)
        except ConnectionError:  # reset: the server is gone all the same
            return b""

    # Frames

    @property
    def frames(self) -> Connection:
        """The frame engine, once the WebSocket is open."""
        assert self._frames is not None, "the WebSocket is not open"
        return self._frames

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def send_until_stalled(self, data: bytes, seconds: float) -> int:
        """Send until nothing more is taken for some seconds; how many bytes were."""
        sent = 0
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < len(data):
                sent += self.socket.send(memoryview(data)[sent : sent + RECEIVE_SIZE])
        self.socket.settimeout(TIMEOUT)
        return sent

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.send_raw(self.frames.send(events.TextMessage(data=message)))
        else:
            self.send_raw(self.frames.send(events.BytesMessage(data=message)))

    def ping(self, payload: bytes) -> None:
        """Send a Ping."""
        self.send_raw(self.frames.send(events.Ping(payload=payload)))

    def close(self, code: int = 1000, reason: str = "") -> None:
        if code == 1005:
            self.send_raw(frame(Opcode.CLOSE, mask=self.masks))
            self.frames.send(events.CloseConnection(code=1000))  # for its state only
        else:
            self.send_raw(self.frames.send(events.CloseConnection(code=code, reason=reason)))

    def receive(self) -> str | bytes | Close:
        return self._next(self._inbox)

    def receive_ping(self) -> bytes:
        """The payload of the server's next Ping."""
        return self._next(self._pings)

    def receive_pong(self) -> bytes:
        """The payload of the server's next Pong."""
        return self._next(self._pongs)

    def _next(self, found: deque[T]) -> T:
        while not found:
            data = self._receive_raw()
            if data:
                self._feed(data)
            elif self._inbox and isinstance(self._inbox[-1], Close):
                raise AssertionError("the WebSocket has ended already")
            else:
                self._inbox.append(Close(1006))
        return found.popleft()

    def _feed(self, data: bytes) -> None:
        if not data:
            return
        assert self.frames.state is not ConnectionState.CLOSED, f"sent after Close: {data!r}"
        self.frames.receive_data(data)
        for event in self.frames.events():
            if isinstance(event, events.Message):
                self._part.append(event.data)
                if event.message_finished:
                    self._inbox.append(type(event.data)().join(self._part))
                    self._part = []
            elif isinstance(event, events.Ping):
                self._pings.append(bytes(event.payload))
                if self._answer_pings and self.frames.state is ConnectionState.OPEN:
                    self.send_raw(self.frames.send(event.response()))
            elif isinstance(event, events.Pong):
                self._pongs.append(bytes(event.payload))
            else:
                assert isinstance(event, events.CloseConnection)
                self._take_close(event)

    def _take_close(self, event: events.CloseConnection) -> None:
        if self.frames.state in {ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING}:
            # wsproto's way to say that it does not understand what it was fed.
            raise AssertionError(f"the other side broke the protocol: {event.reason}")
        code = 1005 if event.code is None else int(event.code)
        self._inbox.append(Close(code, event.reason or ""))
        if self._answer_close and self.frames.state is ConnectionState.REMOTE_CLOSING:
            self.send_raw(self.frames.send(event.response()))

    # The end

    def ended(self) -> bool:
        """Wait until the server hangs up; whether nothing came before that."""
        return self.read_to_the_end() == b""

    def hang_up(self) -> None:
        """End the stream to the server; what it sends can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def dispose(self) -> None:
        self.socket.close()
