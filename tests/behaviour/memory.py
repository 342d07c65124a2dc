"""An ASGI host without a network: it hands events back and forth and does nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import anyio
from anyio.from_thread import BlockingPortal

from windsock.core import App, Config, Headers

from .peer import Answer, Close, HeaderList, Peer
from .sites import CASE, Site, Switchboard
from .sync import TIMEOUT

AsgiEvent = dict[str, Any]
AsgiApp = Callable[
    [AsgiEvent, Callable[[], Awaitable[AsgiEvent]], Callable[[AsgiEvent], Awaitable[None]]],
    Awaitable[None],
]
T = TypeVar("T")

HOST: Final = ("test.example", 80)
SEND_CAPACITY: Final = 4
"""Events that the host takes from the application before the peer receives them."""


def _scope(kind: str, target: str, headers: HeaderList) -> AsgiEvent:
    raw_path, _, query = target.partition("?")
    lines = [("host", HOST[0]), *headers]
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in lines],
        "client": ("192.0.2.1", 50000),
        "server": HOST,
        "state": {},
        "extensions": {"websocket.http.response": {}} if kind == "websocket" else {},
    }


def _headers(event: AsgiEvent) -> Headers:
    return Headers((n.decode("latin-1"), v.decode("latin-1")) for n, v in event["headers"])


class Exchange:
    """One call of the application, and what goes in and out of it."""

    def __init__(self, portal: BlockingPortal, app: AsgiApp, scope: AsgiEvent) -> None:
        self._portal = portal
        self._to_app, self._app_receives = anyio.create_memory_object_stream[AsgiEvent](1_000_000)
        self._app_sends, self._from_app = anyio.create_memory_object_stream[AsgiEvent](
            SEND_CAPACITY
        )
        self.finished: Future[None] = portal.start_task_soon(self._run, app, scope)

    async def _run(self, app: AsgiApp, scope: AsgiEvent) -> None:
        with self._app_sends:
            await app(scope, self._app_receives.receive, self._send)

    async def _send(self, event: AsgiEvent) -> None:
        try:
            await self._app_sends.send(event)
        except anyio.BrokenResourceError:
            raise OSError("the peer has gone") from None

    def wait_for(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run `function` on the host's event loop."""
        return self._portal.start_task_soon(function).result(TIMEOUT)

    def put(self, event: AsgiEvent) -> None:
        """Have the application receive `event`."""
        self._portal.call(self._to_app.send_nowait, event)

    @property
    def unreceived(self) -> int:
        """How many events the application has not received yet."""
        return self._app_receives.statistics().current_buffer_used

    def get(self) -> AsgiEvent | None:
        """The next event that the application sent, None once it has returned."""
        try:
            return self.wait_for(self._from_app.receive)
        except anyio.EndOfStream:
            return None

    def refuse(self) -> None:
        """Take nothing more from the application."""
        self._portal.call(self._from_app.close)

    def close(self) -> None:
        """Wait for the application to return; what it raised is raised."""
        self.refuse()
        self.finished.result(TIMEOUT)
        for stream in (self._to_app, self._app_receives):
            self._portal.call(stream.close)


class MemoryPeer(Peer):
    """A client that speaks in ASGI's events."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._ended = False
        exchange.put({"type": "websocket.connect"})
        event = exchange.get()
        if event is None:
            raise AssertionError("the application returned without an answer")
        if event["type"] == "websocket.accept":
            fields = list(_headers(event).items_as_sent()) if event.get("headers") else []
            if event.get("subprotocol") is not None:
                fields.append(("Sec-WebSocket-Protocol", event["subprotocol"]))
            self.answer = Answer(101, Headers(fields))
        elif event["type"] == "websocket.close":
            self.answer = Answer(403, Headers())
            self._disconnect(1006)
        else:
            assert event["type"] == "websocket.http.response.start"
            body = _read_body(exchange, "websocket.http.response.body")
            self.answer = Answer(event["status"], _headers(event), body)
            self._disconnect(1006)

    def _disconnect(self, code: int, reason: str = "") -> None:
        if not self._ended:
            self._ended = True
            self.exchange.put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def send(self, message: str | bytes) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        self.exchange.put({"type": "websocket.receive", key: message})

    def receive(self) -> str | bytes | Close:
        event = self.exchange.get()
        if event is None:
            return Close(1006)
        if event["type"] == "websocket.close":
            close = Close(event.get("code", 1000), event.get("reason") or "")
            self._disconnect(close.code, close.reason)
            return close
        assert event["type"] == "websocket.send"
        message: str | bytes = event["bytes"] if event.get("text") is None else event["text"]
        return message

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._disconnect(code, reason)

    def abort(self) -> None:
        self._disconnect(1006)
        self.exchange.refuse()

    def dispose(self) -> None:
        self._disconnect(1006)
        self.exchange.close()


def _read_body(exchange: Exchange, kind: str) -> bytes:
    body = bytearray()
    while True:
        event = exchange.get()
        assert event is not None
        assert event["type"] == kind
        body += event.get("body", b"")
        if not event.get("more_body"):
            return bytes(body)


class MemorySite(Site):
    """The host."""

    def __init__(
        self,
        host: str,
        config: Config,
        switchboard: Switchboard,
        asgi: AsgiApp,
        portal: BlockingPortal,
    ) -> None:
        super().__init__(host, config, switchboard)
        self._new_exchange = partial(Exchange, portal, asgi)

    @property
    def authority(self) -> str:
        return HOST[0]

    def _knock(self, target: str, headers: HeaderList, subprotocols: Iterable[str]) -> MemoryPeer:
        offered = ", ".join(subprotocols)
        if offered:
            headers = [*headers, ("Sec-WebSocket-Protocol", offered)]
        scope = _scope("websocket", target, headers)
        scope["subprotocols"] = list(subprotocols)
        exchange = self._new_exchange(scope)
        try:
            return MemoryPeer(exchange)
        except BaseException:
            exchange.close()
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
        scope = _scope("http", target, [*headers, (CASE, self.case(app))])
        scope["method"] = method
        exchange = self._new_exchange(scope)
        exchange.put({"type": "http.request", "body": body, "more_body": False})
        event = exchange.get()
        assert event is not None
        assert event["type"] == "http.response.start"
        answer = Answer(
            event["status"], _headers(event), _read_body(exchange, "http.response.body")
        )
        exchange.put({"type": "http.disconnect"})
        exchange.close()
        return answer
