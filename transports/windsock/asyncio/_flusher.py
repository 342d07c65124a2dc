"""Writes what connections have to write, all in one callback of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Flushable(Protocol):
    """What has something to write now and then."""

    def flush_now(self) -> None:
        """Write it."""


class Flusher:
    """Serves any number of links on one event loop."""

    __slots__ = ("_links", "_loop", "_scheduled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: deque[Flushable] = deque()
        self._scheduled = False

    def flush_soon(self, link: Flushable) -> None:
        """Have `link.flush_now` called in the event loop's next pass."""
        self._links.append(link)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        links = self._links
        try:
            while links:
                links.popleft().flush_now()
        finally:
            self._scheduled = False
            if links:  # one has failed, which must not keep the others waiting
                self._scheduled = True
                self._loop.call_soon(self._flush)
