"""Blocking functions beside an asyncio event loop, for every adapter that runs on one."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from windsock._handler_thread import run_in_thread
from windsock.core import Disconnected

T = TypeVar("T")


async def to_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own, which does not keep the process from ending."""
    return await asyncio.wrap_future(run_in_thread(function))


def from_thread(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[], Coroutine[Any, Any, T]],
    timeout: float | None,
) -> T:
    """Run a coroutine function on `loop` from another thread, and block until it is done.

    Raises:
        TimeoutError: it was not done after `timeout` seconds, and was cancelled.
        Disconnected: the loop has ended.
        RuntimeError: called on the loop's own thread.
    """
    if _runs_here(loop):
        raise RuntimeError(
            "a blocking call on the event loop's own thread would wait for itself: "
            "use the coroutine of the same name"
        )

    async def bounded() -> T:
        async with asyncio.timeout(timeout):
            return await function()

    coroutine = bounded()
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError as error:  # the loop is closed
        coroutine.close()
        raise Disconnected(1006, "", clean=False) from error
    try:
        return future.result()
    except concurrent.futures.CancelledError as error:  # the loop is being closed
        raise Disconnected(1006, "", clean=False) from error


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
