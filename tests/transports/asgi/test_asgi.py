"""`ASGI` in a strict host without a network, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.transports.asgi.host import Host
from windsock.asgi import ASGI
from windsock.core import (
    App,
    Config,
    Disconnected,
    LocalProtocolError,
    Request,
    Response,
    WebSocket,
)

pytestmark = pytest.mark.anyio

Handler = Callable[[WebSocket], Coroutine[Any, Any, None]]


def hosted(handler: Handler | App, config: Config | None = None, **host: Any) -> Host:
    return Host(ASGI(handler, config=config), **host)


async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send(message)


async def settle() -> None:
    """Let every task that can run do so."""
    await anyio.wait_all_tasks_blocked()


class TestSession:
    async def test_echo(self) -> None:
        async with hosted(echo).connect() as client:
            await client.accepted()
            for message in ("text", b"bytes", "", b""):
                client.send(message)
                assert await client.receive() == message
            client.close(4000, "bye")

    async def test_the_rules_of_a_session_are_the_cores(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def undecided(ws: WebSocket) -> None:
            pass

        async def fails_before(ws: WebSocket) -> None:
            raise ZeroDivisionError

        async def returns(ws: WebSocket) -> None:
            await ws.accept()

        async def fails_after(ws: WebSocket) -> None:
            await ws.accept()
            raise ZeroDivisionError

        for handler, status in ((undecided, 403), (fails_before, 500)):
            async with hosted(handler).connect() as client:
                assert (await client.response())[0] == status
        for handler, code in ((returns, 1000), (fails_after, 1011)):
            async with hosted(handler).connect() as client:
                await client.accepted()
                event = await client.next_event()
                assert event == {"type": "websocket.close", "code": code, "reason": ""}
        assert len(caplog.records) == 3

    async def test_rejection(self) -> None:
        async def handler(ws: WebSocket) -> None:
            assert ws.capabilities.rejection_response
            await ws.reject(418, [("X-Y", "z")], "no")

        async with hosted(handler).connect() as client:
            status, headers, body = await client.response()
        assert (status, headers["x-y"], body) == (418, "z", b"no")

    async def test_rejection_where_the_host_has_403_only(self) -> None:
        async def handler(ws: WebSocket) -> None:
            assert not ws.capabilities.rejection_response
            await ws.reject(418, [("X-Y", "z")], "no")

        async with hosted(handler, extensions={}).connect() as client:
            assert await client.next_event() == {"type": "websocket.close"}

    async def test_a_foreign_origin_reaches_no_application(self) -> None:
        async with hosted(echo).connect("/", [("origin", "https://evil.example")]) as client:
            assert (await client.response())[0] == 403

    async def test_a_decision_that_takes_too_long(self) -> None:
        late: list[Exception] = []

        async def handler(ws: WebSocket) -> None:
            await ws.wait_closed()
            try:
                await ws.accept()
            except Disconnected as error:
                late.append(error)

        async with hosted(handler, Config(open_timeout=0.01)).connect() as client:
            assert (await client.response())[0] == 503
        assert len(late) == 1

    async def test_a_decision_that_is_never_awaited(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await anyio.sleep_forever()

        async with hosted(handler, Config(open_timeout=0.01)).connect() as client:
            assert (await client.response())[0] == 503
            client.scope_of_app.cancel()

    async def test_the_request(self) -> None:
        seen: list[Request] = []
        app = App()

        @app.websocket("/a/{name}")
        async def handler(ws: WebSocket, name: str) -> None:
            seen.append(ws.request)
            assert name == "x y"
            await ws.accept("b")

        host = hosted(app, root_path="/mount")
        async with host.connect("/a/x%20y?q=1", [("cookie", "c=d")], ["a", "b"]) as client:
            assert (await client.accepted())["subprotocol"] == "b"
        (request,) = seen
        assert request.path == "/a/x y"
        assert request.query["q"] == "1"
        assert request.headers["Cookie"] == "c=d"
        assert request.subprotocols == ("a", "b")
        assert (request.scheme, request.http_version) == ("ws", "1.1")
        assert request.client == ("192.0.2.1", 50000)
        assert request.server == ("192.0.2.2", 80)

    async def test_a_message_over_the_limit(self) -> None:
        async with hosted(echo, Config(max_message_size=4)).connect() as client:
            await client.accepted()
            client.send("12345")
            assert (await client.next_event())["code"] == 1009

    async def test_the_peer_closes(self) -> None:
        seen: list[Any] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            try:
                await ws.receive()
            except Disconnected as error:
                seen.append((error.code, error.reason, error.clean))
            try:
                await ws.send("x")
            except Disconnected as error:
                seen.append(error.code)

        async with hosted(handler).connect() as client:
            await client.accepted()
            client.close(4010, "cbye")
        assert seen == [(4010, "cbye", True), 4010]

    @pytest.mark.parametrize("answered", [True, False])
    async def test_we_close(self, answered: bool) -> None:
        codes: list[int | None] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.close(4001, "bye")
            await ws.close()
            codes.append(ws.code)

        config = Config(close_timeout=0.01)
        async with hosted(handler, config, disconnect_after_close=answered).connect() as client:
            await client.accepted()
            assert (await client.next_event())["code"] == 4001
        assert codes == [4001 if answered else 1006]

    async def test_a_host_that_does_not_take_the_close_code_hears_its_own_error(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await go_on.wait()
            raise ZeroDivisionError

        go_on = anyio.Event()

        async def run() -> None:
            async with hosted(handler).connect() as client:
                client.close_error = LookupError("invalid close code 1011")
                await client.accepted()
                go_on.set()

        with pytest.raises(LookupError):
            await run()

    async def test_no_ping(self) -> None:
        errors: list[str] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            assert not ws.capabilities.ping
            try:
                await ws.ping()
            except LocalProtocolError as error:
                errors.append(str(error))

        async with hosted(handler).connect() as client:
            await client.accepted()
        assert "host server" in errors[0]


class TestPeerGone:
    async def test_noticed_by_a_handler_that_never_reads(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            with anyio.fail_after(1):
                await (await told.receive()).wait()
            await settle()
            assert ws.code == 1006

        tell, told = anyio.create_memory_object_stream[anyio.Event](1)
        async with tell, told, hosted(handler).connect() as client:
            await tell.send(client.told)
            await client.accepted()
            for number in range(20):
                client.send(str(number))
            client.abort()

    @pytest.mark.parametrize("refusal", [OSError("gone"), RuntimeError("closed"), None])
    async def test_noticed_by_a_handler_that_only_sends(self, refusal: Exception | None) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            with anyio.fail_after(2):
                code = await send_for_ever(ws)
            assert code == 4011

        async def send_for_ever(ws: WebSocket) -> int:
            try:
                while True:
                    await ws.send("x")  # this host always has room: it never suspends
            except Disconnected as error:
                return error.code

        async with hosted(handler).connect() as client:
            client.refusal = refusal
            await client.accepted()
            client.close(4011)

    async def test_gone_before_the_rejection(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await go_on.wait()
            await ws.reject(404)

        go_on = anyio.Event()
        async with hosted(handler).connect() as client:
            await settle()
            client.vanish()
            go_on.set()
        assert client.events == []

    async def test_what_came_before_the_end_is_still_received(self) -> None:
        got: list[str | bytes] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Disconnected):
                await ws.send("x")
            async for message in ws:
                got.append(message)

        async with hosted(handler).connect() as client:
            await client.accepted()
            await client.receive()
            for message in ("a", "b"):
                client.send(message)
            client.close(1000)
        assert got == ["a", "b"]

    async def test_the_inbox_is_bounded(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await go_on.wait()
            assert [m async for m in ws] == ["x" * 100] * 50

        go_on = anyio.Event()
        config = Config(inbox_high_water=1000)
        async with hosted(handler, config).connect() as client:
            await client.accepted()
            for _ in range(50):
                client.send("x" * 100)
            client.close(1000)
            await client.has_taken(8)
            await settle()
            assert client.received < 10
            go_on.set()


class TestTasks:
    async def test_one_receives_while_another_waits_for_the_end(self) -> None:
        order: list[Any] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()

            async def watch() -> None:
                await ws.wait_closed()
                order.append(ws.code)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                async for message in ws:
                    await ws.send(message)

        async with hosted(handler).connect() as client:
            await client.accepted()
            for number in range(10):
                client.send(str(number))
                assert await client.receive() == str(number)
            client.close(1001)
        assert order == [1001]

    async def test_two_receive(self) -> None:
        got: list[str | bytes] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()

            async def take() -> None:
                got.append(await ws.receive())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                tasks.start_soon(take)

        async with hosted(handler).connect() as client:
            await client.accepted()
            await settle()
            client.send("a")
            client.send("b")
        assert sorted(map(str, got)) == ["a", "b"]

    async def test_close_ends_the_receive_of_another_task(self) -> None:
        """The peer does not answer, so the task must come out of the host's receive."""
        codes: list[int] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()

            async def take() -> None:
                with pytest.raises(Disconnected) as caught:
                    await ws.receive()
                codes.append(caught.value.code)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                await settle()
                await ws.close(4000)

        config = Config(close_timeout=0.05)
        async with hosted(handler, config, disconnect_after_close=False).connect() as client:
            await client.accepted()
        assert codes == [4000]

    async def test_sends_keep_their_order_and_never_interleave(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            blocked.set()
            await go_on.wait()
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ws.send, str(number))

        blocked, go_on = anyio.Event(), anyio.Event()
        async with hosted(handler).connect() as client:
            await client.accepted()
            await client.receive()
            await blocked.wait()
            client.writable = anyio.Event()
            go_on.set()
            await settle()
            assert [e["type"] for e in client.events] == ["websocket.accept", "websocket.send"]
            client.writable.set()
            got = [await client.receive() for _ in range(20)]
        assert sorted(map(int, got)) == list(range(20))


class TestCancellation:
    async def test_a_cancelled_receive_loses_nothing(self) -> None:
        got: list[str | bytes] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            while len(got) < 50:
                with anyio.CancelScope() as scopes[0]:
                    while len(got) < 50:
                        got.append(await ws.receive())

        scopes = [anyio.CancelScope()]
        async with hosted(handler).connect() as client:
            await client.accepted()
            for number in range(50):
                client.send(str(number))
                for _ in range(number % 5):
                    await anyio.lowlevel.checkpoint()
                scopes[0].cancel()
        assert got == [str(number) for number in range(50)]

    async def test_a_cancelled_send_goes_out_whole_or_not_at_all(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            await blocked.wait()
            async with anyio.create_task_group() as tasks:
                for name in "abc":
                    tasks.start_soon(ws.send, name)
                    await settle()
                tasks.cancel_scope.cancel()
            cancelled.set()
            await ws.send("after")

        blocked, cancelled = anyio.Event(), anyio.Event()
        async with hosted(handler).connect() as client:
            await client.accepted()
            await client.receive()
            client.writable = anyio.Event()
            blocked.set()
            await cancelled.wait()
            client.writable.set()
            got = [await client.receive()]
            while got[-1] != "after":
                got.append(await client.receive())
        # The first was in the host's hands, which lost it; the others were taken on.
        assert got == ["b", "c", "after"]

    async def test_a_cancelled_sender_does_not_take_others_with_it(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            await blocked.wait()

            async def send_in(scope: anyio.CancelScope) -> None:
                with scope:
                    await ws.send("a")

            scope = anyio.CancelScope()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send_in, scope)
                await settle()
                tasks.start_soon(ws.send, "b")
                await settle()
                scope.cancel()
                cancelled.set()

        blocked, cancelled = anyio.Event(), anyio.Event()
        async with hosted(handler).connect() as client:
            client.shields = True
            await client.accepted()
            await client.receive()
            client.writable = anyio.Event()
            blocked.set()
            await cancelled.wait()
            client.writable.set()
            assert [await client.receive(), await client.receive()] == ["a", "b"]

    async def test_what_cancelled_senders_left_is_sent_without_them(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            await blocked.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ws.send, "a")
                await settle()
                tasks.start_soon(ws.send, "b")
                await settle()
                tasks.cancel_scope.cancel()
            cancelled.set()
            await go_on.wait()

        blocked, cancelled, go_on = anyio.Event(), anyio.Event(), anyio.Event()
        async with hosted(handler).connect() as client:
            await client.accepted()
            await client.receive()
            client.writable = anyio.Event()
            blocked.set()
            await cancelled.wait()
            client.writable.set()
            assert await client.receive() == "b"
            go_on.set()

    async def test_what_a_cancelled_sender_left_is_sent_though_somebody_reads(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("ready")
            await blocked.wait()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ws.send, "a")
                await settle()
                tasks.start_soon(ws.send, "b")
                await settle()
                tasks.cancel_scope.cancel()
            cancelled.set()
            await go_on.wait()

        blocked, cancelled, go_on = anyio.Event(), anyio.Event(), anyio.Event()
        async with hosted(handler).connect() as client:
            await client.accepted()
            await client.receive()
            client.send("unread")
            await client.has_taken(2)  # in place of the handler, and what comes next will be, too
            await settle()
            client.writable = anyio.Event()
            blocked.set()
            await cancelled.wait()
            client.writable.set()
            assert await client.receive() == "b"
            go_on.set()

    async def test_a_cancelled_application_that_is_read_for_says_goodbye(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await anyio.sleep_forever()

        async with hosted(handler).connect() as client:
            await client.accepted()
            client.send("unread")
            await client.has_taken(2)
            await settle()
            client.scope_of_app.cancel()
            assert (await client.next_event())["code"] == 1001

    async def test_a_cancelled_application_says_goodbye(self) -> None:
        async with hosted(echo).connect() as client:
            await client.accepted()
            client.scope_of_app.cancel()
            assert (await client.next_event())["code"] == 1001

    async def test_a_cancelled_application_that_is_not_in_a_context(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await anyio.sleep_forever()

        async with hosted(handler).connect() as client:
            await client.accepted()
            client.scope_of_app.cancel()
            assert (await client.next_event())["code"] == 1001

    async def test_what_is_no_exception_comes_out_unwrapped(self) -> None:
        class Stop(BaseException):
            pass

        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            raise Stop

        with pytest.raises(Stop):
            async with hosted(handler).connect() as client:
                await client.accepted()

    async def test_an_interruption_is_no_cancellation(self, anyio_backend: str) -> None:
        """asyncio's count of cancellations is what `asyncio.timeout` relies on."""
        if anyio_backend != "asyncio":
            pytest.skip("asyncio's alone")
        counts: list[int] = []

        async def handler(ws: WebSocket) -> None:
            await ws.accept()

            async def take() -> None:
                with pytest.raises(Disconnected):
                    await ws.receive()
                task = asyncio.current_task()
                assert task is not None
                counts.append(task.cancelling())

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(take())
                await settle()
                await ws.close()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()

        async with hosted(handler).connect() as client:
            await client.accepted()
        assert counts == [0]


class TestHttp:
    def app(self) -> App:
        app = App()

        @app.http("/", methods=["GET", "POST"])
        async def page(request: Request) -> Response:
            return Response(request.body or b"hello", headers=[("X-Y", "z")])

        @app.http("/bad")
        async def bad(request: Request) -> Response:
            raise ZeroDivisionError

        return app

    async def test_get(self) -> None:
        async with hosted(self.app()).request("/?a=b") as client:
            status, headers, body = await client.response()
        assert (status, headers["x-y"], body) == (200, "z", b"hello")
        assert headers["content-length"] == "5"
        assert "connection" not in headers

    async def test_head(self) -> None:
        async with hosted(self.app()).request("/", method="HEAD") as client:
            status, headers, body = await client.response()
        assert (status, headers["content-length"], body) == (200, "5", b"")

    async def test_post_in_pieces(self) -> None:
        async with hosted(self.app()).request("/", method="POST", body=[b"a", b"b"]) as client:
            assert (await client.response())[2] == b"ab"

    async def test_a_body_over_the_limit(self) -> None:
        host = hosted(self.app(), Config(max_body_size=3))
        async with host.request("/", method="POST", body=[b"ab", b"cd", b"ef"]) as client:
            assert (await client.response())[0] == 413
        assert client.received == 2

    async def test_errors(self, caplog: pytest.LogCaptureFixture) -> None:
        for target, status in (("/nowhere", 404), ("/bad", 500)):
            async with hosted(self.app()).request(target) as client:
                assert (await client.response())[0] == status
        assert len(caplog.records) == 1

    async def test_gone_before_the_response(self) -> None:
        app = App()

        @app.http("/")
        async def page(request: Request) -> Response:
            await go_on.wait()
            return Response("late")

        go_on = anyio.Event()
        async with hosted(app).request("/") as client:
            await settle()
            client.abort()
            go_on.set()
        assert client.events == []

    async def test_gone_within_the_body(self) -> None:
        client_host = hosted(self.app())
        scope = client_host.scope("http", "/", method="POST")
        given: list[dict[str, Any]] = [
            {"type": "http.request", "body": b"a", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, Any]:
            return given.pop(0)

        async def send(event: Any) -> None:
            raise AssertionError(event)

        await client_host.app(scope, receive, send)
        assert not given


def test_one_application_on_several_event_loops() -> None:
    application = ASGI(echo)

    async def session() -> None:
        async with Host(application).connect() as client:
            await client.accepted()
            client.send("here")
            assert await client.receive() == "here"
            client.close()

    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(session, backend=backend)


async def _call(scope: dict[str, Any], given: list[dict[str, Any]]) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return given.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    application: Callable[..., Awaitable[None]] = ASGI(echo)
    await application(scope, receive, send)
    return sent


async def test_lifespan() -> None:
    given: list[dict[str, Any]] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert await _call({"type": "lifespan"}, given) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


async def test_an_unknown_scope() -> None:
    with pytest.raises(ValueError, match="smtp"):
        await _call({"type": "smtp"}, [])


def test_without_anyio() -> None:
    program = "import sys; sys.modules['anyio'] = None\nimport windsock.asgi"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 1
    assert "pip install 'windsock[asgi]'" in run.stderr
    assert "During handling" not in run.stderr
