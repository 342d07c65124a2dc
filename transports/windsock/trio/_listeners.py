"""Where a trio server listens."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from trio.abc import Listener, Stream

from windsock._unix_socket import unix_listener
from windsock.core.app.address import Address, address_of


@asynccontextmanager
async def open_listeners(
    host: str | None, port: int, *, unix: str | None = None, reuse_port: bool = False
) -> AsyncGenerator[list[trio.SocketListener]]:
    """Sockets that listen at an address: one for every address that `host` has.

    Raises:
        OSError: that cannot be.
    """
    if unix is not None:
        with unix_listener(unix) as sock:
            yield [trio.SocketListener(trio.socket.from_stdlib_socket(sock))]
        return
    if reuse_port:
        listeners = await _share_port(host, port)
    else:
        listeners = list(await trio.open_tcp_listeners(port, host=host))
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()


async def _share_port(host: str | None, port: int) -> list[trio.SocketListener]:
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[trio.SocketListener] = []
    try:
        for family, _, _, _, address in found:
            listeners.append(await _listen(family, address))
    except OSError:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


async def _listen(family: int, address: Any) -> trio.SocketListener:
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await sock.bind(address)
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return trio.SocketListener(sock)


def listener_address(listener: Listener[Stream]) -> Address | None:
    """Where `listener` listens, None where that is no socket."""
    if isinstance(listener, trio.SSLListener):
        return listener_address(cast("trio.SSLListener[Stream]", listener).transport_listener)
    if isinstance(listener, trio.SocketListener):
        return address_of(listener.socket.getsockname())
    return None
