"""An event loop whose clock jumps to the next timer whenever there is nothing else to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any, Final

# Real seconds after which a loop that waits for I/O alone is given up.
_DEADLINE: Final = 10.0

Ready = list[tuple[selectors.SelectorKey, int]]


class _Selector(selectors.BaseSelector):
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.jumped = 0.0
        """By how much the clock has jumped."""

    def select(self, timeout: float | None = None) -> Ready:
        # What was written to a loopback connection is there to be read at once.
        ready = self._selector.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            ready = self._selector.select(_DEADLINE)
            assert ready, "the loop waits for something that does not happen"
            return ready
        self.jumped += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.modify(fileobj, events, data)

    def close(self) -> None:
        self._selector.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and passes only when it jumps."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.jumped
