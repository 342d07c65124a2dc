"""What must happen to WebSockets on trio, whatever their handlers are doing.

One attendant per server, or per client, writes what handlers leave to be written, reads for them,
so that Pings are answered and a gone peer is noticed, and keeps the deadlines.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol

import trio

from ._flusher import flusher
from ._poller import Poller, TaskPoller


class Attended(Protocol):
    """What the attendant does with a link."""

    def handle_deadline(self, now: float) -> None:
        """Time has come, or has moved on: look what is due."""


class Attendant:
    """Serves any number of links; runs in the nursery it is made with, until `stop`."""

    def __init__(self, nursery: trio.Nursery, poller: Poller) -> None:
        self.nursery = nursery
        """Where links start their background readers and writers."""
        self.poller = poller
        """Who watches their sockets."""
        self.token = trio.lowlevel.current_trio_token()
        """For other threads, which come back by it."""
        self.flusher = flusher()
        """Who writes what they leave to be written."""
        # A link that is gone leaves its numbers in the heap, and nothing else.
        self._deadlines: list[tuple[float, int]] = []
        self._due_links: dict[int, Attended] = {}
        self._numbers = count()
        self._sleeping_until = float("inf")
        self._sleep: trio.CancelScope | None = None
        # It goes on for handlers that are cancelled and have something to say and to hear yet.
        self._scope = trio.CancelScope(shield=True)
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self._scope, self.flusher.used():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._time_loop)
                nursery.start_soon(self.poller.run)

    def stop(self) -> None:
        """There are no links any more."""
        self._scope.cancel()

    # Time

    def keep_deadline(self, link: Attended, due: float) -> int:
        """Have `link.handle_deadline` called at `due`, a time on trio's clock.

        Returns a number for `forget_deadline`.
        """
        number = next(self._numbers)
        self._due_links[number] = link
        heapq.heappush(self._deadlines, (due, number))
        self._wake_before(due)
        return number

    def forget_deadline(self, number: int) -> None:
        """Never mind."""
        self._due_links.pop(number, None)

    def _wake_before(self, due: float) -> None:
        if due < self._sleeping_until and self._sleep is not None:
            self._sleeping_until = due
            self._sleep.deadline = due

    def _handle_deadlines(self, now: float) -> None:
        # Not in the loop itself, which would hold on to the last of these while it sleeps.
        while self._deadlines and self._deadlines[0][0] <= now:
            link = self._due_links.pop(heapq.heappop(self._deadlines)[1], None)
            if link is not None:
                link.handle_deadline(now)

    @trio.lowlevel.enable_ki_protection
    async def _time_loop(self) -> None:
        while True:
            self._handle_deadlines(trio.current_time())
            due = self._deadlines[0][0] if self._deadlines else float("inf")
            self._sleeping_until = due
            with trio.CancelScope(deadline=due) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None


@asynccontextmanager
async def attendance(
    poller: Callable[[trio.Nursery], Poller] = TaskPoller,
) -> AsyncGenerator[Attendant]:
    """An attendant for as long as the context is open; the body's own exception comes out as is."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        attendant = Attendant(nursery, poller(nursery))
        try:
            yield attendant
        except trio.Cancelled:
            raise  # it cancels the attendant as well
        except BaseException as error:  # kept from the nursery, which would wrap it
            failure = error
        finally:
            attendant.stop()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
