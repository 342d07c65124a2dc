"""What must happen to a WebSocket while its handler is elsewhere.

On trio a handler reads and writes its socket itself, as long as it is inside `receive` or `send`:
no other task is woken for it. When it is not, one attendant per server writes what it left to be
written, reads so that Pings are answered and a gone peer is noticed, and keeps the deadlines.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, Protocol

import trio

# How often absent handlers are looked for, in seconds: after two of these somebody else reads.
_TICK: Final = 0.25


class Attended(Protocol):
    """What the attendant does with a link."""

    def flush_now(self) -> None:
        """Write what waits to be written."""

    def read_in_background(self) -> None:
        """Read in place of the handler until it waits itself."""

    def handle_deadline(self, now: float) -> None:
        """Time has come, or has moved on: look what is due."""


class Attendant:
    """Serves any number of links; runs in the nursery it is made with."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        """Where links start their background readers and writers."""
        self.token = trio.lowlevel.current_trio_token()
        """For other threads, which come back by it."""
        self._to_flush: list[Attended] = []
        self._flusher: trio.lowlevel.Task | None = None
        # A link that is gone leaves its numbers in the heap, and nothing else.
        self._deadlines: list[tuple[float, int]] = []
        self._due_links: dict[int, Attended] = {}
        self._numbers = count()
        self._unattended: set[Attended] = set()
        self._ticking = False
        self._sleeping_until = float("inf")
        self._sleep: trio.CancelScope | None = None
        nursery.start_soon(self._flush_loop)
        nursery.start_soon(self._time_loop)

    # Writing

    def flush_soon(self, link: Attended) -> None:
        """Have `link.flush` called in the scheduler's next pass."""
        self._to_flush.append(link)
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            trio.lowlevel.reschedule(flusher)

    # A KeyboardInterrupt in here would leave a dead task to be rescheduled.
    @trio.lowlevel.enable_ki_protection
    async def _flush_loop(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._flusher = None
            return trio.lowlevel.Abort.SUCCEEDED

        while True:
            if not self._to_flush:
                self._flusher = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(abort)
            links, self._to_flush = self._to_flush, []
            for link in links:
                link.flush_now()

    # Reading

    def unattended(self, link: Attended) -> None:
        """The handler of `link` went elsewhere."""
        self._unattended.add(link)
        if not self._ticking:
            self._ticking = True
            self._wake_before(trio.current_time() + _TICK)

    def attended(self, link: Attended) -> None:
        """Somebody reads `link`, or nobody needs to any more."""
        self._unattended.discard(link)

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

    @trio.lowlevel.enable_ki_protection
    async def _time_loop(self) -> None:
        absent: set[Attended] = set()
        while True:
            now = trio.current_time()
            while self._deadlines and self._deadlines[0][0] <= now:
                link = self._due_links.pop(heapq.heappop(self._deadlines)[1], None)
                if link is not None:
                    link.handle_deadline(now)
            # Who is still unattended after a whole tick is not coming back soon.
            for unattended in absent & self._unattended:
                unattended.read_in_background()
            absent = set(self._unattended)
            self._ticking = bool(absent)
            due = self._deadlines[0][0] if self._deadlines else float("inf")
            if absent:
                due = min(due, now + _TICK)
            self._sleeping_until = due
            with trio.CancelScope(deadline=due) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None


@asynccontextmanager
async def attendance() -> AsyncGenerator[Attendant]:
    """An attendant for as long as the context is open; the body's own exception comes out as is."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield Attendant(nursery)
        except trio.Cancelled:
            raise  # it cancels the attendant as well
        except BaseException as error:  # kept from the nursery, which would wrap it
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
