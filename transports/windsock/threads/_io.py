"""The thread that waits for sockets and for time, so that no other has to."""

from __future__ import annotations

import contextlib
import heapq
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from windsock.core.app.session import logger

_Ready = Callable[[int], None]

# Seconds that other threads wait for this one: it never does anything that takes long.
_PATIENCE: Final = 10.0


class Timer:
    """Something to be done at a time."""

    __slots__ = ("due", "function")

    def __init__(self, due: float, function: Callable[[], None]) -> None:
        self.due = due
        self.function: Callable[[], None] | None = function

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        """Do nothing."""
        self.function = None


class IOThread:
    """A daemon thread with a selector. What it calls must never block.

    `call` and `stop` are for any thread, the other methods for this thread alone.
    """

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain_waker)
        self._wake_sent = False
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[Timer] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin. Raises RuntimeError where the system has no more threads."""
        try:
            self._thread.start()
        except RuntimeError:
            self.abandon()
            raise

    def call(self, function: Callable[[], None]) -> None:
        """Have `function` called on this thread, soon."""
        self._calls.append(function)
        if not self._wake_sent and threading.get_ident() != self._thread.ident:
            self._wake_sent = True
            # Full: it will wake anyway. Closed: it has stopped, and so has all it served.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def call_and_wait(self, function: Callable[[], None]) -> None:
        """The same, and block until it was. Does nothing where this thread does not run."""
        if not self._thread.is_alive():
            return
        done = threading.Event()

        def call() -> None:
            try:
                function()
            finally:
                done.set()

        self.call(call)
        done.wait(_PATIENCE)

    def watch(self, sock: socket.socket, before: int, now: int, ready: _Ready) -> None:
        """Look for the events `now`, no longer for `before`, and call `ready` with what came."""
        if before == 0:
            self._selector.register(sock, now, ready)
        elif now == 0:
            self._selector.unregister(sock)
        else:
            self._selector.modify(sock, now, ready)

    def now(self) -> float:
        """The clock of `call_at`."""
        return monotonic()

    def call_at(self, due: float, function: Callable[[], None]) -> Timer:
        """Have `function` called at a time of `monotonic`."""
        timer = Timer(due, function)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        """Do what is to be done now, end, and block until that is so."""
        if not self._thread.is_alive():
            self.abandon()
            return
        self._stopping = True
        self.call(lambda: None)
        self._thread.join(_PATIENCE)

    def abandon(self) -> None:
        """Close everything, where the thread does not run; in the child of a fork it does not."""
        self._selector.close()
        self._woken.close()
        self._waker.close()

    # The thread

    def _run(self) -> None:
        while not self._stopping:
            for key, mask in self._selector.select(self._timeout()):
                self._guard(key.data, mask)
            self._run_calls()
            self._run_timers()
        self._run_calls()
        self.abandon()

    def _guard(self, function: Callable[..., Any], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:  # the thread's boundary: whatever it was, the others must go on
            logger().exception("the I/O thread goes on after an error")

    def _drain_waker(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        # Before the calls are looked at: who adds one from now on wakes this thread again.
        self._wake_sent = False

    def _timeout(self) -> float | None:
        if self._calls:
            return 0
        return max(0.0, self._timers[0].due - monotonic()) if self._timers else None

    def _run_calls(self) -> None:
        for _ in range(len(self._calls)):  # those that these add have their turn later
            self._guard(self._calls.popleft())

    def _run_timers(self) -> None:
        now = monotonic()
        while self._timers and self._timers[0].due <= now:
            function = heapq.heappop(self._timers).function
            if function is not None:
                self._guard(function)
