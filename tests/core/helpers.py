"""What the tests of the core share: frames by hand, connections of both roles, and transcripts."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.deflate import DeflateParameters
from windsock.core.protocol.events import (
    Event,
    HandshakeRequested,
    Opened,
    RequestHead,
    Status,
)
from windsock.core.protocol.frames import FrameEngine, FrameEvent, Role
from windsock.core.protocol.handshake import accept_token
from windsock.core.protocol.headers import Headers
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"  # RFC 6455 §5.7


# Frames


def xor(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    length: bytes | None = None,
) -> bytes:
    """A frame, however wrong: `length` is the length field from its second byte's lower bits on."""
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 1 << 16:
            length = b"\x7e" + struct.pack("!H", size)
        else:
            length = b"\x7f" + struct.pack("!Q", size)
    first = fin << 7 | rsv << 4 | opcode
    if mask is None:
        return bytes([first]) + length + payload
    masked = bytes([first, length[0] | 0x80]) + length[1:] + mask
    return masked + xor(payload, mask)


def frame_from(sender: Role, opcode: int, payload: bytes = b"", **how: object) -> bytes:
    """A frame as `sender` sends it: masked if it is the client."""
    mask = MASK if sender is Role.CLIENT else None
    return frame(opcode, payload, mask=mask, **how)  # type: ignore[arg-type]  # passed on


def close_payload(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


class Frame(NamedTuple):
    """A frame that was sent, unmasked."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0


def parse_frames(data: bytes, sender: Role) -> list[Frame]:
    """The frames in `data`, which must end where a frame ends."""
    return list(_parse_frames(data, sender))


def _parse_frames(data: bytes, sender: Role) -> Iterator[Frame]:
    position = 0
    while position < len(data):
        first, second = data[position], data[position + 1]
        position += 2
        size = second & 0x7F
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[position : position + width], "big")
            position += width
        masked = bool(second & 0x80)
        assert masked == (sender is Role.CLIENT), "masked by the wrong side"
        key = b"\0\0\0\0"
        if masked:
            key = data[position : position + 4]
            position += 4
        payload = data[position : position + size]
        assert len(payload) == size, "a torn frame"
        position += size
        yield Frame(first & 0x0F, xor(payload, key), bool(first & 0x80), first >> 4 & 7)


# Ways to cut a stream


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def in_pieces(data: bytes) -> list[bytes]:
    """Byte by byte, and on in larger pieces where there is much of it."""
    small, rest = data[:1000], data[1000:]
    return byte_by_byte(small) + [rest[i : i + 997] for i in range(0, len(rest), 997)]


Cut = Callable[[bytes], list[bytes]]
CUTS: tuple[Cut, ...] = (whole, byte_by_byte)


def pull(connection: Connection) -> list[Event]:
    """Every event that is there."""
    events: list[Event] = []
    while not isinstance(event := connection.next_event(), Status):
        events.append(event)
    return events


def feed(connection: Connection, chunks: Iterable[bytes], now: float = 0.0) -> list[Event]:
    events = []
    for chunk in chunks:
        connection.receive_data(chunk, now)
        events += pull(connection)
    return events


def pull_frames(engine: FrameEngine) -> list[FrameEvent]:
    events = []
    while (event := engine.next_event()) is not None:
        events.append(event)
    return events


def feed_frames(engine: FrameEngine, chunks: Iterable[bytes]) -> list[FrameEvent]:
    events = []
    for chunk in chunks:
        engine.receive_data(chunk)
        events += pull_frames(engine)
    return events


def decode(
    data: bytes,
    *,
    to: Role = Role.CLIENT,
    config: Config | None = None,
    deflate: DeflateParameters | None = None,
) -> list[FrameEvent]:
    """What an engine makes of `data`, which must be the same however it is cut, with either lane,
    and whatever follows."""
    outcomes = []
    for cut in (whole, in_pieces):
        for fast_lane in (True, False):
            engine = FrameEngine(to, config or Config(), deflate, fast_lane=fast_lane)
            outcomes.append(feed_frames(engine, cut(data)))
    first = outcomes[0]
    assert all(outcome == first for outcome in outcomes), outcomes
    return first


# Handshakes


def request(
    *changes: tuple[str, str | None],
    line: str = "GET /chat?room=1 HTTP/1.1",
    add: Iterable[tuple[str, str]] = (),
) -> bytes:
    """A valid opening handshake but for `changes`: None leaves a field out; `add` adds lines."""
    fields = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    for name, value in changes:
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    return head(line, [*fields.items(), *add])


def head(line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def parse_response(data: bytes) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an HTTP response."""
    start, _, body = data.partition(b"\r\n\r\n")
    line, *fields = start.decode("latin-1").split("\r\n")
    version, status, _ = line.split(" ", 2)
    assert version == "HTTP/1.1"
    pairs = (field.split(": ", 1) for field in fields)
    return int(status), Headers((name, value) for name, value in pairs), body


def switching(
    connection: ClientConnection,
    *changes: tuple[str, str | None],
    line: str = "HTTP/1.1 101 Switching Protocols",
    add: Iterable[tuple[str, str]] = (),
) -> bytes:
    """A valid 101 response to `connection`'s request but for `changes`."""
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_token(connection.request.headers["Sec-WebSocket-Key"]),
    }
    for name, value in changes:
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    return head(line, [*fields.items(), *add])


def a_request_head() -> RequestHead:
    return RequestHead("GET", "/", Headers([("Host", "example.com")]))


# Connections of both roles


def deciding_server(config: Config | None = None, now: float = 0.0) -> ServerConnection:
    server = ServerConnection(config, now=now)
    server.receive_data(request(), now)
    assert isinstance(server.next_event(), HandshakeRequested)
    return server


def open_server(config: Config | None = None, now: float = 0.0) -> ServerConnection:
    server = deciding_server(config, now)
    server.accept(now=now)
    server.data_to_send()
    return server


def open_client(config: Config | None = None, now: float = 0.0) -> ClientConnection:
    client = ClientConnection("example.com", config=config, now=now)
    client.data_to_send()
    client.receive_data(switching(client), now)
    assert isinstance(client.next_event(), Opened)
    return client


def open_connection(role: Role, config: Config | None = None, now: float = 0.0) -> Connection:
    return open_server(config, now) if role is Role.SERVER else open_client(config, now)


def other(role: Role) -> Role:
    return Role.CLIENT if role is Role.SERVER else Role.SERVER


class Pair:
    """A client and a server, and the wire between them."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        client_config: Config | None = None,
        subprotocols: Iterable[str] = (),
        accept: str | None = None,
        now: float = 0.0,
    ) -> None:
        self.server = ServerConnection(config, now=now)
        self.client = ClientConnection(
            "example.com", subprotocols=subprotocols, config=client_config or config, now=now
        )
        self.to_server(now)
        self.server.accept(accept, now=now)
        self.to_client(now)

    def to_server(self, now: float = 0.0, cut: Cut = whole) -> list[Event]:
        """Carry what the client sends, and give what the server makes of it."""
        return _carry(self.client, self.server, now, cut)

    def to_client(self, now: float = 0.0, cut: Cut = whole) -> list[Event]:
        return _carry(self.server, self.client, now, cut)


def _carry(sender: Connection, receiver: Connection, now: float, cut: Cut) -> list[Event]:
    data = sender.data_to_send()
    sender.unsent(0, now)
    return feed(receiver, cut(data) if data else [], now)


# Transcripts


class Playbook:
    """A transcript of one open connection that checks itself line by line.

    What comes in is told by `receives`, `eof`, `at`, `does`, …; after it, everything that the
    connection says must be told by `emits` and everything it writes by `sends`.
    """

    def __init__(
        self, role: Role, config: Config | None = None, *, connection: Connection | None = None
    ) -> None:
        self.role = role
        self.connection = connection or open_connection(role, config)
        self.now = 0.0

    def receives(self, opcode: int, payload: bytes = b"", **how: object) -> Self:
        return self.receives_bytes(frame_from(other(self.role), opcode, payload, **how))

    def receives_bytes(self, data: bytes) -> Self:
        self.connection.receive_data(data, self.now)
        return self

    def eof(self) -> Self:
        return self.receives_bytes(b"")

    def at(self, now: float) -> Self:
        """Time passes, deadlines are kept."""
        self.now = now
        self.connection.handle_deadline(now)
        return self

    def sends_text(self, text: str) -> Self:
        self.connection.send(text)
        return self

    def closes(self, code: int = 1000, reason: str = "") -> Self:
        self.connection.close(code, reason, self.now)
        return self

    def write_fails(self) -> Self:
        self.connection.write_failed(self.now)
        return self

    def kernel_holds(self, size: int) -> Self:
        """`size` bytes of what was handed over were not taken."""
        self.connection.unsent(size, self.now)
        return self

    def emits(self, *events: Event) -> Self:
        assert pull(self.connection) == list(events)
        return self

    def sends(self, *frames: Frame) -> Self:
        assert parse_frames(self.connection.data_to_send(), self.role) == list(frames)
        return self

    def is_now(self, state: State, *, half_close: bool = False) -> Self:
        assert self.connection.state is state
        assert self.connection.half_close is half_close
        return self

    def due(self, when: float | None) -> Self:
        assert self.connection.deadline() == when
        return self
