"""Which event loop runs."""

from __future__ import annotations

from typing import Final

import anyio
import anyio.lowlevel

from ._loop import EventLoop

_LOOP: Final = anyio.lowlevel.RunVar[EventLoop]("windsock.asgi")


def running_loop() -> EventLoop:
    """The event loop that runs, which is the host's."""
    loop = _LOOP.get(None)
    if loop is None:
        loop = _find_loop()
        _LOOP.set(loop)
    return loop


def _find_loop() -> EventLoop:
    # Whichever does not run may not be there, or at least need not be imported. anyio has no public
    # name of the loop, but one for its way of cancelling.
    if anyio.get_cancelled_exc_class().__module__.startswith("asyncio"):
        from ._on_asyncio import AsyncioLoop

        return AsyncioLoop()
    from ._on_trio import TrioLoop

    return TrioLoop()
