"""Coroutines where there is no event loop: run to completion on the thread that calls."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

T = TypeVar("T")

ONLY_WEBSOCKETS: Final = (
    "on threads only the WebSocket's own methods can be awaited: there is no event loop. Use what "
    "blocks instead, such as time.sleep"
)

_EVENT_LOOPS: Final = frozenset({"anyio", "asyncio", "curio", "sniffio", "trio"})


def complete(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` to its end; where it waits, the calling thread does.

    It gets a RuntimeError wherever it awaits what only an event loop can do.
    """
    try:
        coroutine.send(None)
        while True:
            coroutine.throw(RuntimeError(ONLY_WEBSOCKETS))
    except StopIteration as done:
        result: T = done.value
        return result


@contextlib.contextmanager
def entered(manager: AbstractAsyncContextManager[T]) -> Generator[T]:
    """`async with manager` on the calling thread."""
    value = complete(_enter(manager))
    try:
        yield value
    except BaseException as error:
        if not complete(_leave(manager, type(error), error, error.__traceback__)):
            raise
    else:
        complete(_leave(manager, None, None, None))


async def _enter(manager: AbstractAsyncContextManager[T]) -> T:
    return await manager.__aenter__()


async def _leave(
    manager: AbstractAsyncContextManager[Any],
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> bool | None:
    return await manager.__aexit__(kind, error, traceback)


def explain(error: RuntimeError) -> None:
    """Add a note to what an event loop's function says when there is no event loop."""
    traceback = error.__traceback__
    if traceback is None:
        return
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = str(traceback.tb_frame.f_globals.get("__name__", ""))
    if module.partition(".")[0] in _EVENT_LOOPS:
        error.add_note(ONLY_WEBSOCKETS)
