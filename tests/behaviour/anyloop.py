"""What the suite's handlers use of anyio, on Twisted's reactor as well.

Twisted has coroutines that can be cancelled, but neither tasks nor scopes; here is as much of
them as the handlers need. Everywhere else each name is anyio's.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio import NoEventLoopError
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import deferLater

from tests import reactor_thread
from tests.reactor_thread import in_reactor, running_reactor

__all__ = ["NoEventLoopError"]

T = TypeVar("T")


class _Task:
    """A coroutine that was started by itself, and that scopes can cancel."""

    coroutine: Coroutine[Any, Any, Any]
    deferred: Deferred[Any] | None = None

    def cancel(self) -> None:
        if self.deferred is not None:  # else it will be cancelled once it runs
            self.deferred.cancel()

    def start(self) -> Deferred[Any]:
        self.deferred = ensureDeferred(self._run())
        return self.deferred

    async def _run(self) -> Any:
        _current.set(self)
        return await self.coroutine


_current: ContextVar[_Task] = ContextVar("_current")


async def as_task(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a handler so that what is below works in it."""
    if not in_reactor():
        return await coroutine
    task = _Task()
    task.coroutine = coroutine
    return await task.start()


class _Scope:
    """Cancels what runs inside it, again and again until it is left, as anyio does."""

    def __init__(self, delay: float | None = None) -> None:
        self.cancel_called = self.cancelled_caught = False
        self._delay = delay
        self._tasks: list[_Task] = []
        self._call: Any = None

    def __enter__(self) -> _Scope:
        self._tasks.append(_current.get())
        if self._delay is not None:
            self._call = running_reactor().callLater(self._delay, self._deliver)
        return self

    def cancel(self) -> None:
        self.cancel_called = True
        if self._call is not None:
            self._call.cancel()
        self._call = running_reactor().callLater(0, self._deliver)

    def _deliver(self) -> None:
        self.cancel_called = True
        self._call = running_reactor().callLater(0, self._deliver)
        for task in list(self._tasks):
            task.cancel()

    def add(self, task: _Task) -> None:
        self._tasks.append(task)

    def remove(self, task: _Task) -> None:
        self._tasks.remove(task)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.cancelled_caught = self.cancel_called and isinstance(error, CancelledError)
        return self.cancelled_caught


class _TaskGroup:
    def __init__(self) -> None:
        self.cancel_scope = _Scope()
        self._errors: list[Exception] = []
        self._running = 0
        self._news: Deferred[None] | None = None

    async def __aenter__(self) -> _TaskGroup:
        self.cancel_scope.__enter__()
        return self

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        task = _Task()
        task.coroutine = self._run(function, args, task)
        self._running += 1
        self.cancel_scope.add(task)
        running_reactor().callLater(0, task.start)

    async def _run(self, function: Any, args: Any, task: _Task) -> None:
        try:
            await function(*args)
        except CancelledError:
            pass
        except Exception as error:
            self._errors.append(error)
            self.cancel_scope.cancel()
        self._running -= 1
        self.cancel_scope.remove(task)
        if self._news is not None:
            news, self._news = self._news, None
            news.callback(None)

    async def __aexit__(
        self, kind: Any, error: BaseException | None, traceback: Any
    ) -> bool | None:
        interrupted: BaseException | None = None
        if error is not None:
            self.cancel_scope.cancel()
        while self._running:
            self._news = Deferred()
            try:
                await self._news
            except CancelledError as cancelled:
                self._news = None
                interrupted = cancelled
                if not self.cancel_scope.cancel_called:
                    self.cancel_scope.cancel()
        wanted = self.cancel_scope.cancel_called
        swallow = self.cancel_scope.__exit__(kind, error, traceback)
        if error is not None and not isinstance(error, CancelledError):
            self._errors.insert(0, error)
        if self._errors:
            raise ExceptionGroup("tasks", self._errors)
        if interrupted is not None and not wanted:
            raise interrupted
        return swallow


class _Event:
    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[Deferred[None]] = []

    async def wait(self) -> None:
        if not self._is_set:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def set(self) -> None:
        self._is_set = True
        for waiter in self._waiting:
            if not waiter.called:
                waiter.callback(None)


def CancelScope() -> Any:
    return _Scope() if in_reactor() else anyio.CancelScope()


def create_task_group() -> Any:
    return _TaskGroup() if in_reactor() else anyio.create_task_group()


def move_on_after(delay: float) -> Any:
    return _Scope(delay) if in_reactor() else anyio.move_on_after(delay)


def fail_after(delay: float) -> Any:
    return _fail_after(delay) if in_reactor() else anyio.fail_after(delay)


@contextlib.contextmanager
def _fail_after(delay: float) -> Iterator[None]:
    with _Scope(delay) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError


async def sleep(delay: float) -> None:
    if in_reactor():
        await deferLater(running_reactor(), delay)
    else:
        await anyio.sleep(delay)


async def sleep_forever() -> None:
    if in_reactor():
        await Deferred()
    else:
        await anyio.sleep_forever()


def get_cancelled_exc_class() -> type[BaseException]:
    return CancelledError if in_reactor() else anyio.get_cancelled_exc_class()


def Event() -> Any:
    return _Event() if in_reactor() else anyio.Event()


async def _checkpoint() -> None:
    await (sleep(0) if in_reactor() else anyio.lowlevel.checkpoint())


def _current_token() -> Any:
    return running_reactor() if in_reactor() else anyio.lowlevel.current_token()


def _run_sync(function: Callable[[], T], *, token: Any) -> None:
    if hasattr(token, "callFromThread"):
        token.callFromThread(function)
    else:
        anyio.from_thread.run_sync(function, token=token)


class _ReactorPortal:
    """As much of a BlockingPortal as the tests of clients use."""

    def start_task_soon(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> Future[T]:
        return reactor_thread.start(lambda: as_task(function(*args)))

    async def stop(self, cancel_remaining: bool) -> None:
        """The reactor goes on."""


def start_blocking_portal(backend: str, options: dict[str, Any]) -> Any:
    """The way into an event loop in another thread."""
    if backend == "twisted":
        return contextlib.nullcontext(_ReactorPortal())
    return anyio.from_thread.start_blocking_portal(backend, options)


lowlevel = types.SimpleNamespace(checkpoint=_checkpoint, current_token=_current_token)
from_thread = types.SimpleNamespace(run_sync=_run_sync)
