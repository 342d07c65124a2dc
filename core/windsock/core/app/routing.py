"""Which handler a path belongs to, by werkzeug's router."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_HOST: Final = "localhost"  # werkzeug binds its maps to one; no rule here looks at it


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and how it wants to be called."""

    path: str
    handler: Callable[..., Any]
    options: Any = None


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a request belongs to, and what its placeholders stand for."""

    route: Route
    path_params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Why there is none: the status to answer with, and its header fields."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


class Router:
    """Paths with `{name}` placeholders, for WebSockets and plain HTTP side by side."""

    def __init__(self) -> None:
        # Imported here: werkzeug's package imports sockets and threads, which the core must not.
        from werkzeug.routing import Map

        self._map = Map(strict_slashes=False, merge_slashes=False)
        self._seen: set[tuple[str, str]] = set()

    def add(self, route: Route, methods: Iterable[str] | None) -> None:
        """Add a route for these HTTP methods, or for WebSockets where `methods` is None.

        Raises:
            ValueError: the path is malformed, or taken; the message shows it.
        """
        from werkzeug.routing import Rule

        pattern = _to_werkzeug(route.path)
        methods = None if methods is None else sorted({m.upper() for m in methods})
        for method in methods or ["WEBSOCKET"]:
            shape = re.sub(r"<[^>]*>", "<>", pattern)
            if (method, shape) in self._seen:
                raise ValueError(f"there is a route for {method} {route.path!r} already")
            self._seen.add((method, shape))
        if methods is None:
            self._map.add(Rule(pattern, endpoint=route, websocket=True))
        else:
            self._map.add(Rule(pattern, endpoint=route, methods=methods))

    def match(self, path: str, method: str | None) -> Match | NoMatch:
        """The route for a decoded path and an HTTP method, or a WebSocket where that is None."""
        from werkzeug.exceptions import MethodNotAllowed, NotFound
        from werkzeug.routing.exceptions import WebsocketMismatch

        adapter = self._map.bind(_HOST)
        try:
            route, values = adapter.match(path, method or "GET", websocket=method is None)
        except WebsocketMismatch:
            if method is None:
                return NoMatch(404)
            # RFC 9110 §15.5.22: this path speaks WebSocket only.
            return NoMatch(426, (("Upgrade", "websocket"),))
        except MethodNotAllowed as error:
            return NoMatch(405, (("Allow", ", ".join(sorted(error.valid_methods or ()))),))
        except NotFound:
            return NoMatch(404)
        return Match(route, dict(values))


def _to_werkzeug(path: str) -> str:
    """`/echo/{name}` in werkzeug's spelling."""
    if not path.startswith("/"):
        raise ValueError(f"a path begins with a slash: {'/' + path!r} instead of {path!r}")
    if "<" in path or ">" in path:
        raise ValueError(f"placeholders are written {{name}}, in {path!r}")
    names: list[str] = []

    def placeholder(match: re.Match[str]) -> str:
        name = match.group(1)
        if not _NAME.fullmatch(name):
            raise ValueError(f"placeholder {match.group()} in {path!r} is not a name")
        if name in names:
            raise ValueError(f"placeholder {match.group()} stands twice in {path!r}")
        names.append(name)
        return f"<{name}>"

    pattern = _PLACEHOLDER.sub(placeholder, path)
    if "{" in pattern or "}" in pattern:
        raise ValueError(f"a brace without its partner in {path!r}")
    return pattern
