"""Blocking functions beside trio, for every adapter that runs on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import trio

from windsock.core import Disconnected

T = TypeVar("T")


async def to_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread, however many others there are."""
    # How many there may be is the application's limit, not trio's.
    return await trio.to_thread.run_sync(
        function, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
    )


def from_thread(
    token: trio.lowlevel.TrioToken,
    function: Callable[[], Coroutine[Any, Any, T]],
    timeout: float | None,
) -> T:
    """Run a coroutine function on trio from another thread, and block until it is done.

    Raises:
        TimeoutError: it was not done after `timeout` seconds, and was cancelled.
        Disconnected: trio has ended.
        RuntimeError: called on trio's own thread.
    """

    async def bounded() -> T:
        with contextlib.nullcontext() if timeout is None else trio.fail_after(timeout):
            return await function()

    try:
        return trio.from_thread.run(bounded, trio_token=token)
    except trio.TooSlowError:
        raise TimeoutError(f"not done within {timeout:g} s") from None
    except (trio.RunFinishedError, trio.Cancelled) as error:
        raise Disconnected(1006, "", clean=False) from error
