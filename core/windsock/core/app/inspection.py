"""What kind of callable something is."""

from __future__ import annotations

import inspect
from typing import Any, cast


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it gives a coroutine, be it a function or an object that is called."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_call(function))


def is_async_generator_function(function: Any) -> bool:
    """The same for an async generator."""
    return inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(_call(function))


def _call(function: Any) -> Any:
    # Looked up as calling does: a class is not called by the method that its instances are.
    return getattr(cast("type[object]", type(function)), "__call__", None)  # noqa: B004


def name_of(function: Any) -> str:
    """What to call a function in a message."""
    return str(getattr(function, "__qualname__", None) or repr(function))
