"""What the tests want of a client, whatever library it is from."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from anyio.from_thread import BlockingPortal

from tests.interop.loops import TIMEOUT
from tests.interop.places import Place


class Compression(enum.Enum):
    """What a client offers."""

    NONE = enum.auto()
    DEFLATE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a client says in its opening handshake."""

    target: str
    subprotocols: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    compression: Compression = Compression.NONE
    early: str | None = None
    """A message that goes out together with the handshake, from clients that can do so."""


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's Close frame; 1006 where there was none."""

    code: int
    reason: str = ""


class Refused(Exception):
    """The server answered with something other than 101."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class ClientSocket(ABC):
    """An open WebSocket."""

    subprotocol: str | None
    headers: Mapping[str, str]
    """Of the server's answer, by lower-case names; nothing where the library does not tell."""

    @abstractmethod
    def send(self, message: str | bytes) -> None:
        """Send a message."""

    @abstractmethod
    def send_fragments(self, parts: Sequence[str]) -> None:
        """Send one text message in so many frames."""

    @abstractmethod
    def receive(self) -> str | bytes | Close:
        """The next message, or how the server ended the WebSocket. Pings are answered."""

    @abstractmethod
    def ping(self, payload: bytes) -> None:
        """Send a Ping and wait for its Pong."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Do the closing handshake."""


Client = Callable[[Place, Offer], AbstractContextManager[ClientSocket]]
"""Opens a WebSocket, or raises Refused; leaving the context closes it, whatever its state."""


class AsyncSocket(ABC):
    """The same in coroutines; `PortalSocket` makes plain calls of them."""

    subprotocol: str | None
    headers: Mapping[str, str]

    @abstractmethod
    async def send(self, message: str | bytes) -> None: ...
    @abstractmethod
    async def send_fragments(self, parts: Sequence[str]) -> None: ...
    @abstractmethod
    async def receive(self) -> str | bytes | Close: ...
    @abstractmethod
    async def ping(self, payload: bytes) -> None: ...
    @abstractmethod
    async def close(self, code: int, reason: str) -> None: ...


class PortalSocket(ClientSocket):
    """A socket on another thread's event loop."""

    def __init__(self, portal: BlockingPortal, socket: AsyncSocket) -> None:
        self._portal = portal
        self._socket = socket
        self.subprotocol = socket.subprotocol
        self.headers = socket.headers

    def send(self, message: str | bytes) -> None:
        self._portal.start_task_soon(self._socket.send, message).result(TIMEOUT)

    def send_fragments(self, parts: Sequence[str]) -> None:
        self._portal.start_task_soon(self._socket.send_fragments, parts).result(TIMEOUT)

    def receive(self) -> str | bytes | Close:
        return self._portal.start_task_soon(self._socket.receive).result(TIMEOUT)

    def ping(self, payload: bytes) -> None:
        self._portal.start_task_soon(self._socket.ping, payload).result(TIMEOUT)

    def close(self, code: int, reason: str) -> None:
        self._portal.start_task_soon(self._socket.close, code, reason).result(TIMEOUT)
