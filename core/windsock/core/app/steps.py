"""Coroutines that await one thing, made of plain functions: in C where that was built.

A coroutine's frame costs more than what it does where that is little and is done for every message.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, TypeVar

from windsock.core.protocol.compiled import is_unwanted

S = TypeVar("S")

Start = Callable[[S, Any], Any]
Suspend = Callable[[S, Any], None]
Finish = Callable[[S, Any, Any, BaseException | None], Any]

_MOST: Final = 2


def in_python(
    start: Start[S],
    suspend: Suspend[S] | None,
    finish: Finish[S],
    otherwise: Callable[..., Coroutine[Any, Any, Any]],
    least: int,
) -> Callable[..., Any]:
    """`otherwise`, decorated as `in_steps` says."""

    async def steps(*arguments: Any) -> Any:
        subject = arguments[0]
        argument = arguments[1] if len(arguments) == _MOST else None
        first = start(subject, argument)
        if first is NotImplemented:
            return await otherwise(*arguments)
        value: Any = None
        error: BaseException | None = None
        if suspend is not None:
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
            return await otherwise(*arguments)
        return await found if hasattr(found, "__await__") else found

    @wraps(otherwise)
    def call(*arguments: Any, **named: Any) -> Coroutine[Any, Any, Any]:
        if named or not least <= len(arguments) <= _MOST:
            return otherwise(*arguments, **named)
        return steps(*arguments)

    steps.__qualname__ = otherwise.__qualname__
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
    start: Start[S], suspend: Suspend[S] | None, finish: Finish[S], *, least: int = 1
) -> Callable[[Callable[..., Coroutine[Any, Any, Any]]], Callable[..., Any]]:
    """Decorates a coroutine function, or method, of a subject and perhaps an argument.

    What `start` makes of the two is awaited, and the result is what `finish` makes of what came of
    that, or of the exception that came instead, which `finish` raises again where it does not know
    better. What `finish` returns is awaited in turn, if it can be. If either of them returns
    NotImplemented, the decorated function is awaited instead. `suspend` is called before the task
    is suspended for the first time, if not without that.

    Fewer arguments than `least`, more than the two, and named ones are left to the decorated
    function altogether. Where there is no second one, the steps are given None.
    """
    make = in_python if _steps is None else _steps.in_steps

    def decorate(otherwise: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        return make(start, suspend, finish, otherwise, least)

    return decorate
