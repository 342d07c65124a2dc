"""Whoever asks to be flushed is, in the event loop's next pass, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from typing import Any

from windsock.asyncio._flusher import Flusher


class Link:
    """Notes the pass in which it was flushed; may fail, or ask again."""

    def __init__(self, flusher: Flusher, *, again: int = 0, fails: bool = False) -> None:
        self.flusher = flusher
        self.again = again
        self.fails = fails
        self.flushed = 0

    def flush_now(self) -> None:
        self.flushed += 1
        if self.again:
            self.again -= 1
            self.flusher.flush_soon(self)
        if self.fails:
            raise ZeroDivisionError


async def test_all_are_flushed_in_the_next_pass() -> None:
    flusher = Flusher(asyncio.get_running_loop())
    links = [Link(flusher) for _ in range(3)]
    for link in links:
        flusher.flush_soon(link)
    assert [link.flushed for link in links] == [0, 0, 0]
    await asyncio.sleep(0)
    assert [link.flushed for link in links] == [1, 1, 1]


async def test_who_asks_meanwhile_waits_for_the_pass_after() -> None:
    flusher = Flusher(asyncio.get_running_loop())
    link = Link(flusher, again=1)
    flusher.flush_soon(link)
    await asyncio.sleep(0)
    assert link.flushed == 1
    await asyncio.sleep(0)
    assert link.flushed == 2


async def test_one_that_fails_keeps_no_other_waiting() -> None:
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    flusher = Flusher(loop)
    broken, whole = Link(flusher, fails=True), Link(flusher)
    flusher.flush_soon(broken)
    flusher.flush_soon(whole)
    for _ in range(2):
        await asyncio.sleep(0)
    assert (broken.flushed, whole.flushed) == (1, 1)
    assert [type(context["exception"]) for context in failures] == [ZeroDivisionError]
