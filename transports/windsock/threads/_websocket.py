"""The WebSocket that threads share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

from windsock.core import WebSocket

# Made of others; and while JSON takes its time, the lock is not to be held.
_UNLOCKED: Final = frozenset({"receive_json", "send_json"})


class ThreadsWebSocket(WebSocket):
    """A WebSocket whose coroutines hold the connection's lock, but where they wait."""

    __slots__ = ()

    @classmethod
    def lock_coroutines(cls) -> None:
        """Override every public coroutine function of `WebSocket` by itself, with the lock."""
        for name, found in vars(WebSocket).items():
            public = not name.startswith("_") or name.startswith("__")
            if public and name not in _UNLOCKED and inspect.iscoroutinefunction(found):
                setattr(cls, name, cls._locked(found))

    @staticmethod
    def _locked(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def locked(self: ThreadsWebSocket, *args: Any, **kwargs: Any) -> Any:
            with self._link.mutex:
                return await method(self, *args, **kwargs)

        return locked


ThreadsWebSocket.lock_coroutines()
