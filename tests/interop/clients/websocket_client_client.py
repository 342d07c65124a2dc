"""The client of websocket-client, which blocks."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import websocket

from tests.interop.loops import TIMEOUT
from tests.interop.places import Place

from .base import ClientSocket, Close, Offer, Refused


class _Socket(ClientSocket):
    def __init__(self, connection: websocket.WebSocket) -> None:
        self._connection = connection
        self.subprotocol = connection.getsubprotocol()
        self.headers = {
            name.lower(): value for name, value in (connection.getheaders() or {}).items()
        }

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._connection.send_text(message)
        else:
            self._connection.send_bytes(message)

    def send_fragments(self, parts: Sequence[str]) -> None:
        for number, part in enumerate(parts):
            opcode = websocket.ABNF.OPCODE_CONT if number else websocket.ABNF.OPCODE_TEXT
            last = number == len(parts) - 1
            # Given a str, it encodes the first fragment as UTF-8 and the others as Latin-1.
            frame = websocket.ABNF.create_frame(part.encode(), opcode, 1 if last else 0)
            self._connection.send_frame(frame)

    def receive(self) -> str | bytes | Close:
        opcode, data = self._connection.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return Close(struct.unpack("!H", data[:2])[0], data[2:].decode())
        text = opcode == websocket.ABNF.OPCODE_TEXT
        return data.decode() if text else bytes(data)

    def ping(self, payload: bytes) -> None:
        self._connection.ping(payload)
        opcode, data = self._connection.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_PONG
        assert data == payload

    def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason.encode())


@contextlib.contextmanager
def connect(place: Place, offer: Offer) -> Iterator[ClientSocket]:
    options: dict[str, Any] = {}
    if place.unix is not None:
        options["socket"] = sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(place.unix)
    try:
        connection = websocket.create_connection(
            place.url(offer.target),
            timeout=TIMEOUT,
            header=[f"{name}: {value}" for name, value in offer.headers],
            subprotocols=list(offer.subprotocols),
            sslopt={} if place.tls is None else {"context": place.tls},
            http_no_proxy=["*"],
            **options,
        )
    except websocket.WebSocketBadStatusException as error:
        raise Refused(error.status_code, bytes(error.resp_body or b"")) from None
    try:
        yield _Socket(connection)
    finally:
        connection.close(timeout=TIMEOUT)
        connection.shutdown()  # type: ignore[no-untyped-call]  # `close` leaves the socket open once a Close frame was received
