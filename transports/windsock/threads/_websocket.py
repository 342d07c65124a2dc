"""The WebSocket that threads share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

from windsock.core import WebSocket

# It does all else by `_send`, and while its codec takes its time, the lock is not to be held.
_UNLOCKED: Final = "send_json"


class ThreadsWebSocket(WebSocket):
    """A WebSocket whose coroutines hold the connection's lock, but where they wait."""

    __slots__ = ()

    def configure(self, **options: Any) -> None:
        with self._link.mutex:
            super().configure(**options)

    @classmethod
    def lock_coroutines(cls) -> None:
        """Override all coroutine functions that are called from outside: the same, but locked."""
        for name, found in inspect.getmembers_static(WebSocket, inspect.iscoroutinefunction):
            used = name == "_send" or not name.startswith("_") or name.startswith("__")
            if used and name != _UNLOCKED:
                setattr(cls, name, cls._locked(found))

    @staticmethod
    def _locked(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def locked(self: ThreadsWebSocket, *args: Any, **kwargs: Any) -> Any:
            with self._link.mutex:
                return await method(self, *args, **kwargs)

        return locked


ThreadsWebSocket.lock_coroutines()
