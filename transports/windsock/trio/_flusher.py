"""Writes what handlers have left to be written, before the scheduler waits for anything."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol

import trio


class Flushed(Protocol):
    """What is flushed."""

    flush_due: bool
    """Whether the flush that was asked for is still to be made."""

    def flush_now(self) -> None:
        """Write what waits to be written, and set `flush_due` to False."""


class Flusher(trio.abc.Instrument):
    """One for all links of a scheduler, which calls it between its passes.

    A task would need a pass of its own for it, which is a fifth of what a small message costs.
    """

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._links: list[Flushed] = []
        self.flush_soon: Callable[[Flushed], None] = self._links.append
        """Have `flush_now` of a link called before the scheduler's next pass, if it is due then."""
        self._users = 0

    @contextmanager
    def used(self) -> Generator[None]:
        """To be held open as long as there are links."""
        if not self._users:
            trio.lowlevel.add_instrument(self)
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._links.clear()
                trio.lowlevel.remove_instrument(self)

    # trio

    def before_io_wait(self, timeout: float) -> None:
        """The pass before is over, and the scheduler is about to wait `timeout` seconds."""
        if not self._links:
            return
        left = [link for link in self._links if link.flush_due]
        self._links.clear()
        if not left:
            return
        for link in left:
            link.flush_now()
        # Something to do may have come of it, earlier than the scheduler has found out before.
        if timeout > 0:
            found = trio.lowlevel.current_statistics()
            if self._links or found.tasks_runnable or found.seconds_to_next_deadline < timeout:
                self._token.run_sync_soon(_wake_up, idempotent=True)


def _wake_up() -> None:
    """The scheduler looks again before it calls this."""


_flusher: Final = trio.lowlevel.RunVar[Flusher]("_flusher")


def flusher() -> Flusher:
    """The flusher of this scheduler."""
    try:
        return _flusher.get()
    except LookupError:
        made = Flusher()
        _flusher.set(made)
        return made
