"""Does what connections have to do in the next pass of the event loop, all in one callback."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Flushable(Protocol):
    """What has something to write, or to look at, now and then."""

    def flush_now(self) -> None:
        """Do it."""


class Flusher:
    """Serves any number of links on one event loop."""

    __slots__ = ("_links", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: deque[Flushable] = deque()

    def flush_soon(self, link: Flushable) -> None:
        """Have `link.flush_now` called in the event loop's next pass."""
        if not self._links:
            self._loop.call_soon(self._flush)
        self._links.append(link)

    def _flush(self) -> None:
        # What is asked for meanwhile is for the next pass.
        links, self._links = self._links, deque()
        try:
            while links:
                links.popleft().flush_now()
        finally:
            for link in links:  # one has failed, which must not keep the others waiting
                self.flush_soon(link)
