"""Where a server listens and how a client finds it."""

from __future__ import annotations

import itertools
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.certificates import client_context, write_leaf

LOCALHOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """A listening server, as its clients see it."""

    authority: str
    """Host and port as in a URL."""
    unix: str | None = None
    """Path of the Unix socket, where it is one."""
    tls: ssl.SSLContext | None = None
    """The client's context, where it speaks TLS."""

    def url(self, target: str) -> str:
        """The WebSocket URL of a path on this server."""
        return f"{'wss' if self.tls else 'ws'}://{self.authority}{target}"


class Directory:
    """A temporary directory for Unix sockets and certificates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers = itertools.count()
        self.certificate = path / "server.pem"
        """Key and certificate of a TLS server."""
        write_leaf(self.certificate)

    def socket_path(self) -> str:
        """A new path for a Unix socket."""
        return str(self.path / f"{next(self._numbers)}.sock")


@dataclass(frozen=True, slots=True)
class Sockets:
    """Listening sockets of all kinds: they take connections before their server comes to accept."""

    tcp: socket.socket
    tls: socket.socket
    unix: socket.socket
    ipv6: socket.socket | None

    def plain(self) -> list[socket.socket]:
        """All but the one for TLS."""
        return [sock for sock in (self.tcp, self.unix, self.ipv6) if sock is not None]

    def places(self) -> dict[str, Place]:
        """The places by the names of their kinds."""
        tls = client_context()
        found = {
            "tcp": Place(_authority(self.tcp)),
            "tls": Place(_authority(self.tls), tls=tls),
            "unix": Place("localhost", unix=self.unix.getsockname()),
        }
        if self.ipv6 is not None:
            found["ipv6"] = Place(_authority(self.ipv6))
        return found


def listen(directory: Directory, *, ipv6: bool) -> Sockets:
    """Sockets for one server."""
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(directory.socket_path())
    unix.listen(100)
    sockets = Sockets(
        socket.create_server((LOCALHOST, 0), backlog=100),
        socket.create_server((LOCALHOST, 0), backlog=100),
        unix,
        socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=100) if ipv6 else None,
    )
    for sock in (*sockets.plain(), sockets.tls):
        sock.setblocking(False)
    return sockets


def authority(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """A socket address as in a URL."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _authority(sock: socket.socket) -> str:
    return authority(sock.getsockname())
