"""asyncio with its own event loop or uvloop, and either with aiofastnet's transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: str) -> LoopFactory:
    """The maker of event loops of a kind: asyncio, uvloop, aiofastnet, uvloop-aiofastnet."""
    factory: LoopFactory = asyncio.new_event_loop
    if name.startswith("uvloop"):
        factory = import_module("uvloop").new_event_loop
    if name.endswith("aiofastnet"):
        factory = import_module("aiofastnet").loop_factory(factory)
    return factory


def run(main: Coroutine[Any, Any, None], loop: str) -> None:
    """`asyncio.run` on an event loop of that kind."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(main)
