"""Our clients, against a server that the test plays."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

import windsock.asyncio
import windsock.threads
import windsock.trio
import windsock.twisted
from windsock.core import Config, Disconnected, HandshakeError, LocalProtocolError

from . import anyloop as anyio
from .anyloop import start_blocking_portal
from .blocking import connect_blocking
from .exceptions import WITHOUT_TASKS
from .peer import Close, frame
from .raw_server import RawServer, switching
from .sync import TIMEOUT, Gate, Observed, pause

CLIENTS: dict[str, tuple[ModuleType, str, dict[str, Any]]] = {
    "trio": (windsock.trio, "trio", {}),
    "asyncio": (windsock.asyncio, "asyncio", {}),
    "asyncio+uvloop": (windsock.asyncio, "asyncio", {"use_uvloop": True}),
    "twisted": (windsock.twisted, "twisted", {}),
}


class Client(ABC):
    """A transport's `connect`, and what runs it beside the test."""

    connect: Callable[..., AbstractAsyncContextManager[Any]]

    @abstractmethod
    def start(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Run a coroutine function; the future has its result."""

    @abstractmethod
    async def give_up_receiving(self, ws: Any, seconds: float) -> None:
        """Receive, but not for longer than some seconds."""


class LoopClient(Client):
    """On an event loop in a thread."""

    def __init__(self, transport: ModuleType, portal: BlockingPortal) -> None:
        self.connect = transport.connect
        self._portal = portal

    def start(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        return self._portal.start_task_soon(function)

    async def give_up_receiving(self, ws: Any, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await ws.receive()


class BlockingClient(Client):
    """Without an event loop: coroutines that block."""

    def __init__(self, pool: Executor) -> None:
        self.connect = connect_blocking
        self._pool = pool

    def start(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        def run() -> Any:
            with pytest.raises(StopIteration) as done:
                function().send(None)
            return done.value.value

        return self._pool.submit(run)

    async def give_up_receiving(self, ws: Any, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=seconds)


@pytest.fixture(params=[*CLIENTS, "threads"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param == "threads":
        with ThreadPoolExecutor(1) as pool:
            yield BlockingClient(pool)
        return
    transport, backend, options = CLIENTS[request.param]
    with start_blocking_portal(backend, options) as portal:
        yield LoopClient(transport, portal)
        portal.start_task_soon(portal.stop, True).result(TIMEOUT)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


def test_messages_and_a_close_both_ways(client: Client, server: RawServer) -> None:
    async def use() -> tuple[int | None, str | None]:
        async with client.connect(server.url) as ws:
            await ws.send("text")
            await ws.send(b"bytes")
            assert await ws.receive() == "text back"
            assert await ws.receive() == b"bytes back"
        return ws.code, ws.reason

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.take(2) == ["text", b"bytes"]
    peer.send("text back")
    peer.send(b"bytes back")
    assert peer.receive() == Close(1000)
    peer.dispose()
    assert used.result(TIMEOUT) == (1000, "")


def test_the_request_says_what_was_asked_for(client: Client, server: RawServer) -> None:
    async def use() -> tuple[str | None, str, str]:
        url = f"ws://user:p%40ss@{server.authority}/caf%C3%A9?q=1"
        options = {"subprotocols": ["one", "two"], "headers": [("X-Mood", "sunny")]}
        async with client.connect(url, **options) as ws:
            assert ws.response_headers is not None
            return ws.subprotocol, ws.response_headers["x-served-by"], ws.request.path

    used = client.start(use)
    peer = server.accept()
    line, headers = peer.read_request()
    assert line == "GET /caf%C3%A9?q=1 HTTP/1.1"
    assert headers["host"] == server.authority
    assert headers["sec-websocket-protocol"] == "one, two"
    assert headers["sec-websocket-version"] == "13"
    assert headers["x-mood"] == "sunny"
    assert headers["authorization"] == "Basic dXNlcjpwQHNz"
    chosen = [("Sec-WebSocket-Protocol", "two"), ("X-Served-By", "a test")]
    peer.send_raw(switching(headers, chosen))
    peer.hang_up()
    assert used.result(TIMEOUT) == ("two", "a test", "/café")


def test_messages_sent_along_with_the_101_are_not_lost(client: Client, server: RawServer) -> None:
    async def use() -> list[str | bytes]:
        async with client.connect(server.url) as ws:
            return [await ws.receive(), await ws.receive()]

    used = client.start(use)
    peer = server.accept()
    peer.upgrade(then=frame(1, b"early", mask=False) + frame(2, b"bird", mask=False))
    assert peer.receive() == Close(1000)
    peer.dispose()
    assert used.result(TIMEOUT) == ["early", b"bird"]


def test_frames_are_masked_with_fresh_keys(client: Client, server: RawServer) -> None:
    async def use() -> None:
        async with client.connect(server.url) as ws:
            await ws.send("same")
            await ws.send("same")
            await ws.receive()

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    first, second = peer.socket.recv(10, 0x100), peer.socket.recv(10, 0x100)  # MSG_WAITALL
    assert first[:2] == second[:2] == b"\x81\x84"
    assert first[2:6] != second[2:6]
    peer.send("thanks")
    assert peer.receive() == Close(1000)
    peer.dispose()
    used.result(TIMEOUT)


REFUSED = b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nnope"


def test_a_refusal_has_status_headers_and_body(client: Client, server: RawServer) -> None:
    async def use() -> HandshakeError:
        with pytest.raises(HandshakeError) as caught:
            await client.connect(server.url).__aenter__()
        return caught.value

    used = client.start(use)
    peer = server.accept()
    peer.read_request()
    peer.send_raw(REFUSED)
    error = used.result(TIMEOUT)
    assert (error.status, error.headers["x-why"], error.body) == (403, "because", b"nope")


BAD_ANSWERS: dict[str, tuple[dict[str, Any], int | None]] = {
    "no Upgrade": ({"leave_out": "Upgrade"}, 101),
    "no Connection": ({"leave_out": "Connection"}, 101),
    "no token": ({"leave_out": "Sec-WebSocket-Accept"}, 101),
    "a wrong token": ({"extra": [("Sec-WebSocket-Accept", "x")]}, 101),
    "a subprotocol that was not offered": ({"extra": [("Sec-WebSocket-Protocol", "x")]}, 101),
    "an extension that was not offered": ({"extra": [("Sec-WebSocket-Extensions", "x")]}, 101),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_101_that_breaks_the_rules_is_refused(
    client: Client, server: RawServer, case: str
) -> None:
    options, status = BAD_ANSWERS[case]

    async def use() -> int | None:
        with pytest.raises(HandshakeError) as caught:
            await client.connect(server.url).__aenter__()
        return caught.value.status

    used = client.start(use)
    peer = server.accept()
    _, headers = peer.read_request()
    peer.send_raw(switching(headers, **options))
    assert used.result(TIMEOUT) == status


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swit", b"\x00\x01garbage\r\n\r\n"])
def test_what_is_no_answer_has_no_status(client: Client, server: RawServer, answer: bytes) -> None:
    async def use() -> int | None:
        with pytest.raises(HandshakeError) as caught:
            await client.connect(server.url).__aenter__()
        return caught.value.status

    used = client.start(use)
    peer = server.accept()
    peer.read_request()
    peer.send_raw(answer)
    peer.hang_up()
    assert used.result(TIMEOUT) is None


def test_an_answer_that_does_not_come_is_given_up(client: Client, server: RawServer) -> None:
    async def use() -> float:
        began = time.monotonic()
        with pytest.raises((HandshakeError, TimeoutError)):
            await client.connect(server.url, config=Config(open_timeout=0.3)).__aenter__()
        return time.monotonic() - began

    used = client.start(use)
    server.accept().read_request()
    assert 0.25 < used.result(TIMEOUT) < 5


def test_nobody_listening_is_an_oserror(client: Client) -> None:
    with RawServer() as gone:
        url = gone.url

    async def use() -> None:
        with pytest.raises(OSError):
            await client.connect(url).__aenter__()

    client.start(use).result(TIMEOUT)


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 4000])
def test_the_servers_end_is_told(client: Client, server: RawServer, code: int) -> None:
    async def use() -> tuple[int, bool]:
        with pytest.raises(Disconnected) as caught:
            async with client.connect(server.url) as ws:
                await ws.receive()
        return caught.value.code, caught.value.clean

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    if code == 1006:
        peer.abort()
    else:
        peer.close(code)
        answer = peer.receive()
        assert isinstance(answer, Close)
        peer.dispose()
    assert used.result(TIMEOUT) == (code, code != 1006)


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 4000])
def test_iteration_ends_silently_on_an_orderly_goodbye_only(
    client: Client, server: RawServer, code: int
) -> None:
    async def use() -> list[Any]:
        found: list[Any] = []
        try:
            async with client.connect(server.url) as ws:
                async for message in ws:
                    found.append(message)
        except Disconnected as disconnected:
            found.append(disconnected.code)
        return found

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    peer.send("one")
    peer.close(code)
    peer.receive()
    peer.dispose()
    assert used.result(TIMEOUT) == (["one"] if code in {1000, 1001, 1005} else ["one", code])


def test_the_bodys_exception_comes_out_as_it_is_and_closes_1011(
    client: Client, server: RawServer
) -> None:
    error = RuntimeError("in the body")

    async def use() -> None:
        async with client.connect(server.url):
            raise error

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.receive() == Close(1011)
    peer.dispose()
    assert used.exception(TIMEOUT) is error


def test_close_with_code_and_reason_and_a_second_time(client: Client, server: RawServer) -> None:
    async def use() -> None:
        async with client.connect(server.url) as ws:
            with pytest.raises(LocalProtocolError):
                await ws.close(1006)
            await ws.close(4000, "enough")
            await ws.close(4001)
            with pytest.raises(Disconnected):
                await ws.send("late")

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.receive() == Close(4000, "enough")
    peer.dispose()
    used.result(TIMEOUT)


def test_a_client_has_nothing_to_accept_or_reject(client: Client, server: RawServer) -> None:
    async def use() -> None:
        async with client.connect(server.url) as ws:
            for attempt in (ws.accept, ws.reject):
                with pytest.raises(LocalProtocolError):
                    await attempt()

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.receive() == Close(1000)
    peer.dispose()
    used.result(TIMEOUT)


@pytest.mark.parametrize(
    ("hostile", "code"),
    [
        (frame(1, b"masked"), 1002),
        (frame(3, b"", mask=False), 1002),
        (frame(1, b"\xff", mask=False), 1007),
        (frame(2, b"", mask=False, declared_length=2**40), 1009),
    ],
)
def test_a_server_that_breaks_the_rules_is_failed(
    client: Client, server: RawServer, hostile: bytes, code: int
) -> None:
    async def use() -> int:
        with pytest.raises(Disconnected) as caught:
            async with client.connect(server.url) as ws:
                await ws.receive()
        return caught.value.code

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    peer.send_raw(hostile)
    close = peer.receive()
    assert isinstance(close, Close)
    assert close.code == code
    peer.dispose()
    assert used.result(TIMEOUT) == code


def test_pings_are_answered_and_a_gone_server_is_noticed_though_nobody_reads(
    client: Client, server: RawServer
) -> None:
    seen = Observed()

    async def use() -> None:
        async with client.connect(server.url) as ws:
            while not ws.closed:  # such users exist, and must be served
                await pause(0.01)
            seen.put(ws.code)

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    peer.ping(b"there?")
    assert peer.receive_pong() == b"there?"
    began = time.monotonic()
    peer.abort()
    assert seen.get() == 1006
    assert time.monotonic() - began < 1
    used.result(TIMEOUT)


def test_ping_measures_the_way_there_and_back(client: Client, server: RawServer) -> None:
    async def use() -> tuple[float, float | None]:
        async with client.connect(server.url) as ws:
            return await ws.ping(), ws.latency

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.receive_ping()
    assert peer.receive() == Close(1000)
    peer.dispose()
    elapsed, latency = used.result(TIMEOUT)
    assert 0 <= elapsed < 5
    assert latency is not None


def test_a_cancelled_receive_loses_nothing(client: Client, server: RawServer) -> None:
    gate = Gate()

    async def use() -> list[str | bytes]:
        async with client.connect(server.url) as ws:
            await client.give_up_receiving(ws, 0.02)
            await ws.send("cancelled")
            await gate.wait()
            return [await ws.receive() for _ in range(3)]

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert peer.receive() == "cancelled"
    for number in range(3):
        peer.send(str(number))
    gate.open()
    assert peer.receive() == Close(1000)
    peer.dispose()
    assert used.result(TIMEOUT) == ["0", "1", "2"]


def test_a_cancelled_client_says_that_it_goes_away(client: Client, server: RawServer) -> None:
    if isinstance(client, BlockingClient):
        pytest.skip(f"threads: {WITHOUT_TASKS['threads']}")

    async def use() -> str:
        with anyio.move_on_after(0.1):
            async with client.connect(server.url) as ws:
                await ws.receive()
        return "went on"

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    close = peer.receive()
    assert close in (Close(1001), Close(1006))
    peer.dispose()
    assert used.result(TIMEOUT) == "went on"


def test_send_waits_while_the_server_does_not_read(client: Client, server: RawServer) -> None:
    seen = Observed()
    message = bytes(10_000)

    async def use() -> None:
        async with client.connect(server.url) as ws:
            for number in range(1500):
                await ws.send(message)
                seen.put(number)

    used = client.start(use)
    peer = server.accept()
    peer.upgrade()
    assert 0 < len(seen.until_quiet(0.3)) * len(message) < 14_000_000
    for _ in range(1500):
        assert peer.receive() == message
    assert peer.receive() == Close(1000)
    peer.dispose()
    used.result(TIMEOUT)


def test_close_does_not_wait_forever_for_the_servers_answer(
    client: Client, server: RawServer
) -> None:
    async def use() -> float:
        config = Config(close_timeout=0.3)
        async with client.connect(server.url, config=config) as ws:
            began = time.monotonic()
            await ws.close()
            return time.monotonic() - began

    used = client.start(use)
    peer = server.accept(answer_close=False)
    peer.upgrade()
    assert peer.receive() == Close(1000)
    assert 0.25 < used.result(TIMEOUT) < 5
