"""Where `serve` listens, and how it says so."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

import windsock.asyncio
from tests.transports.handlers import echo, hold
from windsock.core import WebSocket

from .running import dial, tcp_address, url


async def assert_echo(uri: str) -> None:
    async with windsock.asyncio.connect(uri) as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"


async def test_the_server_has_its_addresses() -> None:
    async with windsock.asyncio.serve(echo) as server:
        host, port = tcp_address(server)
        assert host == "127.0.0.1"
        assert port > 0
        await assert_echo(url(server))


async def test_serve_forever_ends_with_shutdown() -> None:
    async with windsock.asyncio.serve(echo) as server:
        waiting = asyncio.create_task(server.serve_forever())
        await server.shutdown()
        await server.shutdown()  # again: nothing
        await waiting


async def test_ipv6(has_ipv6: None) -> None:
    async with windsock.asyncio.serve(echo, host="::1") as server:
        assert tcp_address(server)[0] == "::1"
        await assert_echo(url(server))


async def test_every_interface(has_ipv6: None) -> None:
    async with windsock.asyncio.serve(echo, host=None) as server:
        addresses = [address for address in server.addresses if isinstance(address, tuple)]
        assert {host for host, _ in addresses} == {"0.0.0.0", "::"}
        for host, port in addresses:
            near = "[::1]" if host == "::" else "127.0.0.1"
            await assert_echo(f"ws://{near}:{port}/")


async def test_handlers_see_both_addresses() -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    async with windsock.asyncio.serve(report) as server:
        async with windsock.asyncio.connect(url(server)) as ws:
            client, at = await ws.receive_json()
    assert tuple(at) == server.addresses[0]
    assert client[0] == "127.0.0.1"


async def test_a_port_in_use_is_an_oserror() -> None:
    async with windsock.asyncio.serve(echo) as server:
        _, port = tcp_address(server)
        with pytest.raises(OSError) as taken:
            async with windsock.asyncio.serve(echo, port=port):
                pass
        assert taken.value.errno == errno.EADDRINUSE


async def test_a_host_that_is_not_ours_is_an_oserror() -> None:
    with pytest.raises(OSError):
        async with windsock.asyncio.serve(echo, "192.0.2.1"):
            pass


async def test_what_is_no_application_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="handler is needed"):
        async with windsock.asyncio.serve(object()):  # type: ignore[arg-type]  # that is the point
            pass


async def test_the_port_is_free_after_shutdown() -> None:
    async with windsock.asyncio.serve(echo) as server:
        _, port = tcp_address(server)
        await assert_echo(url(server))
    async with windsock.asyncio.serve(echo, port=port) as server:
        await assert_echo(url(server))


async def test_two_servers_share_a_port() -> None:
    async with windsock.asyncio.serve(hold, reuse_port=True) as first:
        _, port = tcp_address(first)
        async with windsock.asyncio.serve(hold, port=port, reuse_port=True) as second:
            assert second.addresses == first.addresses
            async with dial(second):
                pass


async def test_without_reuse_port_they_do_not() -> None:
    async with windsock.asyncio.serve(hold) as first:
        _, port = tcp_address(first)
        with pytest.raises(OSError):
            async with windsock.asyncio.serve(hold, port=port, reuse_port=True):
                pass


async def test_sockets_of_the_caller_s() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with windsock.asyncio.serve(echo, sock=listener) as server:
        assert server.addresses == [listener.getsockname()]
        connected = socket.create_connection(tcp_address(server))
        connected.setblocking(False)
        async with windsock.asyncio.connect("ws://here.example/", sock=connected) as ws:
            assert ws.request.headers["Host"] == "here.example"
            await ws.send("hello")
            assert await ws.receive() == "hello"


async def test_nobody_listens_there() -> None:
    async with windsock.asyncio.serve(echo) as server:
        uri = url(server)
    with pytest.raises(ConnectionRefusedError):
        await assert_echo(uri)
