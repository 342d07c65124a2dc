"""What a test and a handler on another thread's event loop tell one another."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any, Final

from . import anyloop as anyio

TIMEOUT: Final = 15.0
"""Seconds after which anything that is waited for is overdue; only a failing test takes so long."""


class Gate:
    """Opened by the test, awaited by handlers on any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = False
        self._waiting: list[tuple[Any, Any]] = []

    async def wait(self) -> None:
        """Wait until the test opens the gate."""
        with self._lock:
            if self._opened:
                return
            event = anyio.Event()
            self._waiting.append((event, anyio.lowlevel.current_token()))
        await event.wait()

    def open(self) -> None:
        """Let the handlers go on."""
        with self._lock:
            self._opened = True
            waiting, self._waiting = self._waiting, []
        for event, token in waiting:
            anyio.from_thread.run_sync(event.set, token=token)


class Observed:
    """What handlers saw, in order, for the test to look at."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()

    def put(self, value: Any) -> None:
        """A handler saw `value`."""
        self._queue.put(value)

    def get(self, timeout: float = TIMEOUT) -> Any:
        """The oldest observation that was not looked at, once there is one."""
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no handler observed anything for {timeout:g} s") from None

    def take(self, count: int) -> list[Any]:
        """The next `count` observations."""
        return [self.get() for _ in range(count)]

    def until_quiet(self, seconds: float) -> list[Any]:
        """All observations up to the first time when none comes for some seconds."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._queue.get(timeout=seconds))
        return found
