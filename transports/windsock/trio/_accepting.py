"""Accepts the connections of a listening socket, all that wait in one go."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Final, NoReturn

import trio

from windsock._nonblocking import make_ready
from windsock.core.app.session import logger

# How many connections are accepted at most before the other tasks get on.
_BATCH: Final = 64
# How long to wait after an error that will last for a moment, in seconds.
_RETRY_AFTER: Final = 0.1
# The client has given up meanwhile, or a firewall has refused it.
_GONE: Final = frozenset({errno.ECONNABORTED, errno.ECONNRESET, errno.EPERM, errno.EPROTO})


async def accept_sockets(
    listener: trio.SocketListener, accepted: Callable[[socket.socket], object]
) -> NoReturn:
    """Call `accepted` with each connection's socket; closes the listener.

    `SocketListener.accept` takes one for each of the scheduler's passes, and makes two objects
    more of it.
    """
    async with listener:
        # The same socket, as the standard library has it.
        with socket.socket(fileno=listener.socket.dup().detach()) as sock:
            sock.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(listener.socket)
                try:
                    _accept_waiting(sock, accepted)
                except OSError as error:
                    # Files or memory are used up, most likely, and will be for a moment.
                    logger().error("cannot accept: %s; trying again in a moment", error)
                    await trio.sleep(_RETRY_AFTER)


def _accept_waiting(sock: socket.socket, accepted: Callable[[socket.socket], object]) -> None:
    for _ in range(_BATCH):
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _GONE:
                raise
            continue
        with contextlib.suppress(OSError):  # gone already
            make_ready(connection)
        accepted(connection)
