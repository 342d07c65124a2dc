"""What a test and a handler on another thread's event loop tell one another."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from . import anyloop as anyio

TIMEOUT: Final = 15.0
"""Seconds after which anything that is waited for is overdue; only a failing test takes so long."""


def in_event_loop() -> bool:
    """Whether the calling handler is a task, not a thread of its own."""
    try:
        anyio.lowlevel.current_token()
    except anyio.NoEventLoopError:
        return False
    return True


async def pause(seconds: float) -> None:
    """Let time pass in a handler."""
    if in_event_loop():
        await anyio.sleep(seconds)
    else:
        time.sleep(seconds)  # noqa: ASYNC251  # this thread is the handler's own


def overdue_after(seconds: float) -> AbstractContextManager[object]:
    """Fail the handler that takes longer; on a thread, its test alone fails when that is over."""
    return anyio.fail_after(seconds) if in_event_loop() else nullcontext()


class Gate:
    """Opened by the test, awaited by handlers on any event loop, and on threads without one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = threading.Event()
        self._waiting: list[tuple[Any, Any]] = []

    async def wait(self) -> None:
        """Wait until the test opens the gate."""
        if not in_event_loop():
            assert self._is_open.wait(TIMEOUT), "the test does not open the gate"
            return
        with self._lock:
            if self._is_open.is_set():
                return
            event = anyio.Event()
            self._waiting.append((event, anyio.lowlevel.current_token()))
        await event.wait()

    def open(self) -> None:
        """Let the handlers go on."""
        with self._lock:
            self._is_open.set()
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
