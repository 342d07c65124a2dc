"""One masked message into a server's side of a WebSocket and its echo out again, per library.

A case is a piece of a client's stream; an implementation takes it and returns the bytes of the
echoes. All are past their opening handshake, without extensions.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from sys import modules
from typing import Final

from websockets.frames import Opcode
from websockets.protocol import State as WebsocketsState
from websockets.server import ServerProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from windsock.core import Config, ServerConnection
from windsock.core.protocol.frames import FrameEngine, Role

Echo = Callable[[bytes], bytes]

_ROOM: Final = 1 << 20  # for as much as a read can bring

_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A piece of a client's stream."""

    stream: bytes
    messages: int
    """How many messages are in it."""
    echo: bytes
    """What must come out."""


def _frame(first: int, payload: bytes, key: bytes | None) -> bytes:
    size, mask = len(payload), 0 if key is None else 0x80
    head = bytes((first, mask | size)) if size < 126 else bytes((first, mask | 126))
    head += size.to_bytes(2, "big") if size >= 126 else b""
    if key is None:
        return head + payload
    masked = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return head + key + masked


def _case(first: int, payload: bytes, messages: int) -> Case:
    keys = [bytes(((17 * index + 3) % 256, 90, 200 - index, 41)) for index in range(messages)]
    return Case(
        b"".join(_frame(first, payload, key) for key in keys),
        messages,
        _frame(first, payload, None) * messages,
    )


CASES: Final = {
    "1x32B": _case(0x81, b"thirty-two bytes of plain ASCII.", 1),
    "32x32B": _case(0x81, b"thirty-two bytes of plain ASCII.", 32),
    "1x16KiB": _case(0x82, bytes(range(256)) * 64, 1),
}
"""By name, messages × size: text of 32 bytes one at a time and 32 in one read; binary."""


def windsock_frames() -> Echo:
    """windsock's frame engine alone, without the connection's short cut for whole messages."""
    engine = FrameEngine(Role.SERVER, Config())
    messages: deque[str | bytes] = deque()

    def echo(data: bytes) -> bytes:
        engine.receive_data(data)
        engine.take_messages(messages, _ROOM)  # as all transports do, before `next_event`
        out = [engine.encode_message(message) for message in messages]
        messages.clear()
        return b"".join(out)

    return echo


def windsock_connection() -> Echo:
    """windsock's ServerConnection, with all its rules, timers and limits, as transports use it."""
    connection = ServerConnection(now=0.0)
    connection.receive_data(_REQUEST, 0.0)
    connection.next_event()
    connection.accept(now=0.0)
    connection.data_to_send()
    connection.next_event()
    messages: deque[str | bytes] = deque()

    def echo(data: bytes) -> bytes:
        connection.receive_messages(data, 1.0, messages, _ROOM)  # as all transports do
        while messages:
            connection.send(messages.popleft())
        return connection.data_to_send()

    return echo


def wsproto_connection() -> Echo:
    """wsproto's Connection: frames and messages."""
    connection = Connection(ConnectionType.SERVER)

    def echo(data: bytes) -> bytes:
        connection.receive_data(data)
        out: list[bytes] = []
        for event in connection.events():
            if isinstance(event, TextMessage):
                out.append(connection.send(TextMessage(data=event.data)))
            elif isinstance(event, BytesMessage):
                out.append(connection.send(BytesMessage(data=event.data)))
        return b"".join(out)

    return echo


def websockets_protocol() -> Echo:
    """websockets' sans-IO ServerProtocol, with its C extension where that is installed."""
    protocol = ServerProtocol(state=WebsocketsState.OPEN)

    def echo(data: bytes) -> bytes:
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if getattr(frame, "opcode", None) is Opcode.TEXT:
                protocol.send_text(frame.data)  # type: ignore[union-attr]  # a Frame
            else:
                protocol.send_binary(frame.data)  # type: ignore[union-attr]  # a Frame
        return b"".join(protocol.data_to_send())

    return echo


def is_accelerated() -> bool:
    """Whether windsock runs with compiled code: `WINDSOCK_PURE=1` turns it off."""
    if os.environ.get("WINDSOCK_PURE"):
        return False
    return any(
        name.startswith("windsock.")
        and isinstance(getattr(module.__spec__, "loader", None), ExtensionFileLoader)
        for name, module in modules.items()
    )


IMPLEMENTATIONS: Final[dict[str, Callable[[], Echo]]] = {
    "windsock": windsock_frames,
    "windsock-connection": windsock_connection,
    "wsproto": wsproto_connection,
    "websockets": websockets_protocol,
}
"""Makers of a fresh connection each, by name."""
