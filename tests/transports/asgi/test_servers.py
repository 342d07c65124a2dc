"""`ASGI` inside real servers: uvicorn with both of its engines, hypercorn with both workers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Literal

import anyio
import hypercorn.asyncio
import hypercorn.config
import hypercorn.trio
import pytest
import trio
import uvicorn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from windsock.asgi import ASGI
from windsock.core import App, Config, Disconnected, Request, Response, WebSocket

TIMEOUT = 10.0

Stop = Callable[[], object]
Engine = Literal["websockets-sansio", "wsproto"]


class Site:
    """A server in a thread of its own, and what the handlers in it saw."""

    def __init__(self, name: str, port: int, seen: Seen) -> None:
        self.name = name
        self.port = port
        self.seen = seen

    def connect(
        self,
        path: str,
        *,
        subprotocols: Sequence[Subprotocol] | None = None,
        origin: Origin | None = None,
    ) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            subprotocols=subprotocols,
            origin=origin,
            open_timeout=TIMEOUT,
            close_timeout=TIMEOUT,
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Seen:
    """How each WebSocket ended, as its handler saw it."""

    def __init__(self) -> None:
        self._ends: dict[str, Future[Disconnected]] = {}

    def end(self, path: str) -> Future[Disconnected]:
        return self._ends.setdefault(path, Future())


def make_app(seen: Seen) -> App:
    app = App()

    @app.websocket("/echo/{name}")
    async def echo(ws: WebSocket, name: str) -> None:
        await ws.accept("chat" if ws.request.subprotocols else None, [("X-Name", name)])
        try:
            while True:
                await ws.send(await ws.receive())
        except Disconnected as error:
            seen.end(name).set_result(error)
            raise

    @app.websocket("/push/{name}")
    async def push(ws: WebSocket, name: str) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send("tick")
                await anyio.sleep(0.01)
        except Disconnected as error:
            seen.end(name).set_result(error)
            raise

    @app.websocket("/silent/{name}")
    async def silent(ws: WebSocket, name: str) -> None:
        await ws.accept()
        with anyio.fail_after(TIMEOUT):
            while not ws.closed:  # noqa: ASYNC110  # it must not await the WebSocket itself
                await anyio.sleep(0.01)
        assert ws.code is not None
        seen.end(name).set_result(Disconnected(ws.code, ws.reason or "", clean=False))

    @app.websocket("/close")
    async def close(ws: WebSocket) -> None:
        await ws.accept()
        await ws.close(4001, "bye")

    @app.websocket("/return")
    async def returns(ws: WebSocket) -> None:
        await ws.accept()

    @app.websocket("/raise")
    async def raises(ws: WebSocket) -> None:
        await ws.accept()
        raise ZeroDivisionError

    @app.websocket("/raise-early")
    async def raises_early(ws: WebSocket) -> None:
        raise ZeroDivisionError

    @app.websocket("/undecided")
    async def undecided(ws: WebSocket) -> None:
        pass

    @app.websocket("/reject")
    async def reject(ws: WebSocket) -> None:
        await ws.reject(418, [("X-Y", "z")], "no")

    @app.http("/health", methods=["GET", "POST"])
    async def health(request: Request) -> Response:
        return Response.json([request.method, request.path, len(request.body)])

    return app


def run_uvicorn(asgi: ASGI, listener: socket.socket, started: Future[Stop], *, ws: Engine) -> None:
    settings = uvicorn.Config(
        asgi, ws=ws, lifespan="on", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(settings)
    started.set_result(lambda: setattr(server, "should_exit", True))
    server.run(sockets=[listener])


def hypercorn_config(listener: socket.socket) -> hypercorn.config.Config:
    settings = hypercorn.config.Config()
    settings.bind = [f"fd://{listener.detach()}"]
    settings.loglevel = "CRITICAL"
    settings.graceful_timeout = 1
    return settings


def run_hypercorn_asyncio(asgi: ASGI, listener: socket.socket, started: Future[Stop]) -> None:
    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        started.set_result(lambda: loop.call_soon_threadsafe(stop.set))
        settings = hypercorn_config(listener)
        await hypercorn.asyncio.serve(asgi, settings, shutdown_trigger=stop.wait)  # type: ignore[arg-type]  # its events are TypedDicts

    asyncio.run(main())


def run_hypercorn_trio(asgi: ASGI, listener: socket.socket, started: Future[Stop]) -> None:
    async def main() -> None:
        token, stop = trio.lowlevel.current_trio_token(), trio.Event()
        started.set_result(lambda: token.run_sync_soon(stop.set))
        settings = hypercorn_config(listener)
        await hypercorn.trio.serve(asgi, settings, shutdown_trigger=stop.wait)  # type: ignore[arg-type]  # its events are TypedDicts

    trio.run(main)


RUNNERS: dict[str, Callable[[ASGI, socket.socket, Future[Stop]], None]] = {
    "uvicorn": partial(run_uvicorn, ws="websockets-sansio"),
    "uvicorn-wsproto": partial(run_uvicorn, ws="wsproto"),
    "hypercorn-asyncio": run_hypercorn_asyncio,
    "hypercorn-trio": run_hypercorn_trio,
}


@pytest.fixture(scope="module", params=RUNNERS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    seen = Seen()
    asgi = ASGI(make_app(seen), config=Config(max_message_size=1000))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    started: Future[Stop] = Future()
    thread = threading.Thread(target=RUNNERS[request.param], args=(asgi, listener, started))
    thread.start()
    try:
        # The listener exists already: a client waits in its queue until the server is ready.
        stop = started.result(TIMEOUT)
        yield Site(request.param, port, seen)
        stop()
    finally:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_echo(site: Site) -> None:
    with site.connect("/echo/a", subprotocols=[Subprotocol("chat")]) as client:
        assert client.subprotocol == "chat"
        assert client.response is not None
        assert client.response.headers["X-Name"] == "a"
        for message in ("text", "é", "", b"bytes", b""):
            client.send(message)
            assert client.recv(TIMEOUT) == message


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [("/close", 4001, "bye"), ("/return", 1000, ""), ("/raise", 1011, "")],
)
def test_the_server_closes(site: Site, path: str, code: int, reason: str) -> None:
    with site.connect(path) as client:
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(TIMEOUT)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/undecided", 403, b""),
        ("/raise-early", 500, b""),
        ("/reject", 418, b"no"),
        ("/nowhere", 404, b""),
    ],
)
def test_rejections(site: Site, path: str, status: int, body: bytes) -> None:
    with pytest.raises(InvalidStatus) as caught, site.connect(path):
        pass
    response = caught.value.response
    assert (response.status_code, bytes(response.body)) == (status, body)
    if path == "/reject":
        assert response.headers["X-Y"] == "z"


def test_a_foreign_origin(site: Site) -> None:
    with (
        pytest.raises(InvalidStatus) as caught,
        site.connect("/return", origin=Origin("http://evil.io")),
    ):
        pass
    assert caught.value.response.status_code == 403


def test_a_message_over_the_limit(site: Site) -> None:
    with site.connect("/echo/big") as client:
        client.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(TIMEOUT)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


@pytest.mark.parametrize("handler", ["echo", "push", "silent"])
def test_the_peer_closes(site: Site, handler: str) -> None:
    name = f"{handler}-closes"
    with site.connect(f"/{handler}/{name}") as client:
        client.close(4010, "cbye")
    error = site.seen.end(name).result(TIMEOUT)
    # hypercorn does not tell what the peer's Close frame said.
    told = site.name.startswith("uvicorn")
    assert (error.code, error.reason) == ((4010, "cbye") if told else (1006, ""))


@pytest.mark.parametrize("handler", ["echo", "push", "silent"])
def test_the_peer_vanishes(site: Site, handler: str) -> None:
    name = f"{handler}-vanishes"
    with site.connect(f"/{handler}/{name}") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
    error = site.seen.end(name).result(TIMEOUT)
    assert (error.code, error.reason, error.clean) == (1006, "", False)


def test_http(site: Site) -> None:
    with urllib.request.urlopen(site.url("/health"), timeout=TIMEOUT) as response:
        assert json.load(response) == ["GET", "/health", 0]
    with urllib.request.urlopen(site.url("/health"), b"x" * 65536, TIMEOUT) as response:
        assert json.load(response) == ["POST", "/health", 65536]
    head = urllib.request.Request(site.url("/health"), method="HEAD")
    with urllib.request.urlopen(head, timeout=TIMEOUT) as response:
        assert (response.status, response.read()) == (200, b"")
        assert response.headers["Content-Length"] == "22"


@pytest.mark.parametrize(("path", "body", "status"), [("/no", None, 404), ("/", b"x" * 65537, 413)])
def test_http_errors(site: Site, path: str, body: bytes | None, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(site.url(path), body, TIMEOUT)
    with caught.value as response:
        assert response.status == status
