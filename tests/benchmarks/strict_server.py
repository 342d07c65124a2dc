"""An echo server that believes nothing: it holds every byte of the load generator to RFC 6455."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from typing import BinaryIO, Final, Self

TIMEOUT: Final = 20.0
PATH: Final = "/chat"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


class StrictServer:
    """Takes connections on 127.0.0.1, each in a thread, and notes what was wrong with any."""

    def __init__(self, *, damage: bool = False, mute: bool = False) -> None:
        self.mute = mute
        """Whether it never answers."""
        self.damage = damage
        """Whether the last byte of each echo is another."""
        self.keys: set[bytes] = set()
        """Every masking key that was used."""
        self.messages: list[tuple[int, bytes]] = []
        """Opcode and payload of all data frames."""
        self.closes: list[bytes] = []
        """Payloads of all Close frames."""
        self.pongs: list[bytes] = []
        """Payloads of all Pongs."""
        self.complaints: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # the first one adds no more once it is done
            thread.join(TIMEOUT)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                _Peer(self, connection, stream).serve()
            except AssertionError as error:
                self.complaints.append(str(error) or repr(error))
            except (OSError, EOFError):
                pass  # it goes when its time is up


class _Peer:
    def __init__(self, server: StrictServer, connection: socket.socket, stream: BinaryIO) -> None:
        self._server = server
        self._connection = connection
        self._stream = stream
        self._compressed = False

    def serve(self) -> None:
        self._shake_hands()
        while self._take_frame():
            pass

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _read_line(self) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _shake_hands(self) -> None:
        assert self._read_line() == f"GET {PATH} HTTP/1.1\r\n".encode()
        headers: dict[bytes, bytes] = {}
        while (line := self._read_line()) != b"\r\n":
            assert line[-2:] == b"\r\n"
            name, colon, value = line[:-2].partition(b": ")
            assert colon
            assert name.lower() not in headers
            headers[name.lower()] = value
        assert headers.pop(b"host") == b"127.0.0.1:%d" % self._server.port
        assert headers.pop(b"upgrade") == b"websocket"
        assert headers.pop(b"connection") == b"Upgrade"
        assert headers.pop(b"sec-websocket-version") == b"13"
        key = headers.pop(b"sec-websocket-key")
        assert len(base64.b64decode(key, validate=True)) == 16
        offered = headers.pop(b"sec-websocket-extensions", None)
        assert offered in {None, b"permessage-deflate; client_max_window_bits"}
        assert not headers
        self._compressed = offered is not None
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if offered else b""
        token = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + token + b"\r\n" + extension + b"\r\n"
        )

    def _take_frame(self) -> bool:
        first, second = self._read(2)
        opcode = first & 0x0F
        assert opcode in {_TEXT, _BINARY, _CLOSE, _PONG}, f"opcode {opcode}"
        assert second & 0x80, "a frame that is not masked (§5.1)"
        assert first & 0x80, "a fragment"
        assert bool(first & 0x40) == (self._compressed and opcode < _CLOSE), "RSV1"
        assert not first & 0x30, "RSV2 or RSV3"
        payload = self._read_payload(second & 0x7F)
        if opcode == _PONG:
            self._server.pongs.append(payload)
        elif opcode == _CLOSE:
            self._server.closes.append(payload)
            self._connection.sendall(bytes((0x80 | _CLOSE, len(payload))) + payload)
            return False
        else:
            if opcode == _TEXT and not self._compressed:
                payload.decode("ascii")
            self._server.messages.append((opcode, payload))
            if self._server.damage:
                payload = payload[:-1] + bytes((payload[-1] ^ 1,))
            if not self._server.mute:
                self._connection.sendall(_echo(first, payload))
        return True

    def _read_payload(self, size: int) -> bytes:
        if size == 126:
            size = int.from_bytes(self._read(2), "big")
            assert size >= 126, "a length that is not minimal (§5.2)"
        elif size == 127:
            size = int.from_bytes(self._read(8), "big")
            assert 65536 <= size < 1 << 63, "a length that is not minimal (§5.2)"
        key = self._read(4)
        self._server.keys.add(key)
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        return (int.from_bytes(self._read(size), "big") ^ mask).to_bytes(size, "big")


def _echo(first: int, payload: bytes) -> bytes:
    """One frame; two fragments with a Ping between them (§5.4) where it is long."""
    if len(payload) < 65536:
        return _frame(first, payload)
    half = len(payload) // 2
    return (
        _frame(first & 0x7F, payload[:half])
        + _frame(0x80 | _PING, b"still there?")
        + _frame(0x80 | _CONTINUATION, payload[half:])
    )


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
