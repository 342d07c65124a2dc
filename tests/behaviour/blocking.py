"""The blocking client for tests that are written for the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import windsock.threads
from windsock.core import BlockingWebSocket


@asynccontextmanager
async def connect_blocking(uri: str, **options: Any) -> AsyncIterator[Any]:
    """`windsock.threads.connect` with coroutines, which block whatever thread they are on."""
    with windsock.threads.connect(uri, **options) as ws:
        yield BlockingCoroutines(ws)


class BlockingCoroutines:
    """The methods of a BlockingWebSocket as coroutines."""

    def __init__(self, ws: BlockingWebSocket) -> None:
        self._ws = ws

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ws, name)
        if not callable(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            return found(*args, **kwargs)

        return call

    def __aiter__(self) -> BlockingCoroutines:
        return self

    async def __anext__(self) -> Any:
        for message in self._ws:
            return message
        raise StopAsyncIteration
