"""Accepts the connections of a listening socket, all that wait in one go."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Final, NoReturn

import trio

from windsock.core.app.address import Address, address_of
from windsock.core.app.session import logger

# How many connections are accepted at most before the other tasks get on.
_BATCH: Final = 64
# How long to wait after an error that will last for a moment, in seconds.
_RETRY_AFTER: Final = 0.1
_TCP: Final = frozenset({socket.AF_INET, socket.AF_INET6})
# The client has given up meanwhile, or a firewall has refused it.
_GONE: Final = frozenset({errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM, errno.EPROTO})


Accepted = Callable[[socket.socket, Address | None], object]
"""Called with a connection's socket, which does not block, and who is at the other end."""


async def accept_sockets(listener: trio.SocketListener, accepted: Accepted) -> NoReturn:
    """Call `accepted` with each connection's socket; closes the listener.

    `SocketListener.accept` takes one for each of the scheduler's passes, and makes two objects
    more of it.
    """
    async with listener:
        # The same socket, as the standard library has it.
        with socket.socket(fileno=listener.socket.dup().detach()) as sock:
            sock.setblocking(False)
            _set_options(sock)
            while True:
                await trio.lowlevel.wait_readable(listener.socket)
                try:
                    _accept_waiting(sock, accepted)
                except OSError as error:
                    # Files or memory are used up, most likely, and will be for a moment.
                    logger().error("cannot accept: %s; trying again in a moment", error)
                    await trio.sleep(_RETRY_AFTER)


def _set_options(sock: socket.socket) -> None:
    """What is accepted has the options of its listener: a system call less for each connection."""
    if sock.family in _TCP:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _accept_waiting(sock: socket.socket, accepted: Accepted) -> None:
    for _ in range(_BATCH):
        try:
            connection, name = sock.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _GONE:
                raise
            continue
        connection.setblocking(False)
        accepted(connection, address_of(name))
