"""A thread for a function that blocks, for every adapter whose event loop brings none."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_in_thread(function: Callable[[], T]) -> concurrent.futures.Future[T]:
    """Run `function` in a thread of its own, which does not keep the process from ending.

    It runs in a copy of the caller's context. What it returns or raises is in the future.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=_run, args=(future, context, function), name="windsock handler", daemon=True
    )
    thread.start()
    return future


def _run(
    future: concurrent.futures.Future[T], context: contextvars.Context, function: Callable[[], T]
) -> None:
    future.set_running_or_notify_cancel()
    try:
        result = context.run(function)
    except StopIteration as error:  # which cannot come out of a coroutine
        future.set_exception(RuntimeError(f"{function!r} raised {error!r}"))
    except BaseException as error:  # the thread's boundary: whoever awaits it is told
        future.set_exception(error)
    else:
        future.set_result(result)
