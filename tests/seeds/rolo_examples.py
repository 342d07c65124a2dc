"""Plain functions that block: what rolo's guide and tests do with WebSockets, in windsock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden, NotFound

from tests.behaviour.sync import Observed
from windsock.core import (
    App,
    BlockingWebSocket,
    Disconnected,
    Reject,
    Response,
    Router,
    WebSocketRequest,
    route,
)

PASSWORD = "Bearer open sesame"


def make_app(seen: Observed) -> App:
    """The application; what its handlers see goes to `seen`."""
    app = App(routes=[("/from-data/<id>", ["WEBSOCKET"], show_id)])

    @route("/stream", methods=["WEBSOCKET"])
    def stream(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            for number in range(3):
                websocket.send(f"part {number}")

    app.add(stream)

    @app.route("/echo/<name>", methods=["WEBSOCKET"])
    def echo(request: WebSocketRequest, name: str) -> None:
        with request.accept() as websocket:
            websocket.send(f"welcome, {name}")
            for line in websocket:
                websocket.send(f"{name} said {line}")
                if line == "exit":
                    websocket.send("see you")
                    return

    @app.route("/private", methods=["WEBSOCKET"])
    def private(request: WebSocketRequest) -> None:
        if request.headers.get("Authorization") != PASSWORD:
            request.reject(Response("no dice", 403, {"X-Reason": "password"}))
            seen.put((request.is_upgraded(), request.is_rejected()))
            return
        with request.accept() as websocket:
            seen.put((request.is_upgraded(), request.is_rejected()))
            websocket.send("come in")
            seen.put(websocket.receive())

    @app.route("/talk", methods=["WEBSOCKET"])
    def talk(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            websocket.send("hello")
            seen.put(websocket.receive())
            websocket.send("world")
        try:
            websocket.receive()
        except Disconnected as disconnected:
            seen.put(disconnected.code)

    @app.route("/codes", methods=["WEBSOCKET"])
    def codes(request: WebSocketRequest) -> None:
        websocket = request.accept()
        try:
            websocket.receive()
        except Disconnected as disconnected:
            seen.put(disconnected.code)

    @app.route("/listen", methods=["WEBSOCKET"])
    def listen(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            for line in iter(websocket):
                seen.put(line)
        seen.put("left")

    @app.route("/headers", methods=["WEBSOCKET"])
    def headers(request: WebSocketRequest) -> None:
        answer = Headers({"X-Served-By": "a plain function"})
        with request.accept(headers=answer) as websocket:
            websocket.send(json.dumps(dict(request.headers.items_as_sent())))

    @app.route("/subprotocol", methods=["WEBSOCKET"])
    def subprotocol(request: WebSocketRequest) -> None:
        with request.accept(subprotocol=request.subprotocols[-1], timeout=10) as websocket:
            websocket.send(f"{websocket.subprotocol}")

    @app.route("/modes", methods=["WEBSOCKET"])
    def modes(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            websocket.send(b"some bytes", timeout=10)
            websocket.send("some text", timeout=10)
            seen.put(websocket.receive(timeout=10))
            seen.put(websocket.receive(timeout=10))

    @app.route("/wrong/<what>", methods=["WEBSOCKET"])
    def wrong(request: WebSocketRequest, what: str) -> None:
        values: dict[str, Any] = {"dict": {"foo": "bar"}, "none": None, "number": 7}
        with request.accept() as websocket:
            try:
                websocket.send(values[what])
            except TypeError as error:
                seen.put(str(error))
            websocket.send("still open")

    @app.route("/closes", methods=["WEBSOCKET"])
    def closes(request: WebSocketRequest) -> None:
        websocket = request.accept()
        websocket.close(4001, "that was all", timeout=10)
        websocket.close(4002, "and a second time")
        seen.put((websocket.code, websocket.reason))

    @app.route("/impatient", methods=["WEBSOCKET"])
    def impatient(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            try:
                websocket.receive(timeout=0.01)
            except TimeoutError:
                websocket.send("too late")
            seen.put(websocket.receive())

    @app.route("/refuses/<how>", methods=["WEBSOCKET"])
    def refuses(request: WebSocketRequest, how: str) -> None:
        match how:
            case "forbidden":
                raise Forbidden("not today")
            case "not-found":
                raise NotFound
            case "reject":
                raise Reject(402, "pay first")
            case "close":
                request.close()
            case "twice":
                request.reject(Response("nope", 403))
                request.close()

    @app.route("/decides/<how>", methods=["WEBSOCKET"])
    def decides(request: WebSocketRequest, how: str) -> None:
        calls: dict[str, Callable[[], object]] = {
            "accept": request.accept,
            "reject": request.reject,
        }
        first, second = how.split("-")
        calls[first]()
        calls[second]()

    @app.route("/fails", methods=["WEBSOCKET"])
    def fails(request: WebSocketRequest) -> None:
        with request.accept():
            raise RuntimeError("halfway")

    @app.route("/about", methods=["WEBSOCKET"])
    def about(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            websocket.send(
                json.dumps(
                    {
                        "method": request.method,
                        "path": request.path,
                        "args": dict(request.args),
                        "cookies": dict(request.cookies),
                        "remote_addr": request.remote_addr,
                        "scheme": request.scheme,
                    }
                )
            )

    @app.route("/events", methods=["WEBSOCKET"])
    def events(request: WebSocketRequest) -> None:
        websocket = request.websocket
        seen.put(websocket.receive_event()["type"])
        field = (b"x-raw", b"yes")
        websocket.send_event({"type": "websocket.accept", "headers": [field]})
        event = websocket.receive_event()
        websocket.send_event({"type": "websocket.send", "text": f"echo: {event['text']}"})
        websocket.send_event({"type": "websocket.close", "code": 1000, "reason": "done"})

    @app.route("/both", methods=["GET", "WEBSOCKET"])
    def both(request: Any) -> Response | None:
        if request.method == "GET":
            return Response("a page")
        with request.accept() as websocket:
            websocket.send("a WebSocket")
        return None

    app.add_route("/users/<int:number>", "WEBSOCKET", Users().show)
    add_converters(app)
    add_hosts(app)
    gateway = Router()
    gateway.add_route("/ws", "WEBSOCKET", hello)
    app.include_router(gateway, prefix="/gateway")
    return app


def show_id(request: WebSocketRequest, id: str) -> None:  # noqa: A002
    """A handler that no decorator knows of."""
    with request.accept() as websocket:
        websocket.send(f"id={id}")


class Users:
    """Handlers that share something."""

    def __init__(self) -> None:
        self._names = {7: "Ada"}

    def show(self, request: WebSocketRequest, number: int) -> None:
        """A handler that is a method."""
        if number not in self._names:
            raise NotFound
        with request.accept() as websocket:
            websocket.send(self._names[number])


def listener(request: WebSocketRequest) -> None:
    """A handler that is a whole application."""
    with request.accept() as websocket:
        websocket.send(f"this is {request.path}")


def hello(request: WebSocketRequest) -> None:
    """A handler of a router."""
    with request.accept() as websocket:
        websocket.send("hello")
        websocket.send(websocket.receive())


def _show(websocket: BlockingWebSocket, **values: Any) -> None:
    shown = [f"{name}={value!r}" for name, value in values.items()]
    websocket.send(" ".join(shown))


def add_converters(app: App) -> None:
    """One route for each spelling of a placeholder."""

    def handler(request: WebSocketRequest, **values: Any) -> None:
        with request.accept() as websocket:
            _show(websocket, **values)

    for number, path in enumerate(
        [
            "/plain/<x>",
            "/text/<string(length=2):x>",
            "/int/<int:n>",
            "/range/<int(min=1, max=12):n>",
            "/float/<float:x>",
            "/path/<path:p>/end",
            "/uuid/<uuid:u>",
            "/any/<any(red,blue):x>",
            "/regex/<regex('[a-z]{3}[0-9]+'):x>",
            "/two/<a>/<int:b>",
        ]
    ):
        app.add_route(path, ["WEBSOCKET"], handler, name=f"converter {number}")


def add_hosts(app: App) -> None:
    """Routes that ask for a host."""

    @app.route("/where", methods=["WEBSOCKET"], host="<tenant>.example.com<port:port>")
    def tenant(request: WebSocketRequest, tenant: str, port: int | None) -> None:
        with request.accept() as websocket:
            _show(websocket, tenant=tenant, port=port)

    @app.route("/where", methods=["WEBSOCKET"], host="<regex('api|rest'):service>.test")
    def service(request: WebSocketRequest, service: str) -> None:
        with request.accept() as websocket:
            _show(websocket, service=service)

    @app.route("/where", methods=["WEBSOCKET"])
    def anywhere(request: WebSocketRequest) -> None:
        with request.accept() as websocket:
            _show(websocket, host="any")
