"""Where a server on threads listens."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from windsock._nonblocking import READ
from windsock.core.app.session import logger

from ._io import IOThread

_BACKLOG: Final = 1024

# Connections that are accepted in a row before those that are open have their turn again.
_BATCH: Final = 64

# Seconds before accepting is tried again where the system could not.
_RETRY_AFTER: Final = 1.0

# Only that one client is at fault (accept(2)).
_GONE: Final = frozenset({errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.EPERM})


def open_listeners(host: str | None, port: int, *, reuse_port: bool) -> list[socket.socket]:
    """Sockets that are bound to an address: one for every address that `host` has.

    Raises:
        OSError: that cannot be.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                opened.append(_bind(family, address, reuse_port=reuse_port))
            except OSError as error:
                # The system may name addresses of a family that it does not have.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
        if not opened and missing is not None:
            raise missing
    except OSError:
        for sock in opened:
            sock.close()
        raise
    return opened


def _bind(family: int, address: Any, *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            # On Windows it would let others take the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


class Listener:
    """Accepts connections on the I/O thread, for which its methods are.

    Args:
        sock: bound; belongs to the listener from now on.
        io: the thread.
        accepted: called with each new connection and its peer's address; whether there may be
            more. `resume` is to be called where it has returned False.
    """

    def __init__(
        self, sock: socket.socket, io: IOThread, accepted: Callable[[socket.socket, Any], bool]
    ) -> None:
        sock.setblocking(False)
        sock.listen(_BACKLOG)
        self._socket = sock
        self._io = io
        self._accepted = accepted
        self._watched = 0

    def resume(self) -> None:
        """Accept connections from now on."""
        if self._socket.fileno() >= 0:
            self._watch(READ)

    def _watch(self, events: int) -> None:
        if self._watched != events:
            self._io.watch(self._socket, self._watched, events, self._ready)
            self._watched = events

    def _ready(self, _: int) -> None:
        for _ in range(_BATCH):
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                # Files or memory are used up, most likely, and will be for a moment.
                logger().error("cannot accept: %s; trying again in a moment", error)
                self._watch(0)
                self._io.call_at(self._io.now() + _RETRY_AFTER, self.resume)
                return
            if not self._accepted(sock, address):
                self._watch(0)
                return

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._socket.fileno() >= 0:
            self._watch(0)
            self._socket.close()
