"""What every peer's server does, whatever library it is made with: one path for each scenario."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from tests.interop.loops import TIMEOUT
from tests.interop.places import Directory, Place

Places = dict[str, Place]
"""By kind: tcp, tls, unix, ipv6. Compression is on, except on the TLS place."""

Start = Callable[[Directory, bool], AbstractContextManager[Places]]
"""Starts a server; the flag says whether the machine has IPv6."""

GOODBYE: Final = "that is all – ✓"
FRAGMENTS: Final = ("one ", "two ", "", "thr€e")


@dataclass(frozen=True, slots=True)
class Close:
    """How the client ended the WebSocket; the reason is None where the library does not tell."""

    code: int
    reason: str | None


_reports: defaultdict[str, queue.Queue[Close]] = defaultdict(queue.Queue)


def report_of(case: str) -> Close:
    """How the client of `/observe/{case}` went, once it has."""
    return _reports[case].get(timeout=TIMEOUT)


class ServerSocket(ABC):
    """A WebSocket that is to be decided on, or open."""

    path: str
    query: str
    headers: Mapping[str, str]
    """Of the request, by lower-case names."""
    offered: Sequence[str]

    @abstractmethod
    async def accept(
        self, subprotocol: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Open it. Does nothing where the library has asked the functions below before."""

    @abstractmethod
    async def reject(self, status: int, body: bytes) -> None:
        """Answer with a response."""

    @abstractmethod
    async def receive(self) -> str | bytes | Close:
        """The next message, or how the client ended it."""

    @abstractmethod
    async def send(self, message: str | bytes) -> None:
        """Send a message."""

    async def send_fragments(self, parts: Sequence[str]) -> None:
        """Send a text message in so many frames."""
        raise NotImplementedError

    async def ping(self, payload: bytes) -> None:
        """Send a Ping and wait for the Pong."""
        raise NotImplementedError

    @abstractmethod
    async def close(self, code: int, reason: str) -> None:
        """Do the closing handshake."""


def answer_headers(path: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Header fields for the 101 response."""
    return [("X-Answer", headers["x-question"][::-1])] if path == "/headers" else []


def choose(offered: Sequence[str]) -> str | None:
    """The subprotocol that the client likes least."""
    return offered[-1] if offered else None


def rejection(path: str) -> tuple[int, bytes] | None:
    """Status and body, where the answer is no."""
    return (418, b"no tea here") if path == "/reject" else None


async def play(peer: ServerSocket) -> None:
    """Do what the path says, until the client has gone."""
    if (refused := rejection(peer.path)) is not None:
        await peer.reject(*refused)
        return
    await peer.accept(choose(peer.offered), answer_headers(peer.path, peer.headers))
    _, name, *rest = peer.path.split("/")
    await _SCENES[name](peer, *rest)


async def _echo(peer: ServerSocket) -> None:
    while not isinstance(message := await peer.receive(), Close):
        await peer.send(message)


async def _wait(peer: ServerSocket) -> Close:
    while not isinstance(found := await peer.receive(), Close):
        pass
    return found


async def _observe(peer: ServerSocket, case: str) -> None:
    # Some libraries do not answer a Close frame that comes before anybody receives.
    await peer.send("ready")
    _reports[case].put(await _wait(peer))


async def _fragments(peer: ServerSocket) -> None:
    await peer.send_fragments(FRAGMENTS)
    await _wait(peer)


async def _ping(peer: ServerSocket) -> None:
    await peer.ping(b"are you there?")
    await peer.send("answered")
    await _wait(peer)


async def _query(peer: ServerSocket) -> None:
    await peer.send(peer.query)
    await _wait(peer)


async def _close(peer: ServerSocket, code: str) -> None:
    await peer.close(int(code), GOODBYE)


async def _greet(peer: ServerSocket) -> None:
    await peer.send("first")
    await peer.send(b"second")
    await _wait(peer)


_SCENES: Final[dict[str, Callable[..., Any]]] = {
    "echo": _echo,
    "wait": _wait,
    "headers": _wait,
    "observe": _observe,
    "fragments": _fragments,
    "ping": _ping,
    "query": _query,
    "close": _close,
    "greet": _greet,
}
