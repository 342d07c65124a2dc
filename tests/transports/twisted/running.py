"""Servers, and peers that are in control of every byte."""

from __future__ import annotations

import os
from typing import Any

from tests.behaviour.peer import WirePeer, handshake_request
from windsock.twisted import Server


def tcp_address(server: Server) -> tuple[str, int]:
    """The server's first address, which is no Unix socket's."""
    address = server.addresses[0]
    assert isinstance(address, tuple)
    return address


def url(server: Server, scheme: str = "ws") -> str:
    """The URL of a server's first address."""
    host, port = tcp_address(server)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def dial(server: Server, **options: Any) -> WirePeer:
    """A connection that has sent nothing yet. For tests that are not on the reactor."""
    return WirePeer(tcp_address(server), **options)


def opened(server: Server, **options: Any) -> WirePeer:
    """An open WebSocket."""
    peer = dial(server, **options)
    peer.open(handshake_request("/", [], host="test"))
    assert peer.answer.status == 101
    return peer


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
