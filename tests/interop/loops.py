"""Event loops in threads of their own, so that tests are plain functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from anyio.from_thread import BlockingPortal, start_blocking_portal

TIMEOUT: Final = 20.0
"""Seconds after which anything that is waited for is overdue; only a failing test takes so long."""


@contextlib.contextmanager
def event_loop(backend: str, *, uvloop: bool = False) -> Iterator[BlockingPortal]:
    """A loop that runs until the context is left, which cancels what still runs in it."""
    options = {"use_uvloop": True} if uvloop else {}
    with start_blocking_portal(backend, options) as portal:
        try:
            yield portal
        finally:
            portal.start_task_soon(portal.stop, True).result(TIMEOUT)
