"""Coroutines that await one thing, made of plain functions: in C where that was built.

A coroutine's frame costs more than what it does where that is little and is done for every message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from windsock.core.protocol.compiled import is_unwanted

S = TypeVar("S")
A = TypeVar("A")


def in_python(
    start: Callable[[S, A], Any],
    suspend: Callable[[S, A], None],
    finish: Callable[[S, A, Any, BaseException | None], Any],
    otherwise: Callable[[S, A], Awaitable[Any]],
) -> Callable[[S, A], Coroutine[Any, Any, Any]]:
    """As `in_steps`."""

    async def call(subject: S, argument: A) -> Any:
        first = start(subject, argument)
        if first is NotImplemented:
            return await otherwise(subject, argument)
        value: Any = None
        error: BaseException | None = None
        suspend(subject, argument)  # which cannot be told from here
        try:
            value = await first
        except BaseException as caught:  # `finish` raises it again
            error = caught
        try:
            found = finish(subject, argument, value, error)
        finally:
            error = None  # it refers to this frame
        if found is NotImplemented:
            return await otherwise(subject, argument)
        return await found if hasattr(found, "__await__") else found

    call.__qualname__ = otherwise.__qualname__
    return call


try:
    if is_unwanted():
        raise ImportError("WINDSOCK_PURE is set")
    from . import _steps
except ImportError:
    _steps = None  # type: ignore[assignment]  # which has no such type

IN_C: Final = _steps is not None
"""Whether it is C."""


def in_steps(
    start: Callable[[S, A], Any],
    suspend: Callable[[S, A], None],
    finish: Callable[[S, A, Any, BaseException | None], Any],
    otherwise: Callable[[S, A], Awaitable[Any]],
) -> Callable[[S, A], Coroutine[Any, Any, Any]]:
    """A function of a subject and an argument whose coroutine awaits what `start` makes of them.

    It returns what `finish` makes of that, or of the exception that came instead, which `finish`
    raises again where it does not know better. What `finish` returns is awaited in turn, if it can
    be. If either of them returns NotImplemented, what `otherwise` gives is awaited instead.
    `suspend` is called before the task is suspended for the first time, if not without that.
    """
    make = in_python if _steps is None else _steps.in_steps
    return make(start, suspend, finish, otherwise)
