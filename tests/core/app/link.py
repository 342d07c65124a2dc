"""Connections without a network, tasks without an event loop, time without a clock."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, Final, Generic, NoReturn, TypeVar

from windsock.core import (
    App,
    Capabilities,
    ClientConnection,
    Config,
    HandshakeRequested,
    Request,
    WebSocket,
)
from windsock.core.app.application import Application, as_app
from windsock.core.app.channel import Channel
from windsock.core.app.client import client_channel, open_websocket
from windsock.core.app.session import serve_connection, server_channel
from windsock.core.protocol.uri import WebSocketURI, parse_uri

T = TypeVar("T")

URI: Final = parse_uri("ws://example.com/chat?room=1")
CLIENT: Final = ("192.0.2.1", 50000)
SERVER: Final = ("192.0.2.2", 80)


class Cancelled(BaseException):
    """What a cancelled task gets, as from trio and asyncio."""


class CancelledByError(Exception):
    """What a cancelled task gets where its library has an ordinary exception for that."""


class _Checkpoint:
    """A task that could be cancelled here, and goes on at once otherwise."""


_CHECKPOINT: Final = _Checkpoint()


@types.coroutine
def _suspend(reason: object) -> Generator[object, None, None]:
    yield reason


class Gate:
    """Something a task waits for until the test opens it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_open = False

    async def wait(self) -> None:
        while not self._is_open:
            await _suspend(self)

    def open(self) -> None:
        self._is_open = True
        self._world.wake(self)


class Task(Generic[T]):
    """A coroutine that the world runs."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], cancel_at: int | None) -> None:
        self._coroutine = coroutine
        self._cancel_at = cancel_at
        self._awaits = 0
        self._outcome: T | None = None
        self._error: BaseException | None = None
        self._throw: BaseException | None = None
        self.done = False
        self.ready = True
        self.waits_for: object = None

    @property
    def was_cancelled(self) -> bool:
        """Whether it has ended by its cancellation."""
        return isinstance(self._error, Cancelled)

    @property
    def error(self) -> BaseException | None:
        """What it raised."""
        assert self.done, "still running"
        return self._error

    def result(self) -> T:
        """What it returned; raises what it raised."""
        assert self.done, "still running"
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]  # it is done

    def cancel(self, error: BaseException | None = None) -> None:
        """Throw `Cancelled`, or `error`, in at the await where it stands."""
        self._throw = error or Cancelled()
        self.ready = True

    def step(self) -> None:
        """Run until it waits for something or ends."""
        self.ready = False
        self.waits_for = None  # it may block, and others run meanwhile
        try:
            while True:
                throw, self._throw = self._throw, None
                if throw is None:
                    self.waits_for = self._coroutine.send(None)
                else:
                    self.waits_for = self._coroutine.throw(throw)
                if self._cancel_at == self._awaits:
                    self._throw = Cancelled()
                self._awaits += 1
                assert self._awaits < 20_000, "it spins"
                if self._throw is None and self.waits_for is not _CHECKPOINT:
                    return
        except StopIteration as stop:
            self._outcome = stop.value
        except BaseException as error:  # the world's boundary: kept for whoever asks
            self._error = error
        self.done = True

    def dispose(self) -> None:
        """Forget about it, wherever it stands."""
        self._coroutine.close()


class Wire:
    """One direction of a TCP connection; `capacity` is what fits in before the reader reads."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.capacity = 1 << 40
        self.ended = False

    def put(self, data: bytes) -> int:
        """Take as much of `data` as fits in; returns how much that was."""
        taken = data[: max(0, self.capacity - len(self.data))]
        self.data += taken
        return len(taken)

    def take(self) -> bytes:
        data = bytes(self.data)
        self.data.clear()
        return data


class MemoryLink:
    """One end of a connection: a `Link` that carries bytes between a channel and two wires.

    It is as lazy as a transport may be: it writes only when asked to, and once the channel wants
    no more data it does not look again before it is told to.
    """

    def __init__(self, world: World, channel: Channel[Any], incoming: Wire, outgoing: Wire) -> None:
        self.capabilities = Capabilities()
        self.checkpoints = True
        self.threaded = False
        self.mutex: AbstractContextManager[object] = nullcontext()
        self.cancelled: tuple[type[Exception], ...] = ()
        self.channel = channel
        self.incoming = incoming
        self.outgoing = outgoing
        self.broken = False
        """Whether the next write fails."""
        self.reading = True
        self._world = world
        self._unsent = b""
        self._flush_wanted = False
        self._saw_eof = False
        self._news = 0

    # Link

    async def checkpoint(self) -> None:
        await _suspend(_CHECKPOINT)

    async def wait(self) -> None:
        news = self._news
        self.flush()
        await _suspend(self if news == self._news else _CHECKPOINT)

    async def drain(self) -> None:
        await self.checkpoint()
        while (
            self.channel.connection.backlog >= self.channel.config.write_high_water
            and not self.channel.ended
        ):
            await self.wait()

    def flush_soon(self) -> None:
        self._flush_wanted = True

    def wake(self) -> None:
        self._news += 1
        self._world.wake(self)

    def resume_reading(self) -> None:
        assert self.channel.wants_data
        self.reading = True

    def now(self) -> float:
        return self._world.now

    async def to_thread(self, function: Callable[[], T]) -> T:
        return function()

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        task = self._world.spawn(function())
        self._world.run()
        if not task.done:
            assert timeout is not None, "it blocks for ever"
            self._world.advance(timeout)
            if not task.done:
                task.cancel()
                self._world.run()
                raise TimeoutError
        return task.result()

    # For the world

    def flush(self) -> bool:
        """Write what there is; whether anything went out."""
        self._flush_wanted = False
        connection = self.channel.connection
        data = self._unsent + connection.data_to_send()
        if self.broken and data:
            connection.write_failed(self.now())
            self.channel.pump()
            self.wake()
            return True
        taken = self.outgoing.put(data)
        waited, self._unsent = self._unsent, data[taken:]
        connection.unsent(len(self._unsent), self.now())
        if waited and not self._unsent:
            self.channel.pump()
        if connection.pending_output:
            self._flush_wanted = True  # a Pong that was owed
        ends = connection.half_close or self.channel.finished
        if ends and not self._unsent and not self.outgoing.ended:
            self.outgoing.ended = True
            self.wake()
            return True
        if taken:
            self.wake()
        return bool(taken)

    def carry(self) -> bool:
        """Write and read once; whether anything moved."""
        moved = self.flush() if self._flush_wanted or self._unsent else False
        if not self.reading or self._saw_eof or self.channel.finished:
            return moved
        if self.incoming.data:
            self._receive(self.incoming.take())
        elif self.incoming.ended:
            self._saw_eof = True
            self._receive(b"")
        else:
            return moved
        return True

    def _receive(self, data: bytes) -> None:
        self.channel.receive_data(data, self.now())
        self.reading = self.channel.wants_data
        self._flush_wanted = True
        self.wake()

    def keep_deadline(self) -> None:
        self.channel.connection.handle_deadline(self.now())
        self.channel.pump()
        self._flush_wanted = True
        self.wake()


class World:
    """A server, a wire to it, perhaps a client at the other end of it, tasks, and time."""

    def __init__(self, config: Config | None = None) -> None:
        self.now = 0.0
        self.config = config or Config()
        self.to_server, self.to_client = Wire(), Wire()
        self._tasks: list[Task[Any]] = []
        self._sleeping: list[tuple[float, object]] = []
        channel: Channel[Any] = server_channel(self.config, now=0.0)
        self.server_channel = channel
        self.server = MemoryLink(self, channel, self.to_server, self.to_client)
        self.links = [self.server]

    # Tasks

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, cancel_at: int | None = None) -> Task[T]:
        """Have a task run from the next `run` on; it is cancelled at its await of that number."""
        task = Task(coroutine, cancel_at)
        self._tasks.append(task)
        return task

    def wake(self, waited_for: object) -> None:
        """Let those tasks run on that wait for it."""
        for task in self._tasks:
            if task.waits_for is waited_for:
                task.ready = True

    def run(self) -> None:
        """Run everything until nothing moves any more without the test's doing."""
        for _ in range(20_000):
            ready = deque(task for task in self._tasks if task.ready)
            for task in ready:
                if task.ready:  # else one that blocked has run it already
                    task.step()
            self._tasks = [task for task in self._tasks if not task.done]
            moved = [link.carry() for link in self.links] if not ready else []
            if not ready and not any(moved):
                return
        raise AssertionError("it does not come to rest")

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, which must not take any time."""
        task = self.spawn(coroutine)
        self.run()
        return task.result()

    def blocks(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Run a coroutine up to where it waits, which it must."""
        task = self.spawn(coroutine)
        self.run()
        assert not task.done, "it did not wait"
        return task

    def gate(self) -> Gate:
        """Something to wait for."""
        return Gate(self)

    def dispose(self) -> None:
        """Close the coroutines that still wait."""
        for task in self._tasks:
            task.dispose()

    # Time

    async def sleep(self, seconds: float) -> None:
        alarm = object()
        self._sleeping.append((self.now + seconds, alarm))
        await _suspend(alarm)

    def advance(self, seconds: float) -> None:
        """Let time pass, from one deadline to the next."""
        until = self.now + seconds
        self.run()
        while (due := self._next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            for link in self.links:
                link.keep_deadline()
            for alarm in [alarm for alarm in self._sleeping if alarm[0] <= self.now]:
                self._sleeping.remove(alarm)
                self.wake(alarm[1])
            self.run()
        self.now = until

    def _next_deadline(self) -> float | None:
        found = [when for when, _ in self._sleeping]
        for link in self.links:
            deadline = link.channel.connection.deadline()
            if deadline is not None:
                found.append(deadline)
        return min(found, default=None)

    # Connections

    def add_client(
        self,
        uri: WebSocketURI = URI,
        *,
        config: Config | None = None,
        subprotocols: tuple[str, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> tuple[Channel[ClientConnection], MemoryLink]:
        """A client at the other end of the wire, its opening handshake on the way."""
        channel = client_channel(
            uri,
            subprotocols=subprotocols,
            headers=headers,
            config=config or self.config,
            now=self.now,
        )
        link = MemoryLink(self, channel, self.to_client, self.to_server)
        self.links.append(link)
        return channel, link

    def server_websocket(self) -> WebSocket:
        """The server's WebSocket, undecided, once the opening handshake has come in."""
        self.run()
        asked = self.server_channel.greeting
        assert isinstance(asked, HandshakeRequested)
        request = Request(asked.head, subprotocols=asked.subprotocols)
        return WebSocket(self.server_channel, self.server, request)

    def open(self, *, config: Config | None = None) -> tuple[WebSocket, WebSocket]:
        """The server's and the client's WebSocket, open."""
        channel, link = self.add_client(config=config)
        link.flush_soon()
        server = self.server_websocket()
        self.do(server.accept())
        return server, WebSocket(channel, link, Request(channel.connection.request))

    def serve(self, app: Application) -> Task[None]:
        """Serve the connection as a transport does."""
        served: App = as_app(app)
        serving = serve_connection(
            served, self.server_channel, self.server, client=CLIENT, server=SERVER
        )
        return self.spawn(serving)

    def connect(
        self, body: Callable[[WebSocket], Awaitable[T]], uri: WebSocketURI = URI, **options: Any
    ) -> Task[T]:
        """Connect as a transport does, and run `body` with the WebSocket."""
        channel, link = self.add_client(uri, **options)

        async def run() -> T:
            async with open_websocket(channel, link, uri) as ws:
                return await body(ws)

        return self.spawn(run())

    # A peer that is none of ours

    def peer_sends(self, data: bytes) -> None:
        """The peer's bytes arrive at the server, in one read."""
        self.to_server.data += data
        self.run()

    def peer_ends(self) -> None:
        """The peer ends its stream."""
        self.to_server.ended = True
        self.run()

    def peer_got(self) -> bytes:
        """What the server wrote since the last look."""
        self.run()
        return self.to_client.take()


def cancelled_everywhere(
    scene: Callable[[], tuple[World, Coroutine[Any, Any, Any]]], *, seconds: float = 0
) -> Iterator[tuple[World, Task[Any]]]:
    """Play `scene` again and again, its coroutine cancelled at its first await, its second, … and
    give what was left each time, until it gets through, which may take it `seconds`."""
    for number in count():
        world, coroutine = scene()
        task = world.spawn(coroutine, cancel_at=number)
        world.advance(seconds)
        if task.done and not task.was_cancelled:
            assert number > 0, "it awaits nothing"
            task.result()
            world.dispose()
            return
        assert task.was_cancelled, "it waits for ever"
        yield world, task
        world.dispose()


async def unreachable(*_: object) -> NoReturn:
    """For a handler or a body that must not be run."""
    raise AssertionError("this must not run")
