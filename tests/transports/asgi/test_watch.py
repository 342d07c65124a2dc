"""Who looks for absent applications: pure, so nothing here waits."""

from __future__ import annotations

from collections.abc import Callable

from windsock.asgi._watch import Watch


class Ticks:
    """In place of an event loop."""

    def __init__(self) -> None:
        self.started: list[Callable[[], bool]] = []

    def start(self, tick: Callable[[], bool]) -> None:
        self.started.append(tick)

    def tick(self) -> None:
        """Time passes."""
        if not self.started[-1]():
            self.started.pop()


class Link:
    """Wants to be looked at so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.looks = 0

    def look(self) -> bool:
        self.looks += 1
        return self.looks < self.times


def test_each_is_looked_at_until_it_has_enough() -> None:
    ticks = Ticks()
    watch = Watch(ticks.start)
    once, thrice = Link(1), Link(3)
    watch.add(once)
    watch.add(thrice)
    assert len(ticks.started) == 1
    for _ in range(3):
        ticks.tick()
    assert (once.looks, thrice.looks) == (1, 3)


def test_nothing_ticks_while_there_is_nothing_to_look_at() -> None:
    ticks = Ticks()
    watch = Watch(ticks.start)
    assert not ticks.started
    for _ in range(2):
        watch.add(Link(1))
        assert len(ticks.started) == 1
        ticks.tick()
        assert not ticks.started


def test_one_that_comes_during_a_look_is_looked_at_next_time() -> None:
    ticks = Ticks()
    watch = Watch(ticks.start)
    late = Link(1)

    class Bringer(Link):
        def look(self) -> bool:
            watch.add(late)
            return super().look()

    watch.add(Bringer(1))
    ticks.tick()
    assert (late.looks, len(ticks.started)) == (0, 1)
    ticks.tick()
    assert (late.looks, len(ticks.started)) == (1, 0)
