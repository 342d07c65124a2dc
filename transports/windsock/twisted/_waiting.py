"""Deferreds for everybody who waits for the same news."""

from __future__ import annotations

from contextlib import suppress

from twisted.internet.defer import Deferred


class Waiters:
    """Coroutines that wait for news; whoever is woken looks for what it waits for."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def wait(self) -> Deferred[None]:
        """Fires at the next `wake`."""
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting.append(waiter)
        return waiter

    def _forget(self, waiter: Deferred[None]) -> None:
        with suppress(ValueError):  # it is being woken
            self._waiting.remove(waiter)

    def wake(self) -> None:
        """Let everybody who waits run now, one after the other."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:  # one who ran before may have cancelled it
                waiter.callback(None)
