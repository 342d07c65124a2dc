"""Worker threads for functions that block: how many there may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .link import Link
from .response import Reject, Response

T = TypeVar("T")


class Workers:
    """The worker threads of one application."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: set[object] = set()

    async def run(self, link: Link, limit: int, function: Callable[[], T]) -> T:
        """Run `function` where it blocks nobody else.

        Where handlers have threads of their own it needs none, and the server has its own limit.

        Raises:
            Reject: `limit` functions run already, in worker threads: 503.
        """
        if link.threaded:
            return await link.to_thread(function)
        if len(self._jobs) >= limit:
            raise Reject(Response("all worker threads are busy\n", 503, [("Retry-After", "1")]))
        job = _Job(function, self._jobs)
        try:
            return await link.to_thread(job)
        finally:
            if not job.started:  # cancelled before there was a thread for it
                self._jobs.discard(job)


class _Job(Generic[T]):
    """Counts until the function ends, for which a cancelled caller does not wait."""

    __slots__ = ("_function", "_jobs", "started")

    def __init__(self, function: Callable[[], T], jobs: set[object]) -> None:
        self._function = function
        self._jobs = jobs
        self._jobs.add(self)
        self.started = False

    def __call__(self) -> T:
        self.started = True
        try:
            return self._function()
        finally:
            self._jobs.discard(self)
