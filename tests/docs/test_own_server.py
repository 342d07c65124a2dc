"""docs/examples/selectors_server.py against clients that know nothing of it."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websockets_connect

import windsock.asyncio
from windsock.core import Config, Deflate

TIMEOUT = 20.0  # seconds, for anything at all
PATH = Path(__file__).parents[2] / "docs" / "examples" / "selectors_server.py"

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("selectors_server", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Running:
    """The example's server in a thread."""

    def __init__(self, address: tuple[str, int], stop: list[int], thread: threading.Thread) -> None:
        self.address = address
        self.url = "ws://{}:{}/".format(*address)
        self._stop = stop
        self._thread = thread

    def stop(self) -> None:
        """Begin the graceful shutdown."""
        self._stop.append(1)

    def join(self) -> None:
        """Wait until everybody has gone."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the server does not end"

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=TIMEOUT)


Start = Callable[[Config], Running]


@contextmanager
def running(config: Config, module: ModuleType) -> Iterator[Running]:
    stop: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=module.serve, args=(listener, config, stop), daemon=True)
        thread.start()
        server = Running(listener.getsockname(), stop, thread)
        yield server
        server.stop()
        server.join()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = _load()
    monkeypatch.setattr(loaded, "TICK", 0.02)
    return loaded


@pytest.fixture
def start(module: ModuleType) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(running(config, module))


@pytest.fixture
def server(start: Start) -> Running:
    return start(Config(close_timeout=5))


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server has ended its side."""
    data = bytearray()
    while piece := sock.recv(65536):
        data += piece
    return bytes(data)


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = bytearray()
    while not data.endswith(end):
        piece = sock.recv(1)
        assert piece, f"the stream ended after {bytes(data)!r}"
        data += piece
    return bytes(data)


def open_raw(server: Running) -> socket.socket:
    sock = server.connect()
    sock.sendall(HANDSHAKE)
    assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return sock


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame, its mask all zeros."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([first]) + length + bytes(4) + payload


def flood(sock: socket.socket, message: bytes) -> None:
    """Send it again and again, until that fails."""
    while True:
        sock.sendall(message)


def send_until_stuck(sock: socket.socket, message: bytes) -> int:
    """Send it again and again until nobody takes any more; how many bytes that was.

    Then the buffers of both kernels are full, and the server waits.
    """
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < 100_000_000:
            sent += sock.send(message[sent % len(message) :])
    except TimeoutError:
        return sent
    raise AssertionError("the server takes everything")


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A server's Close frame."""
    payload = code.to_bytes(2, "big") + reason
    return bytes([0x88, len(payload)]) + payload


def test_it_is_short_and_imports_nothing_else() -> None:
    source = PATH.read_text()
    assert len(source.splitlines()) < 120
    imports = {line.split()[1] for line in source.splitlines() if line.split()[:1] == ["import"]}
    assert imports == {"contextlib", "selectors", "signal", "socket"}
    froms = [line for line in source.splitlines() if line.startswith("from ")]
    assert froms == ["from time import monotonic", "from windsock import core"]


@pytest.mark.parametrize("message", ["", "hello", "ä" * 1000, b"", b"\x00\xff" * 40_000])
def test_echo_to_websockets(server: Running, message: str | bytes) -> None:
    with websockets_connect(server.url, compression=None, open_timeout=TIMEOUT) as client:
        client.send(message)
        assert client.recv(TIMEOUT) == message


def test_ping_and_close_with_websockets(server: Running) -> None:
    with websockets_connect(server.url, open_timeout=TIMEOUT) as client:
        assert client.ping().wait(TIMEOUT)
        client.close(4000, "enough")
    assert client.close_code == 4000
    assert client.close_reason == "enough"


def test_echo_to_our_own_client(server: Running) -> None:
    async def main() -> None:
        async with asyncio.timeout(TIMEOUT):
            async with windsock.asyncio.connect(server.url) as ws:
                for message in ("one", b"two", "", "x" * 100_000):
                    await ws.send(message)
                    assert await ws.receive() == message
                assert await ws.ping() >= 0
            assert (ws.code, ws.reason) == (1000, "")

    asyncio.run(main())


def test_compression(start: Start) -> None:
    config = Config(compression=Deflate())
    server = start(config)

    async def main() -> None:
        async with asyncio.timeout(TIMEOUT):
            async with windsock.asyncio.connect(server.url, config=config) as ws:
                assert ws.response_headers is not None
                assert "permessage-deflate" in ws.response_headers["Sec-WebSocket-Extensions"]
                await ws.send("again and again " * 1000)
                assert await ws.receive() == "again and again " * 1000

    asyncio.run(main())


def test_many_connections(server: Running) -> None:
    count = 100

    async def one(number: int) -> None:
        async with windsock.asyncio.connect(server.url) as ws:
            for turn in range(10):
                await ws.send(f"{number} {turn}")
                assert await ws.receive() == f"{number} {turn}"

    async def main() -> None:
        async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))

    asyncio.run(main())


def test_no_more_than_so_many(
    module: ModuleType, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 1)
    server = start(Config())
    with open_raw(server) as first:
        with server.connect() as second:
            assert read_all(second) == b""
        first.sendall(frame(0x81, b"still here"))
        assert first.recv(100) == b"\x81\x0astill here"


def test_plain_http(server: Running) -> None:
    def get(target: str) -> bytes:
        with server.connect() as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return read_all(sock)

    assert get("/health").startswith(b"HTTP/1.1 200 ")
    assert get("/health").endswith(b"\r\n\r\nok")
    assert get("/elsewhere").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), 426),
        (HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: http://elsewhere.example\r\n\r\n"), 403),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, 431),
    ],
    ids=["nonsense", "tls", "version", "key", "origin", "head"],
)
def test_bad_requests(server: Running, sent: bytes, status: int) -> None:
    with server.connect() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked
        (frame(0xC1, b"x"), 1002),  # a reserved bit
        (frame(0x83, b"x"), 1002),  # a reserved opcode
        (frame(0x89, b"x" * 126), 1002),  # a Ping that is too long
        (frame(0x81, b"\xff"), 1007),  # text that is not UTF-8
        (struct.pack("!BBQ", 0x82, 0xFF, 1 << 40), 1009),  # more than it takes
    ],
    ids=["unmasked", "rsv", "opcode", "ping", "utf-8", "size"],
)
def test_violations(server: Running, sent: bytes, code: int) -> None:
    with open_raw(server) as bad, open_raw(server) as good:
        bad.sendall(sent)
        answer = read_all(bad)
        assert answer[0] == 0x88
        assert int.from_bytes(answer[2:4], "big") == code
        good.sendall(frame(0x81, b"hello"))
        assert good.recv(100) == b"\x81\x05hello"


def test_frames_in_pieces_and_together_with_the_handshake(server: Running) -> None:
    with server.connect() as sock:
        sock.sendall(HANDSHAKE + frame(0x01, b"hel"))
        read_until(sock, b"\r\n\r\n")
        for byte in frame(0x89, b"ping") + frame(0x80, b"lo"):
            sock.sendall(bytes([byte]))
        assert read_until(sock, b"hello") == b"\x8a\x04ping\x81\x05hello"


def test_what_came_before_the_end_is_answered(server: Running) -> None:
    with server.connect() as sock:
        sock.sendall(HANDSHAKE + frame(0x81, b"hello") + frame(0x88, b""))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(b"\x81\x05hello\x88\x00")


def test_a_peer_that_goes_without_a_word(server: Running) -> None:
    sock = open_raw(server)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()  # with a reset
    open_raw(server).close()
    with open_raw(server) as sock:
        sock.sendall(frame(0x81, b"hello"))
        assert sock.recv(100) == b"\x81\x05hello"


def test_a_peer_that_does_not_read_is_not_read_either(server: Running) -> None:
    message = frame(0x82, bytes(60_000))
    echo = b"\x82" + struct.pack("!BH", 126, 60_000) + bytes(60_000)
    with open_raw(server) as deaf, open_raw(server) as good:
        sent = send_until_stuck(deaf, message)
        good.sendall(frame(0x81, b"hello"))
        assert good.recv(100) == b"\x81\x05hello"
        # All of it comes back, once it is read; nothing was lost.
        deaf.settimeout(TIMEOUT)
        rest = message[sent % len(message) :] if sent % len(message) else b""
        sender = threading.Thread(target=deaf.sendall, args=(rest,))
        sender.start()
        expected = echo * -(-sent // len(message))
        received = bytearray()
        while len(received) < len(expected):
            received += deaf.recv(1 << 20)
        sender.join(TIMEOUT)
        assert received == expected


def test_a_peer_that_never_reads_is_given_up(start: Start) -> None:
    server = start(Config(write_timeout=0.2))
    with open_raw(server) as deaf:
        with pytest.raises(ConnectionError):
            flood(deaf, frame(0x82, bytes(60_000)))


def test_a_peer_that_resets_what_is_being_written(start: Start) -> None:
    server = start(Config(close_timeout=600, write_timeout=600))
    deaf = open_raw(server)
    send_until_stuck(deaf, frame(0x82, bytes(60_000)))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deaf.close()
    server.stop()
    server.join()  # it waits for no deadline


def test_timeouts(start: Start) -> None:
    server = start(Config(open_timeout=0.2, ping_interval=0.2, ping_timeout=0.2))
    with open_raw(server) as silent, server.connect() as idle:
        assert read_all(idle).startswith(b"HTTP/1.1 408 ")
        received = read_all(silent)
        assert received[:2] == b"\x89\x08"
        assert received[10:] == close_frame(1011, b"keepalive ping timeout")


def test_a_close_that_is_never_answered(start: Start) -> None:
    server = start(Config(close_timeout=0.2))
    with open_raw(server) as sock:
        server.stop()
        assert read_until(sock, close_frame(1001)) == close_frame(1001)
        server.join()


def test_shutdown(server: Running) -> None:
    async def main() -> int | None:
        async with asyncio.timeout(TIMEOUT):
            async with windsock.asyncio.connect(server.url) as ws:
                server.stop()
                await ws.wait_closed()
            return ws.code

    assert asyncio.run(main()) == 1001
    server.join()


def test_shutdown_with_websockets(server: Running) -> None:
    with websockets_connect(server.url, open_timeout=TIMEOUT) as client:
        server.stop()
        with pytest.raises(ConnectionClosed):
            client.recv(TIMEOUT)
        assert client.close_code == 1001
