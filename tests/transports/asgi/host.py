"""An ASGI host without a network, strict about the specification: a step out of the order that
ASGI allows fails the test, whether or not the application would have got away with it.

    host = Host(ASGI(app))
    async with host.connect("/chat", subprotocols=["v1"]) as client:
        assert await client.next_event() == {"type": "websocket.accept", ...}
        client.send("hello")
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import anyio
import anyio.lowlevel

AsgiEvent = MutableMapping[str, Any]
AsgiApp = Callable[
    [dict[str, Any], Callable[[], Awaitable[AsgiEvent]], Callable[[AsgiEvent], Awaitable[None]]],
    Awaitable[None],
]

PATIENCE = 5.0
"""Seconds that anything here may take before the test fails."""

# What an application may send, by what it has sent before.
_WEBSOCKET_ORDER = {
    "connecting": {
        "websocket.accept": "open",
        "websocket.close": "closed",
        "websocket.http.response.start": "rejecting",
    },
    "rejecting": {"websocket.http.response.body": "rejecting"},
    "open": {"websocket.send": "open", "websocket.close": "closed"},
    "closed": {},
}
_HTTP_ORDER = {
    "connecting": {"http.response.start": "responding"},
    "responding": {"http.response.body": "responding"},
    "closed": {},
}


class SpecViolation(AssertionError):
    """The application did what ASGI does not allow."""


@dataclass
class Host:
    """How this host is; `connect` and `request` run the application for one connection."""

    app: AsgiApp
    spec_version: str = "2.4"
    extensions: dict[str, Any] = field(default_factory=lambda: {"websocket.http.response": {}})
    root_path: str = ""
    disconnect_after_close: bool = True
    """Whether the application's close is answered with a `websocket.disconnect`."""
    more_scope: dict[str, Any] = field(default_factory=dict[str, Any])

    def scope(
        self,
        kind: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Iterable[str] = (),
        method: str = "GET",
    ) -> dict[str, Any]:
        """The scope of one connection."""
        raw_path, _, query = target.partition("?")
        lines = [(name.lower(), value) for name, value in headers]
        if not any(name == "host" for name, _ in lines):
            lines.insert(0, ("host", "windsock.example"))
        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "scheme": "ws" if kind == "websocket" else "http",
            "path": self.root_path + unquote(raw_path),
            "raw_path": (self.root_path + raw_path).encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": self.root_path,
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in lines],
            "client": ("192.0.2.1", 50000),
            "server": ("192.0.2.2", 80),
            "state": {},
            "extensions": self.extensions,
        }
        if kind == "websocket":
            scope["subprotocols"] = list(subprotocols)
        else:
            scope["method"] = method
        return scope | self.more_scope

    @asynccontextmanager
    async def connect(
        self,
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Iterable[str] = (),
    ) -> AsyncGenerator[Client]:
        """A client that asks for a WebSocket; leaving waits for the application to end."""
        scope = self.scope("websocket", target, headers, subprotocols)
        client = Client(self, scope, _WEBSOCKET_ORDER)
        client.give({"type": "websocket.connect"})
        async with self._run(client):
            yield client

    @asynccontextmanager
    async def request(
        self,
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        method: str = "GET",
        body: Iterable[bytes] = (b"",),
    ) -> AsyncGenerator[Client]:
        """A plain HTTP request, its body in the given pieces."""
        client = Client(self, self.scope("http", target, headers, method=method), _HTTP_ORDER)
        pieces = list(body)
        for number, piece in enumerate(pieces, 1):
            more = number < len(pieces)
            client.give({"type": "http.request", "body": piece, "more_body": more})
        async with self._run(client):
            yield client

    @asynccontextmanager
    async def _run(self, client: Client) -> AsyncGenerator[Client]:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run)
                with anyio.fail_after(PATIENCE):
                    yield client
                    await client.ended.wait()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            client.discard()
        if client.violation is not None:
            raise client.violation


class Client:
    """The other end of one connection, and the record of what the application sent."""

    def __init__(self, host: Host, scope: dict[str, Any], order: dict[str, dict[str, str]]) -> None:
        self._host = host
        self.scope = scope
        self._order = order
        self._state = "connecting"
        self._connected = False
        self._gone = False
        self._receiving = False
        self._sending = False
        self._to_app, self._app_receives = anyio.create_memory_object_stream[AsgiEvent](math.inf)
        self._from_app, self._app_sent = anyio.create_memory_object_stream[AsgiEvent](math.inf)
        self.events: list[AsgiEvent] = []
        """Everything that the application sent, in order."""
        self.received = 0
        """How many events the application has taken."""
        self._progress = anyio.Event()
        self.told = anyio.Event()
        """Set once the application knows that the client has gone."""
        self.writable = anyio.Event()
        self.writable.set()
        self.shields = False
        """Whether `send` shields its writing, but not what comes before, as hypercorn does."""
        self.refusal: Exception | None = OSError("the client has gone")
        """What `send` raises once the client has gone; None for a host that says nothing."""
        self.close_error: Exception | None = None
        """What `send` raises for `websocket.close`."""
        self.ended = anyio.Event()
        self.scope_of_app = anyio.CancelScope()
        """To cancel the application with."""
        self.violation: SpecViolation | None = None

    async def run(self) -> None:
        """Run the application."""
        try:
            with self.scope_of_app:
                await self._host.app(self.scope, self._receive, self._send)
                if self._state not in {"closed", "rejected"} and not self._gone:
                    self._violate(f"the application returned while {self._state}")
        finally:
            self.ended.set()
            for stream in (self._to_app, self._app_receives, self._from_app):
                stream.close()

    # What the application calls

    async def _receive(self) -> AsgiEvent:
        if self._receiving:
            self._violate("two tasks are inside receive")
        if self.told.is_set():
            self._violate("receive after disconnect")
        self._receiving = True
        try:
            event = await self._app_receives.receive()
        finally:
            self._receiving = False
        self.received += 1
        self._connected = True
        self._progress.set()
        self._progress = anyio.Event()
        if event["type"].endswith(".disconnect"):
            self.told.set()
        return event

    async def _send(self, event: AsgiEvent) -> None:
        if self._sending:
            self._violate("two tasks are inside send")
        self._sending = True
        try:
            await self._take(event)
        finally:
            self._sending = False

    async def _take(self, event: AsgiEvent) -> None:
        kind = event["type"]
        if not self._connected:
            self._violate(f"{kind} before the first event was received")
        self._check(event)
        self._state = self._order[self._state][kind]
        if kind.endswith(".body") and not event.get("more_body"):
            self._state = "closed"
        if self.shields:
            await anyio.lowlevel.checkpoint()
        with anyio.CancelScope(shield=self.shields):
            await self.writable.wait()
        if kind == "websocket.close" and self.close_error is not None:
            raise self.close_error
        if self._gone:
            if self.refusal is not None:
                raise self.refusal
            return
        self.events.append(event)
        self._from_app.send_nowait(event)
        if kind == "websocket.close" and self._host.disconnect_after_close:
            self.give({"type": "websocket.disconnect", "code": event.get("code", 1000)})

    def _check(self, event: AsgiEvent) -> None:
        kind = event["type"]
        if kind not in self._order[self._state]:
            self._violate(f"{kind} while {self._state}")
        if self.told.is_set():
            self._violate(f"{kind} after disconnect was received")
        if kind.startswith("websocket.http.") and "websocket.http.response" not in (
            self._host.extensions
        ):
            self._violate(f"{kind} without the extension")
        for name, value in event.get("headers", ()):
            if type(name) is not bytes or type(value) is not bytes or name != name.lower():
                self._violate(f"header {name!r}: {value!r}")
        if kind == "websocket.send":
            text, data = event.get("text"), event.get("bytes")
            if (text is None) == (data is None):
                self._violate(f"{kind} needs text or bytes: {event!r}")
            if not isinstance(text, str | None) or not isinstance(data, bytes | None):
                self._violate(f"{kind} with wrong types: {event!r}")

    def _violate(self, message: str) -> None:
        self.violation = self.violation or SpecViolation(message)
        raise self.violation

    # What the client does

    def discard(self) -> None:
        """Forget what was not looked at."""
        self._app_sent.close()

    def give(self, event: AsgiEvent) -> None:
        """Have the application receive `event` next."""
        if not self.ended.is_set():
            self._to_app.send_nowait(event)

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        key = "text" if isinstance(message, str) else "bytes"
        self.give({"type": "websocket.receive", key: message})

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, as a peer that says so does."""
        self._gone = True
        self.give({"type": "websocket.disconnect", "code": code, "reason": reason})

    def vanish(self) -> None:
        """Be gone without the application being told other than by `send`."""
        self._gone = True

    def abort(self) -> None:
        """Vanish, and have the application told so."""
        self.vanish()
        kind = self.scope["type"]
        gone = {"code": 1006} if kind == "websocket" else {}
        self.give({"type": f"{kind}.disconnect", **gone})

    async def has_taken(self, count: int) -> None:
        """Wait until the application has taken that many events."""
        with anyio.fail_after(PATIENCE):
            while self.received < count:
                await self._progress.wait()

    async def next_event(self) -> AsgiEvent:
        """The next event from the application."""
        with anyio.fail_after(PATIENCE):
            return await self._app_sent.receive()

    async def receive(self) -> str | bytes:
        """The next message from the application."""
        event = await self.next_event()
        assert event["type"] == "websocket.send", event
        text = event.get("text")
        message: str | bytes = event["bytes"] if text is None else text
        return message

    async def accepted(self) -> AsgiEvent:
        """The application's `websocket.accept`."""
        event = await self.next_event()
        assert event["type"] == "websocket.accept", event
        return event

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """The whole HTTP response: to a request, or in place of the WebSocket."""
        start = await self.next_event()
        assert start["type"].endswith("http.response.start"), start
        body, more = b"", True
        while more:
            event = await self.next_event()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in start["headers"]}
        return start["status"], headers, body
