"""Cancellation of every call, and several tasks on one WebSocket."""

from __future__ import annotations

import random

import pytest

from windsock.core import WebSocket

from . import anyloop as anyio
from .exceptions import Deviation
from .peer import Close
from .sites import Site, WireSite, echo
from .sync import Gate, Observed

pytestmark = pytest.mark.usefixtures("tasks")


@pytest.mark.behaviour("cancelled-receive")
def test_a_cancelled_receive_leaves_the_next_message_to_the_next_receive(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ws.receive)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await ws.send("cancelled")
        seen.put(await ws.receive())
        seen.put(await ws.receive(default="no more"))

    with site.connect(handler) as peer:
        assert peer.receive() == "cancelled"
        peer.send("first")
        assert seen.get() == "first"
        peer.close()
        assert seen.get() == "no more"


@pytest.mark.behaviour("cancelled-receive")
def test_receive_in_a_cancelled_scope_loses_nothing(site: Site) -> None:
    seen, gate = Observed(), Gate()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        received = [await ws.receive()]
        await gate.wait()
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                received.append(await ws.receive())
                await anyio.lowlevel.checkpoint()
        while len(received) < 5:
            received.append(await ws.receive())
        seen.put(received)

    with site.connect(handler) as peer:
        for number in range(5):
            peer.send(str(number))
        gate.open()
        assert seen.get() == ["0", "1", "2", "3", "4"]


@pytest.mark.behaviour("cancelled-receive")
def test_no_message_is_lost_or_doubled_whenever_receive_is_cancelled(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        received: list[str | bytes] = []
        delays = random.Random(7)
        cancelled = 0
        while len(received) < 300:
            with anyio.move_on_after(delays.uniform(0, 0.002)) as scope:
                received.append(await ws.receive())
            cancelled += scope.cancelled_caught
            if scope.cancelled_caught:
                await ws.send("go on")
        seen.put(received)
        seen.put(cancelled)

    with site.connect(handler) as peer:
        for number in range(300):
            if number % 3 == 0:
                assert peer.receive() == "go on"
            peer.send(str(number))
        assert seen.get() == [str(number) for number in range(300)]
        assert seen.get() >= 100


@pytest.mark.behaviour("cancelled-send")
def test_a_cancelled_send_never_tears_a_message(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    seen, gate = Observed(), Gate()
    size = 200_000

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        attempts = cancelled = 0
        while cancelled < 5 and attempts < 50:
            with anyio.move_on_after(0.02) as scope:
                attempts += 1
                await ws.send(attempts.to_bytes(4, "big") * (size // 4))
            cancelled += scope.cancelled_caught
        seen.put(attempts)
        await gate.wait()
        await ws.send("end")

    with wire_site.wire(handler, receive_buffer=4096) as peer:
        if deviation is None:  # else it is not even cancelled before the peer reads
            attempts = seen.get()
        gate.open()
        numbers = []
        while (message := peer.receive()) != "end":
            assert isinstance(message, bytes)
            assert message == message[:4] * (size // 4)
            numbers.append(int.from_bytes(message[:4], "big"))
        if deviation:
            attempts = seen.get()
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(range(1, attempts + 1))
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("cancelled-send")
def test_send_in_a_cancelled_scope_sends_all_or_nothing(
    site: Site, deviation: Deviation | None
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(10):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await ws.send(f"maybe {number}")
                await anyio.lowlevel.checkpoint()
        await ws.send("end")

    with site.connect(handler) as peer:
        expected = [f"maybe {number}" for number in range(10)]
        while (message := peer.receive()) != "end":
            assert message in expected
            expected = expected[expected.index(message) + 1 :]


@pytest.mark.behaviour("cancelled-handler")
def test_a_body_that_is_cancelled_closes_1001(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        with anyio.move_on_after(0.05):
            async with ws:
                await ws.receive()

    with site.connect(handler) as peer:
        assert peer.receive() == Close(1001)
    site.assert_lives()


@pytest.mark.behaviour("cancelled-handler")
@pytest.mark.parametrize("busy", ["send", "echo"])
def test_a_busy_loop_can_be_cancelled_and_starves_nobody(site: Site, busy: str) -> None:
    seen, gate = Observed(), Gate()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        async with anyio.create_task_group() as tasks:

            async def loop() -> None:
                while True:
                    await ws.send("x" * 1000 if busy == "send" else await ws.receive())

            tasks.start_soon(loop)
            await gate.wait()
            tasks.cancel_scope.cancel()
        seen.put("cancelled")

    with site.connect(handler) as peer, site.connect(echo) as neighbour:
        for number in range(50):
            if busy == "echo":
                peer.send("x")
            assert peer.receive() in {"x", "x" * 1000}
            neighbour.send(str(number))
            assert neighbour.receive() == str(number)
        gate.open()
        while not isinstance(peer.receive(), Close):
            pass
        assert seen.get() == "cancelled"


@pytest.mark.behaviour("tasks")
def test_one_task_sends_while_another_receives(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        async def receive() -> None:
            seen.put([await ws.receive() for _ in range(200)])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            for number in range(200):
                await ws.send(f"down {number}")

    with site.connect(handler) as peer:
        for number in range(200):
            peer.send(f"up {number}")
        assert peer.take(200) == [f"down {number}" for number in range(200)]
        assert seen.get() == [f"up {number}" for number in range(200)]
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("tasks")
def test_two_tasks_receive_each_message_once(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        received: list[str | bytes] = []

        async def receive() -> None:
            while (message := await ws.receive(default=None)) is not None:
                received.append(message)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            tasks.start_soon(receive)
            tasks.start_soon(receive)
        seen.put(received)

    with site.connect(handler) as peer:
        for number in range(100):
            peer.send(str(number))
        peer.close()
        assert seen.get() == [str(number) for number in range(100)]


@pytest.mark.behaviour("tasks")
def test_two_tasks_send_whole_messages(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        async def send(letter: str) -> None:
            for _ in range(10):
                await ws.send(letter * 50_000)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, "a")
            tasks.start_soon(send, "b")

    with site.connect(handler) as peer:
        messages = peer.take(20)
        assert sorted(map(str, messages)) == ["a" * 50_000] * 10 + ["b" * 50_000] * 10
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("tasks")
def test_cancelling_one_receiver_leaves_the_other_receiving(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        async def receive(scope: anyio.CancelScope, name: str) -> None:
            with scope:
                seen.put((name, await ws.receive()))

        first, second = anyio.CancelScope(), anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, first, "first")
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(receive, second, "second")
            await anyio.lowlevel.checkpoint()
            first.cancel()
            await anyio.lowlevel.checkpoint()
            await ws.send("cancelled")

    with site.connect(handler) as peer:
        assert peer.receive() == "cancelled"
        peer.send("one")
        assert seen.get() == ("second", "one")


@pytest.mark.behaviour("tasks")
def test_cancelling_one_sender_loses_no_message_of_another(site: Site) -> None:
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()

        async def send_until_cancelled(scope: anyio.CancelScope) -> None:
            with scope:
                while True:
                    await ws.send("x" * 100_000)
                    seen.put("sent")

        async def send_one() -> None:
            await ws.send("mine")

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_until_cancelled, scope)
            await gate.wait()
            tasks.start_soon(send_one)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            scope.cancel()
        await ws.send("end")

    with site.connect(handler) as peer:
        seen.until_quiet(0.3)
        gate.open()
        received = []
        while (message := peer.receive()) != "end":
            received.append(message)
        assert received.count("mine") == 1
        assert set(received) <= {"mine", "x" * 100_000}
