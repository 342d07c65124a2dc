"""Listening on a Unix socket of our own."""

from __future__ import annotations

import socket
from typing import Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.python.failure import Failure

from windsock.core.app.session import logger

from ._reactor import DelayedCall, Reactor, implements

# Connections accepted before others have their turn, and seconds until the next attempt where
# there are no more file descriptors.
_AT_ONCE: Final = 100
_RETRY: Final = 1.0


@implements(IReadDescriptor, IListeningPort)
class UnixPort:
    """Accepts connections, as Twisted's own port would.

    But that makes the socket writable for everybody, and does not stop where somebody else has
    removed the path.
    """

    def __init__(self, sock: socket.socket, factory: object, reactor: Reactor) -> None:
        self._socket = sock
        self._factory = factory
        self._reactor = reactor
        self._retry: DelayedCall | None = None

    def startListening(self) -> None:
        """Begin to accept; the socket listens already."""
        self._retry = None
        self._reactor.addReader(self)

    def stopListening(self) -> None:
        """Accept no more. Closing the socket is the caller's."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        else:
            self._reactor.removeReader(self)

    def getHost(self) -> UNIXAddress:
        """Where it listens."""
        return UNIXAddress(self._socket.getsockname())

    def fileno(self) -> int:
        """The socket's file descriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """What Twisted's log lines about it begin with."""
        return "UnixPort"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""

    def doRead(self) -> None:
        """There are connections to accept."""
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._socket.accept()
                with connection:
                    connection.setblocking(False)
                    self._reactor.adoptStreamConnection(
                        connection.fileno(), socket.AF_UNIX, self._factory
                    )
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # most likely there are too many open files
                logger().error("cannot accept connections for now: %s", error)
                self._reactor.removeReader(self)
                self._retry = self._reactor.callLater(_RETRY, self.startListening)
                return
