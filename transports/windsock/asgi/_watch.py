"""Looks for connections at which no task of the application's has waited for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

# How often, in seconds: after two of these an application is absent, and a peer that has gone is
# noticed without it. So short a time must not cost much either.
TICK: Final = 0.25


class Watched(Protocol):
    """What is looked at."""

    def look(self) -> bool:
        """See what must be done in place of the application; whether to come again."""
        ...


class Watch:
    """Looks at any number of connections: one for all that an event loop has.

    A connection comes here once it was read, and not again before the next look, however much is
    read. It leaves when it is seen that its application waits for its peer: then it costs nothing.
    """

    __slots__ = ("_links", "_start", "_ticking")

    def __init__(self, start: Callable[[Callable[[], bool]], None]) -> None:
        """`start` is to have a function called every `TICK` until that returns False."""
        self._start = start
        self._links: list[Watched] = []
        self._ticking = False

    def add(self, link: Watched) -> None:
        """Look at a connection until its `look` says that this is enough."""
        self._links.append(link)
        if not self._ticking:
            self._ticking = True
            self._start(self._tick)

    def _tick(self) -> bool:
        links, self._links = self._links, []
        self._links += [link for link in links if link.look()]
        self._ticking = bool(self._links)
        return self._ticking
