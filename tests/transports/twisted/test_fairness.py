"""One busy peer does not starve the others; measured in messages and turns, not in time."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

import windsock.twisted
from tests.reactor_thread import entered, start
from tests.transports.handlers import echo
from tests.transports.wire import TEXT, frame
from windsock.core import WebSocket

from .running import opened

# How many messages of the busy peer may pass in one turn of everybody else: what is read at once
# (64 KiB), and what fits into an inbox, some times over.
_MOST: Final = 100_000


class Busy:
    """An application with a peer that never stops."""

    def __init__(self) -> None:
        self.received = 0

    async def receive(self, ws: WebSocket) -> None:
        async with ws:
            async for _ in ws:
                self.received += 1


def test_a_flood_of_messages_does_not_starve_a_quiet_connection() -> None:
    busy = Busy()
    with (
        entered(windsock.twisted.serve(busy.receive)) as server,
        entered(windsock.twisted.serve(echo)) as quiet_server,
        opened(quiet_server) as quiet,
    ):
        flooding = opened(server)
        chunk = frame(TEXT, b"x") * 10_000

        def flood() -> None:
            with contextlib.suppress(OSError):
                while True:
                    flooding.socket.sendall(chunk)

        thread = threading.Thread(target=flood)
        thread.start()
        for number in range(10):
            before = busy.received
            quiet.send(str(number))
            assert quiet.receive() == str(number)
            assert busy.received - before < 10 * _MOST
        flooding.abort()
        thread.join()
        assert busy.received > 0


def test_a_handler_that_only_sends_leaves_turns_to_the_others(reactor: Any) -> None:
    """Though its peer takes everything at once."""
    sent = 0
    done = False

    async def send(ws: WebSocket) -> None:
        nonlocal sent
        async with ws:
            while not done:
                await ws.send("x" * 1000)
                sent += 1

    async def turns() -> None:
        nonlocal done
        from twisted.internet.task import deferLater

        for _ in range(20):
            before = sent
            await deferLater(reactor, 0)
            assert sent - before < 10_000
        done = True

    with entered(windsock.twisted.serve(send)) as server, opened(server) as peer:
        taking = start(turns)
        while isinstance(peer.receive(), str):
            pass
        taking.result(20)
    assert sent > 0
