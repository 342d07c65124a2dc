"""Routes that stand at a handler before there is a router to add it to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_ATTRIBUTE: Final = "__windsock_routes__"


@dataclass(frozen=True, slots=True)
class MarkedRoute:
    """A route that a handler was marked with."""

    path: str
    methods: tuple[str, ...]
    options: Mapping[str, Any]


def route(
    path: str, methods: str | Iterable[str] = ("GET",), **options: Any
) -> Callable[[HandlerT], HandlerT]:
    """Mark a function, or a method of a class, with a route, for `Router.add`.

    A handler may have several.

    Args:
        path: the pattern.
        methods: HTTP methods, or "WEBSOCKET", or both.
        options: as of `Router.websocket`.

    Raises:
        TypeError: what is decorated is no function.
    """
    marked = MarkedRoute(path, (methods,) if isinstance(methods, str) else tuple(methods), options)

    def mark(handler: HandlerT) -> HandlerT:
        if not inspect.isfunction(cast(object, handler)):
            raise TypeError(
                f"@route({path!r}) goes directly above a def, not above {handler!r}: other "
                "decorators go above it"
            )
        # The lowest decorator runs first, and the uppermost is read first.
        setattr(handler, _ATTRIBUTE, [marked, *getattr(handler, _ATTRIBUTE, ())])
        return handler

    return mark


def marked_handlers(target: object) -> Iterator[tuple[MarkedRoute, Callable[..., Any]]]:
    """The routes that a function, or the methods of an object, were marked with."""
    if inspect.isfunction(target):
        for marked in _marks(target):
            yield marked, target
        return
    for name in dir(type(target)):
        # Looked up without running properties.
        found: Any = inspect.getattr_static(target, name)
        for marked in _marks(getattr(found, "__func__", found)):
            yield marked, getattr(target, name)


def _marks(function: Any) -> list[MarkedRoute]:
    return getattr(function, _ATTRIBUTE, []) if inspect.isfunction(function) else []
