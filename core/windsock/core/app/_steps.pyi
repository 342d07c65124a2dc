from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

S = TypeVar("S")

def in_steps(
    start: Callable[[S, Any], Any],
    suspend: Callable[[S, Any], None] | None,
    finish: Callable[[S, Any, Any, BaseException | None], Any],
    otherwise: Callable[..., Coroutine[Any, Any, Any]],
    least: int,
    /,
) -> Callable[..., Any]: ...
