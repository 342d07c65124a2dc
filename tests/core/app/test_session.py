"""A served connection: whatever its handler does, it ends well, alone, and with the right log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.app.link import (
    CLIENT,
    SERVER,
    URI,
    Cancelled,
    CancelledByError,
    MemoryLink,
    Task,
    World,
    unreachable,
)
from tests.core.helpers import CLOSE, close_payload, frame, frame_from, head, parse_response
from tests.core.helpers import request as handshake
from windsock.core import (
    App,
    Disconnected,
    Headers,
    LocalProtocolError,
    Reject,
    Request,
    RequestHead,
    Response,
    WebSocket,
    as_app,
)
from windsock.core.app.client import open_websocket
from windsock.core.app.session import WebSocketAnswering, going_away, logger, serve_connection
from windsock.core.protocol.frames import Role

PLAIN = head("GET / HTTP/1.1", [("Host", "example.com")])
PEER_CLOSES = frame_from(Role.CLIENT, CLOSE, close_payload(1000))


def closing(code: int) -> bytes:
    """The server's Close frame."""
    return frame(CLOSE, close_payload(code))


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "windsock")


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    assert all(record.name == "windsock" for record in caplog.records)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def error_logged(caplog: pytest.LogCaptureFixture) -> BaseException:
    """The one error that was logged, with its traceback."""
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert error is not None
    return error


def raising(error: BaseException, *, accepted: bool) -> Callable[[WebSocket], Any]:
    async def handler(ws: WebSocket) -> None:
        if accepted:
            await ws.accept()
        raise error

    return handler


def ends(world: World, task: Task[None]) -> None:
    """The peer ends TCP, and then the connection is over."""
    assert not task.done
    world.peer_ends()
    task.result()
    assert world.server_channel.finished


# The request


@pytest.mark.parametrize(("secure", "scheme"), [(False, "ws"), (True, "wss")])
def test_the_request_of_a_websocket(world: World, secure: bool, scheme: str) -> None:
    seen: list[Request] = []
    app = App()

    @app.websocket("/chat")
    async def handler(ws: WebSocket) -> None:
        seen.append(ws.request)

    world.spawn(
        serve_connection(
            app, world.server_channel, world.server, secure=secure, client=CLIENT, server=SERVER
        )
    )
    world.peer_sends(handshake(add=[("Sec-WebSocket-Protocol", "a, b")]))
    [asked] = seen
    assert asked.target == "/chat?room=1"
    assert asked.subprotocols == ("a", "b")
    assert (asked.scheme, asked.client, asked.server, asked.body) == (scheme, CLIENT, SERVER, b"")
    world.dispose()


@pytest.mark.parametrize(("secure", "scheme"), [(False, "http"), (True, "https")])
def test_the_request_of_plain_http(world: World, secure: bool, scheme: str) -> None:
    seen: list[Request] = []
    app = App()

    @app.http("/", methods=["POST"])
    async def handler(asked: Request) -> Response:
        seen.append(asked)
        return Response("ok")

    task = world.spawn(
        serve_connection(
            app, world.server_channel, world.server, secure=secure, client=CLIENT, server=SERVER
        )
    )
    fields = [("Host", "example.com"), ("Content-Length", "3")]
    world.peer_sends(head("POST / HTTP/1.1", fields) + b"abc")
    [asked] = seen
    assert (asked.scheme, asked.client, asked.server) == (scheme, CLIENT, SERVER)
    assert (asked.body, asked.subprotocols) == (b"abc", ())
    assert parse_response(world.peer_got())[2] == b"ok"
    ends(world, task)


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_peer_that_goes_before_it_asked(
    world: World, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    task = world.serve(unreachable)
    world.peer_sends(data)
    world.peer_ends()
    task.result()
    assert logged(caplog) == []


def test_a_bad_request(world: World, caplog: pytest.LogCaptureFixture) -> None:
    task = world.serve(unreachable)
    world.peer_sends(handshake(("Sec-WebSocket-Key", "short")))
    assert parse_response(world.peer_got())[0] == 400
    ends(world, task)
    assert logged(caplog) == []


def test_no_request_in_time(world: World) -> None:
    task = world.serve(unreachable)
    world.advance(10)
    assert parse_response(world.peer_got())[0] == 408
    ends(world, task)


# Before accept


def test_no_decision(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        """Says nothing."""

    task = world.serve(handler)
    world.peer_sends(handshake())
    assert parse_response(world.peer_got())[0] == 403
    ends(world, task)
    message = "GET /chat?room=1: the handler returned without accept or reject; rejected with 403"
    assert logged(caplog) == [("WARNING", message)]


def test_a_handler_that_rejects(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(401, body="who?")

    task = world.serve(handler)
    world.peer_sends(handshake())
    status, _, body = parse_response(world.peer_got())
    assert (status, body) == (401, b"who?")
    ends(world, task)
    assert logged(caplog) == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        Disconnected(1000, "", True),  # of another WebSocket
        LocalProtocolError("x"),
        ExceptionGroup("nursery", [ValueError("x")]),
        ExceptionGroup("nursery", [Disconnected(1000, "", True)]),
    ],
)
def test_an_error_before_accept(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    task = world.serve(raising(error, accepted=False))
    world.peer_sends(handshake())
    assert parse_response(world.peer_got())[0] == 500
    ends(world, task)
    assert logged(caplog) == [("ERROR", "GET /chat?room=1: the handler failed")]
    assert error_logged(caplog) is error


def test_reject_before_accept(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reject = Reject(401, "who?", headers={"X": "1"})
    task = world.serve(raising(reject, accepted=False))
    world.peer_sends(handshake())
    status, headers, body = parse_response(world.peer_got())
    assert (status, headers["X"], body) == (401, "1", b"who?")
    ends(world, task)
    assert logged(caplog) == []


@pytest.mark.parametrize("reject", [Reject(101), Reject(403, headers={"X": "a\nb"}), Reject(99)])
def test_a_reject_that_cannot_be_sent(
    world: World, caplog: pytest.LogCaptureFixture, reject: Reject
) -> None:
    task = world.serve(raising(reject, accepted=False))
    world.peer_sends(handshake())
    assert parse_response(world.peer_got())[0] == 500
    ends(world, task)
    error = error_logged(caplog)
    assert isinstance(error, LocalProtocolError)
    assert error.__cause__ is reject


@pytest.mark.parametrize("how", ["return", "raise", "accept", "reject", "Reject"])
def test_a_client_that_goes_before_the_decision(
    world: World, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    gate = world.gate()

    async def handler(ws: WebSocket) -> None:
        await gate.wait()
        if how == "raise":
            raise ValueError("x")
        if how == "accept":
            await ws.accept()
        if how == "reject":
            await ws.reject()
        if how == "Reject":
            raise Reject(401)

    task = world.serve(handler)
    world.peer_sends(handshake())
    world.peer_ends()
    gate.open()
    world.run()
    task.result()
    assert world.peer_got() == b""
    levels = {level for level, _ in logged(caplog)}
    assert levels <= ({"ERROR"} if how == "raise" else {"DEBUG"})


def test_a_client_that_goes_in_the_moment_before_it_is_rejected(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(ws: WebSocket) -> None:
        """Says nothing."""

    async def checkpoint() -> None:
        world.server_channel.receive_data(b"", world.now)

    monkeypatch.setattr(world.server, "checkpoint", checkpoint)
    task = world.serve(handler)
    world.peer_sends(handshake())
    task.result()
    assert logged(caplog)[-1] == ("DEBUG", "GET /chat?room=1: gone before it was rejected")


# After accept


def test_a_return_after_accept(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    task = world.serve(handler)
    world.peer_sends(handshake())
    assert world.peer_got().endswith(closing(1000))
    world.peer_sends(PEER_CLOSES)
    ends(world, task)
    assert logged(caplog) == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        Disconnected(1000, "", True),  # of another WebSocket
        ExceptionGroup("nursery", [ValueError("x")]),
    ],
)
@pytest.mark.parametrize("block", [True, False])
def test_an_error_after_accept(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception, block: bool
) -> None:
    async def handler(ws: WebSocket) -> None:
        if block:
            async with ws:
                raise error
        await ws.accept()
        raise error

    task = world.serve(handler)
    world.peer_sends(handshake())
    assert world.peer_got().endswith(closing(1011))
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(1011)))
    ends(world, task)
    assert logged(caplog) == [("ERROR", "GET /chat?room=1: the handler failed")]
    assert error_logged(caplog) is error


def test_reject_after_accept(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reject = Reject(401)
    task = world.serve(raising(reject, accepted=True))
    world.peer_sends(handshake())
    assert world.peer_got().endswith(closing(1011))
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(1011)))
    ends(world, task)
    assert error_logged(caplog) is reject
    assert isinstance(reject.__cause__, LocalProtocolError)
    assert "cannot reject while the connection is open" in str(reject.__cause__)


def test_reject_after_a_rejection(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(404)
        raise Reject(401)

    task = world.serve(handler)
    world.peer_sends(handshake())
    assert parse_response(world.peer_got())[0] == 404
    ends(world, task)
    assert isinstance(error_logged(caplog), Reject)


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while True:
        await ws.send(await ws.receive())


async def echo_in_groups(ws: WebSocket) -> None:
    try:
        await echo(ws)
    except Disconnected as error:
        raise ExceptionGroup("nursery", [error]) from None


@pytest.mark.parametrize("handler", [echo, echo_in_groups])
@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000])
def test_the_peers_end_is_no_error(
    world: World, caplog: pytest.LogCaptureFixture, handler: Any, code: int
) -> None:
    task = world.serve(handler)
    world.peer_sends(handshake())
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(code)))
    assert world.peer_got().endswith(closing(code))
    ends(world, task)
    [(level, message)] = logged(caplog)
    assert level == "DEBUG"
    assert message.startswith("GET /chat?room=1: ")


@pytest.mark.parametrize("handler", [echo, echo_in_groups])
def test_our_own_end_is_no_error(
    world: World, caplog: pytest.LogCaptureFixture, handler: Any
) -> None:
    """Graceful shutdown reaches a handler that does not expect it."""
    task = world.serve(handler)
    world.peer_sends(handshake())
    going_away(world.server_channel, world.server)
    assert world.peer_got().endswith(closing(1001))
    world.peer_sends(frame_from(Role.CLIENT, CLOSE, close_payload(1001)))
    ends(world, task)
    assert {level for level, _ in logged(caplog)} == {"DEBUG"}


def test_an_error_after_the_peers_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            await ws.receive(default=None)
            raise ValueError("x")

    task = world.serve(handler)
    world.peer_sends(handshake())
    world.peer_sends(PEER_CLOSES)
    assert world.peer_got().endswith(closing(1000))
    ends(world, task)
    assert str(error_logged(caplog)) == "x"


def test_the_handler_may_outlive_the_connection(world: World) -> None:
    gate = world.gate()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await gate.wait()

    task = world.serve(handler)
    world.peer_sends(handshake())
    world.peer_ends()
    assert not task.done
    gate.open()
    world.run()
    task.result()


# Cancellation and whatever else is no error of the handler's


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("accepted", [True, False])
def test_what_goes_on_from_here(
    world: World, caplog: pytest.LogCaptureFixture, error: BaseException, accepted: bool
) -> None:
    task = world.serve(raising(error, accepted=accepted))
    world.peer_sends(handshake())
    assert task.error is error
    assert logged(caplog) == []


def test_what_else_comes_out_of_a_cancelled_handler_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cancelled, wrong = Cancelled(), ValueError("x")
    task = world.serve(raising(BaseExceptionGroup("nursery", [cancelled, wrong]), accepted=True))
    world.peer_sends(handshake())
    error = task.error
    assert isinstance(error, BaseExceptionGroup)
    assert error.exceptions == (cancelled,)
    assert logged(caplog) == [("ERROR", f"the connection of {CLIENT} failed")]
    found = error_logged(caplog)
    assert isinstance(found, ExceptionGroup)
    assert found.exceptions == (wrong,)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_cancellation_that_is_an_ordinary_exception_is_no_failure(
    world: World, caplog: pytest.LogCaptureFixture, accepted: bool
) -> None:
    world.server.cancelled = (CancelledByError,)
    task = world.serve(raising(CancelledByError(), accepted=accepted))
    world.peer_sends(handshake())
    task.result()
    assert logged(caplog) == []
    assert closing(1011) not in world.peer_got()


def test_a_cancelled_body_goes_away_whatever_the_exception(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            raise CancelledByError

    world.server.cancelled = (CancelledByError,)
    task = world.serve(handler)
    world.peer_sends(handshake())
    task.result()
    assert world.peer_got().endswith(closing(1001))
    assert logged(caplog) == []


def test_a_link_that_fails_ends_its_connection_alone(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait() -> None:
        raise OSError("no more")

    monkeypatch.setattr(world.server, "wait", wait)
    task = world.serve(unreachable)
    world.run()
    task.result()
    assert logged(caplog) == [("ERROR", f"the connection of {CLIENT} failed")]


# Plain HTTP


def http_app(handler: Any) -> App:
    app = App()
    app.http("/")(handler)
    return app


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        Disconnected(1000, "", True),
        ExceptionGroup("nursery", [ValueError("x")]),
    ],
)
def test_an_error_in_a_http_handler(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def handler(asked: Request) -> Response:
        raise error

    task = world.serve(http_app(handler))
    world.peer_sends(PLAIN)
    status, _, body = parse_response(world.peer_got())
    assert (status, body) == (500, b"Internal Server Error")
    ends(world, task)
    assert logged(caplog) == [("ERROR", "GET /: the handler failed")]
    assert error_logged(caplog) is error


@pytest.mark.parametrize("response", [Response(status=99), Response(headers={"X": "a\nb"})])
@pytest.mark.parametrize("how", ["return", "Reject"])
def test_a_http_response_that_cannot_be_sent(
    world: World, caplog: pytest.LogCaptureFixture, response: Response, how: str
) -> None:
    async def handler(asked: Request) -> Response:
        if how == "return":
            return response
        raise Reject(response)

    task = world.serve(http_app(handler))
    world.peer_sends(PLAIN)
    assert parse_response(world.peer_got())[0] == 500
    ends(world, task)
    assert isinstance(error_logged(caplog), LocalProtocolError)


def test_a_cancelled_http_handler(world: World, caplog: pytest.LogCaptureFixture) -> None:
    error = Cancelled()

    async def handler(asked: Request) -> Response:
        raise error

    task = world.serve(http_app(handler))
    world.peer_sends(PLAIN)
    assert task.error is error
    assert logged(caplog) == []


def test_a_http_handler_that_is_cancelled_by_an_ordinary_exception(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(asked: Request) -> Response:
        raise CancelledByError

    world.server.cancelled = (CancelledByError,)
    task = world.serve(http_app(handler))
    world.peer_sends(PLAIN)
    task.result()
    assert world.peer_got() == b""
    assert logged(caplog) == []


def test_a_http_client_that_goes_before_the_response(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gate = world.gate()

    async def handler(asked: Request) -> Response:
        await gate.wait()
        return Response("ok")

    task = world.serve(http_app(handler))
    world.peer_sends(PLAIN)
    world.server_channel.connection.write_failed(world.now)
    gate.open()
    world.run()
    task.result()
    assert logged(caplog) == []


# The log


def test_a_peer_cannot_forge_log_lines(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever gets through to the target: control characters and others are escaped."""
    head_of_request = handshake(line="GET /a%0d%0aERROR HTTP/1.1")
    task = world.serve(raising(ValueError("x"), accepted=False))
    world.peer_sends(head_of_request)
    ends(world, task)
    assert logged(caplog) == [("ERROR", "GET /a%0d%0aERROR: the handler failed")]


def test_control_characters_are_escaped_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a transport lets through."""
    asked = Request(RequestHead("GET", "/a\r\n\x1b[31m\x85\u2028é", Headers()))
    world.peer_sends(handshake())
    world.run()
    ws = WebSocket(world.server_channel, world.server, asked)
    app = as_app(raising(ValueError("x"), accepted=False))
    world.do(WebSocketAnswering(app, ws, world.server_channel).fail(ValueError("x")))
    escaped = r"GET /a\r\n\x1b[31m\x85\u2028\xe9: the handler failed"
    assert logged(caplog) == [("ERROR", escaped)]


def test_the_logger() -> None:
    assert logger() is logging.getLogger("windsock")


class Mutex:
    """Knows whether it is held."""

    def __init__(self) -> None:
        self.held = 0

    def __enter__(self) -> None:
        self.held += 1

    def __exit__(self, *_: object) -> None:
        self.held -= 1


def test_the_session_holds_the_mutex_from_its_look_at_the_channel_until_it_waits(
    world: World,
) -> None:
    """Else what another thread brings in between would wake nobody."""
    client_channel, client = world.add_client()
    waits: list[tuple[object, int]] = []
    for link in world.links:
        mutex = link.mutex = Mutex()

        def wait(link: Any = link, mutex: Mutex = mutex, wait: Any = link.wait) -> Any:
            waits.append((link, mutex.held))
            return wait()

        link.wait = wait  # type: ignore[method-assign]

    async def handler(ws: WebSocket) -> None:
        waits.append(("the handler", world.server.mutex.held))  # type: ignore[attr-defined]
        await ws.accept()

    async def use() -> None:
        async with open_websocket(client_channel, client, URI) as ws:
            waits.append(("the client", client.mutex.held))  # type: ignore[attr-defined]
            assert await ws.receive(default=None) is None
            waits.append(("and its end", 0))

    served, used = world.serve(handler), world.spawn(use())
    world.run()
    served.result()
    used.result()
    own = [held for link, held in waits if isinstance(link, MemoryLink)]
    assert ("the handler", 0) in waits
    assert ("the client", 0) in waits
    assert waits[0] == (world.server, 1)
    assert (client, 1) in waits[: waits.index(("the client", 0))]
    assert (client, 1) in waits[waits.index(("and its end", 0)) :]
    assert own[-1] == 1
