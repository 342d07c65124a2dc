"""Where `serve` listens, and how it says so."""

from __future__ import annotations

import errno
import socket
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import pytest
import trio
import trio.testing

import windsock.trio
from tests.transports.handlers import echo, hold
from windsock.core import WebSocket
from windsock.trio import _accepting

from .running import MemoryListener, dial, serving, tcp_address, url


async def assert_echo(uri: str) -> None:
    async with windsock.trio.connect(uri) as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"


async def test_start_gives_the_server_with_its_addresses() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(windsock.trio.serve, echo, "127.0.0.1", 0)
        assert isinstance(server, windsock.trio.Server)
        host, port = tcp_address(server)
        assert host == "127.0.0.1"
        assert port > 0
        await assert_echo(f"ws://127.0.0.1:{port}/")
        await server.shutdown()


async def test_serve_returns_after_shutdown() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(windsock.trio.serve, echo)
        await server.shutdown()
        await server.shutdown()  # again: nothing


async def test_ipv6(has_ipv6: None) -> None:
    async with serving(echo, host="::1") as server:
        assert tcp_address(server)[0] == "::1"
        await assert_echo(url(server))


async def test_every_interface(has_ipv6: None) -> None:
    async with serving(echo, host=None, port=0, reuse_port=True) as server:
        addresses = [address for address in server.addresses if isinstance(address, tuple)]
        assert {host for host, _ in addresses} == {"0.0.0.0", "::"}
        for host, port in addresses:
            near = "[::1]" if host == "::" else "127.0.0.1"
            await assert_echo(f"ws://{near}:{port}/")


async def test_handlers_see_both_addresses() -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    async with serving(report) as server:
        async with windsock.trio.connect(url(server)) as ws:
            client, at = await ws.receive_json()
    assert tuple(at) == server.addresses[0]
    assert client[0] == "127.0.0.1"


async def test_a_connection_needs_no_task_before_it_has_asked() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")

    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send(who.get())
            await ws.receive(None)

    who.set("the server")
    async with serving(report) as server:
        who.set("the client")
        before = trio.lowlevel.current_statistics().tasks_living
        async with await dial(server) as stream:
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert trio.lowlevel.current_statistics().tasks_living == before
            async with windsock.trio.connect_stream(stream, url(server)) as ws:
                # Whatever reads the request, the handler's context is that of the server.
                assert await ws.receive() == "the server"


async def test_a_socket_that_somebody_else_has_accepted() -> None:
    async with serving(echo) as server, trio.open_nursery() as nursery:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stream = await trio.open_tcp_stream(*listener.getsockname())
            nursery.start_soon(server.handle_socket, listener.accept()[0], None)
        async with windsock.trio.connect_stream(stream) as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"


async def test_what_is_accepted_sends_small_frames_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[int] = []
    accept_waiting = _accepting._accept_waiting

    def looking(sock: socket.socket, accepted: _accepting.Accepted) -> None:
        def look(connection: socket.socket, client: Any) -> None:
            delays.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            assert not connection.getblocking()
            accepted(connection, client)

        accept_waiting(sock, look)

    monkeypatch.setattr(_accepting, "_accept_waiting", looking)
    async with serving(echo) as server:
        await assert_echo(url(server))
    assert delays
    assert all(delays)


async def test_a_port_in_use_is_an_oserror() -> None:
    async with serving(echo) as server:
        _, port = tcp_address(server)
        with pytest.raises(OSError) as taken:
            await windsock.trio.serve(echo, "127.0.0.1", port)
        assert taken.value.errno == errno.EADDRINUSE


async def test_a_host_that_is_not_ours_is_an_oserror() -> None:
    with pytest.raises(OSError):
        await windsock.trio.serve(echo, "192.0.2.1")


async def test_what_is_no_application_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="handler is needed"):
        await windsock.trio.serve(object())  # type: ignore[arg-type]  # that is the point


async def test_the_port_is_free_after_shutdown() -> None:
    async with serving(echo) as server:
        _, port = tcp_address(server)
        await assert_echo(url(server))
    async with serving(echo, port=port) as server:
        await assert_echo(url(server))


async def test_two_servers_share_a_port() -> None:
    async with serving(hold, reuse_port=True) as first:
        _, port = tcp_address(first)
        async with serving(hold, port=port, reuse_port=True) as second:
            assert second.addresses == first.addresses
            await (await dial(second)).aclose()


async def test_without_reuse_port_they_do_not() -> None:
    async with serving(hold) as first:
        _, port = tcp_address(first)
        with pytest.raises(OSError):
            await windsock.trio.serve(hold, port=port, reuse_port=True)


async def test_listeners_of_any_kind() -> None:
    listener = MemoryListener()
    sockets = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server: Any = await nursery.start(
            partial(windsock.trio.serve_listeners, echo, [listener, *sockets])
        )
        assert len(server.addresses) == 1  # the other one has none
        await assert_echo(url(server))
        async with windsock.trio.connect_stream(listener.connect()) as ws:
            await ws.send("near")
            assert await ws.receive() == "near"
            assert ws.request.url == "ws://localhost/"
        await server.shutdown()


async def test_a_stream_that_is_connected_already() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(windsock.trio.serve_stream, echo, theirs)
        async with windsock.trio.connect_stream(ours, "ws://here.example/x?y") as ws:
            assert ws.request.headers["Host"] == "here.example"
            await ws.send("hello")
            assert await ws.receive() == "hello"
    # serve_stream has returned, and both have closed their ends
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"x")


class FailingSocket:
    """Accepts, but for the errors that come first."""

    def __init__(self, sock: socket.socket, errors: list[int]) -> None:
        self._socket = sock
        self._errors = errors
        self.family = sock.family

    def accept(self) -> Any:
        if self._errors:
            raise OSError(self._errors.pop(0), "as told")
        return self._socket.accept()


async def test_what_keeps_connections_from_being_accepted_passes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that has gone already is not worth a word; a lack of files is."""
    errors = [errno.ECONNABORTED, errno.EMFILE, errno.ECONNABORTED]
    accept_waiting = _accepting._accept_waiting

    def failing(sock: socket.socket, accepted: Any) -> None:
        accept_waiting(cast(socket.socket, FailingSocket(sock, errors)), accepted)

    monkeypatch.setattr(_accepting, "_accept_waiting", failing)
    monkeypatch.setattr(_accepting, "_RETRY_AFTER", 0)
    async with serving(echo) as server:
        await assert_echo(url(server))
    assert not errors
    assert [record.message for record in caplog.records] == [
        f"cannot accept: [Errno {errno.EMFILE}] as told; trying again in a moment"
    ]


async def test_nobody_listens_there() -> None:
    async with serving(echo) as server:
        uri = url(server)
    with pytest.raises(ConnectionRefusedError):
        await assert_echo(uri)
