from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

S = TypeVar("S")
A = TypeVar("A")

def in_steps(
    start: Callable[[S, A], Any],
    suspend: Callable[[S, A], None],
    finish: Callable[[S, A, Any, BaseException | None], Any],
    otherwise: Callable[[S, A], Awaitable[Any]],
    /,
) -> Callable[[S, A], Coroutine[Any, Any, Any]]: ...
