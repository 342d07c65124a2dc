"""A server under test, and how a test puts a handler behind it and a peer in front of it."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, Final

from windsock.core import App, Config, Reject, Request, Response, WebSocket

from .anyloop import as_task
from .peer import Answer, HeaderList, Peer, WirePeer, handshake_request

CASE: Final = "X-Case"
"""The request header that says which test's application is meant."""

Handler = Callable[[WebSocket], Awaitable[None]]


class Switchboard(App):
    """Hands each request to the application of the test that it belongs to.

    So one server serves all tests, and a test's handlers share objects with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._apps: dict[str, App] = {}
        self._numbers = itertools.count()
        self.started = 0
        """How often its lifespan has begun."""
        self.ended = 0
        """How often it has ended."""

        @self.lifespan
        async def count() -> AsyncGenerator[dict[str, int]]:
            self.started += 1
            try:
                yield {"number": self.started}
            finally:
                self.ended += 1

    def add(self, app: App) -> str:
        """Put `app` behind the server; returns the value of `CASE` that leads to it."""
        case = str(next(self._numbers))
        self._apps[case] = app
        return case

    def forget(self) -> None:
        """Have no application any more."""
        self._apps.clear()

    def _app_for(self, request: Request) -> App:
        try:
            return self._apps[request.headers.get(CASE, "")]
        except KeyError:
            raise Reject(404) from None

    async def handle_websocket(self, ws: WebSocket) -> None:
        ws.request.app = self._app_for(ws.request)  # whose state is the first to be there
        ws.state.update(self.state)
        await as_task(self._app_for(ws.request).handle_websocket(ws))

    async def handle_http(self, request: Request) -> Response:
        return await self._app_for(request).handle_http(request)


class _EveryPath(App):
    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    async def handle_websocket(self, ws: WebSocket) -> None:
        await self._handler(ws)


async def echo(ws: WebSocket) -> None:
    """Accepts, and sends everything back."""
    async with ws:
        async for message in ws:
            await ws.send(message)


class Site(ABC):
    """A running server with a switchboard for its application."""

    def __init__(self, host: str, config: Config, switchboard: Switchboard) -> None:
        self.host = host
        self.config = config
        self.switchboard = switchboard

    def case(self, app: App | Handler) -> str:
        """Put an application, or one handler for every path, behind the server."""
        return self.switchboard.add(app if isinstance(app, App) else _EveryPath(app))

    def knock(
        self,
        app: App | Handler,
        target: str = "/",
        *,
        headers: HeaderList = (),
        subprotocols: Iterable[str] = (),
    ) -> Peer:
        """Send an opening handshake and read the answer, whatever it is."""
        return self._knock(target, [*headers, (CASE, self.case(app))], tuple(subprotocols))

    def connect(
        self,
        app: App | Handler,
        target: str = "/",
        *,
        headers: HeaderList = (),
        subprotocols: Iterable[str] = (),
    ) -> Peer:
        """Open a WebSocket."""
        peer = self.knock(app, target, headers=headers, subprotocols=subprotocols)
        if peer.answer.status != 101:
            peer.dispose()
            raise AssertionError(f"not accepted: {peer.answer}")
        return peer

    def assert_lives(self) -> None:
        """The server still serves."""
        with self.connect(echo) as peer:
            peer.send("still there?")
            assert peer.receive() == "still there?"

    @property
    @abstractmethod
    def authority(self) -> str:
        """The value of the Host field."""

    @abstractmethod
    def _knock(self, target: str, headers: HeaderList, subprotocols: tuple[str, ...]) -> Peer: ...

    @abstractmethod
    def fetch(
        self,
        app: App,
        target: str,
        *,
        method: str = "GET",
        headers: HeaderList = (),
        body: bytes = b"",
    ) -> Answer:
        """Send a plain HTTP request and read its response."""


class WireSite(Site):
    """A server that listens on a TCP port."""

    def __init__(
        self, host: str, config: Config, switchboard: Switchboard, address: tuple[str, int]
    ) -> None:
        super().__init__(host, config, switchboard)
        self.address = address

    @property
    def authority(self) -> str:
        """The value of the Host field."""
        return f"{self.address[0]}:{self.address[1]}"

    def dial(self, **options: Any) -> WirePeer:
        """Connect, and send nothing; `options` are those of WirePeer."""
        return WirePeer(self.address, **options)

    def wire(
        self,
        app: App | Handler,
        target: str = "/",
        *,
        headers: HeaderList = (),
        subprotocols: Iterable[str] = (),
        early_data: bytes = b"",
        **options: Any,
    ) -> WirePeer:
        """Open a WebSocket with a peer that is in control of every byte.

        Args:
            early_data: goes out together with the opening handshake.
            options: those of WirePeer.
        """
        request = self.request(app, target, headers=headers, subprotocols=subprotocols)
        peer = self.dial(**options)
        self._open(peer, request + early_data)
        if peer.answer.status != 101:
            peer.dispose()
            raise AssertionError(f"not accepted: {peer.answer}")
        return peer

    def request(
        self,
        app: App | Handler,
        target: str = "/",
        *,
        headers: HeaderList = (),
        subprotocols: Iterable[str] = (),
    ) -> bytes:
        """The bytes of an opening handshake."""
        return handshake_request(
            target,
            [*headers, (CASE, self.case(app))],
            subprotocols=subprotocols,
            host=self.authority,
        )

    def _knock(self, target: str, headers: HeaderList, subprotocols: tuple[str, ...]) -> Peer:
        request = handshake_request(target, headers, subprotocols=subprotocols, host=self.authority)
        peer = self.dial()
        self._open(peer, request)
        return peer

    def _open(self, peer: WirePeer, request: bytes) -> None:
        try:
            peer.open(request)
        except BaseException:
            peer.dispose()
            raise

    def fetch(
        self,
        app: App,
        target: str,
        *,
        method: str = "GET",
        headers: HeaderList = (),
        body: bytes = b"",
    ) -> Answer:
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {self.authority}",
            "Connection: close",
            f"Content-Length: {len(body)}",
            f"{CASE}: {self.case(app)}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        with self.dial() as peer:
            peer.send_raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            return peer.read_answer(method)
