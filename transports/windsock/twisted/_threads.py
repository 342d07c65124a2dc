"""Blocking functions beside a reactor."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from windsock._handler_thread import run_in_thread
from windsock.core import Disconnected

from ._reactor import DelayedCall, Reactor

T = TypeVar("T")


class Home:
    """A reactor's thread, as other threads see it: they leave it calls, and wait for them."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._lock = threading.Lock()
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._ended = False
        self._thread: int | None = None
        reactor.callWhenRunning(self._arrive)
        reactor.addSystemEventTrigger("after", "shutdown", self._end)

    def _arrive(self) -> None:
        self._thread = threading.get_ident()

    def _end(self) -> None:
        """The reactor has stopped: who still waits is told, for nothing runs here any more."""
        with self._lock:
            self._ended = True
            pending, self._pending = self._pending, set()
        _homes.pop(self._reactor, None)
        for future in pending:
            _settle(future, _gone())

    def to_thread(self, function: Callable[[], T]) -> Deferred[T]:
        """Run `function` in a thread of its own; its outcome is the Deferred's."""
        deferred: Deferred[T] = Deferred()

        def done(future: concurrent.futures.Future[T]) -> None:
            self._reactor.callFromThread(_hand_on, future, deferred)

        run_in_thread(function).add_done_callback(done)
        return deferred

    def from_thread(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None
    ) -> T:
        """Run a coroutine function on the reactor from another thread, and block until it is done.

        Raises:
            TimeoutError: it was not done after `timeout` seconds, and was cancelled.
            Disconnected: the reactor has stopped.
            RuntimeError: called on the reactor's own thread.
        """
        if self._thread == threading.get_ident():
            raise RuntimeError(
                "a blocking call on the reactor's own thread would wait for itself: "
                "use the coroutine of the same name"
            )
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._lock:
            if self._ended:
                raise _gone()
            self._pending.add(future)
        try:
            self._reactor.callFromThread(self._begin, function, timeout, future)
            return future.result()
        finally:
            with self._lock:
                self._pending.discard(future)

    def _begin(
        self,
        function: Callable[[], Coroutine[Any, Any, T]],
        timeout: float | None,
        future: concurrent.futures.Future[T],
    ) -> None:
        overdue: DelayedCall | None = None

        async def run() -> None:
            nonlocal overdue
            try:
                result = await function()
            except CancelledError as error:
                if timeout is not None and overdue is None:
                    _settle(future, TimeoutError(f"not done within {timeout:g} s"))
                else:
                    _settle(future, error)
            except BaseException as error:  # the thread's boundary: whoever waits is told
                _settle(future, error)
            else:
                _settle(future, result=result)
            if overdue is not None:
                overdue.cancel()

        def cancel() -> None:
            nonlocal overdue
            overdue = None
            running.cancel()

        if timeout is not None:
            overdue = self._reactor.callLater(timeout, cancel)
        running = ensureDeferred(run())


def _settle(
    future: concurrent.futures.Future[Any], error: BaseException | None = None, result: Any = None
) -> None:
    if future.done():
        return  # the reactor has stopped meanwhile
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _hand_on(future: concurrent.futures.Future[T], deferred: Deferred[T]) -> None:
    if deferred.called:
        return  # cancelled: nobody waits for it any more
    error = future.exception()
    if error is None:
        deferred.callback(future.result())
    else:
        deferred.errback(error)


def _gone() -> Disconnected:
    return Disconnected(1006, "", clean=False)


_homes: dict[Reactor, Home] = {}


def home_of(reactor: Reactor) -> Home:
    """The one `Home` of a reactor. To be called on its thread, or before it runs."""
    if reactor not in _homes:
        _homes[reactor] = Home(reactor)
    return _homes[reactor]
