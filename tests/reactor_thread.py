"""Twisted's reactor, in a thread: a process can run it once, so it runs for all tests there are."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

TIMEOUT: Final = 20.0
"""Seconds after which the reactor is overdue with anything."""

_lock = threading.Lock()
_thread: threading.Thread | None = None


def running_reactor() -> Any:
    """The reactor. What Twisted logs, such as unhandled errors, goes to the logger `twisted`."""
    global _thread
    from twisted.internet import reactor
    from twisted.logger import STDLibLogObserver, globalLogBeginner

    with _lock:
        if _thread is None:
            observer = STDLibLogObserver()
            globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
            runs = threading.Event()
            reactor.callWhenRunning(runs.set)
            _thread = threading.Thread(
                target=reactor.run, args=(False,), name="reactor", daemon=True
            )
            _thread.start()
            assert runs.wait(TIMEOUT)
            atexit.register(_stop)
    return reactor


def _stop() -> None:
    from twisted.internet import reactor

    assert _thread is not None
    reactor.callFromThread(reactor.stop)
    _thread.join(TIMEOUT)


def in_reactor() -> bool:
    """Whether this is the reactor's thread."""
    return threading.current_thread() is _thread


def start(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Future[T]:
    """Run a coroutine function on the reactor; the future has what it returns or raises."""
    from twisted.internet.defer import ensureDeferred

    future: Future[T] = Future()

    async def run() -> None:
        try:
            result = await function(*args)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    running_reactor().callFromThread(lambda: ensureDeferred(run()))
    return future


@contextmanager
def entered(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Inside this, an asynchronous context manager is entered on the reactor."""
    result = start(manager.__aenter__).result(TIMEOUT)
    try:
        yield result
    finally:
        start(manager.__aexit__, None, None, None).result(TIMEOUT)
