"""The WebSocket that threads share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

from windsock.core import WebSocket

# They are made of others, and JSON may take its time, for which the lock is not to be held.
_UNLOCKED: Final = frozenset({"receive_json", "send_json"})


class ThreadsWebSocket(WebSocket):
    """A WebSocket whose coroutines hold the connection's lock, but where they wait."""

    __slots__ = ()


def _locked(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def locked(self: ThreadsWebSocket, *args: Any, **kwargs: Any) -> Any:
        with self._link.mutex:
            return await method(self, *args, **kwargs)

    return locked


for _name, _method in list(vars(WebSocket).items()):
    public = not _name.startswith("_") or _name.startswith("__a")
    if public and _name not in _UNLOCKED and inspect.iscoroutinefunction(_method):
        setattr(ThreadsWebSocket, _name, _locked(_method))
