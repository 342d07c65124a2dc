"""Which handler a path belongs to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .converters import Conversion, Converters, check_converters, conversion
from .pathmap import Found, PathMap
from .patterns import Pattern, parse_host, parse_path, placeholder_names
from .shapes import HostShape, PathShape, read_values, request_path

WEBSOCKET: Final = "WEBSOCKET"
"""The method of WebSockets, beside those of HTTP."""

HTTP_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and what leads to it."""

    path: str
    """The path pattern; see `windsock.core.app.routing.patterns`."""
    handler: Callable[..., Any]
    host: str | None = None
    """The host pattern, None for every host."""
    name: str | None = None
    """What `url_for` knows it by."""
    options: Any = None
    """Whatever the handler is to be called with."""
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """The types of placeholders whose pattern names none, by placeholder."""


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a request belongs to, and what its placeholders stand for."""

    route: Route
    path_params: dict[str, Any]
    """The path's in order, then the host's."""


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Why there is none: the status to answer with, and its header fields."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


class _Rule:
    """A route made ready, in a table."""

    def __init__(
        self,
        number: int,
        route: Route,
        methods: frozenset[str],
        path: PathShape,
        host: HostShape | None,
    ) -> None:
        self.number = number
        self.route = route
        self.methods = methods
        self.path = path
        self.host = host
        self.segments = path.segments

    def __str__(self) -> str:
        return _described(self.route)

    def values(self, texts: Iterable[str], host: tuple[str, ...]) -> dict[str, Any] | None:
        """What the placeholders stand for, None where a text does not convert."""
        values: dict[str, Any] = {}
        for part, text in zip(self.path.parts, texts, strict=True):
            if not read_values(part.fields, part.split(text), values):
                return None
        if self.host is not None and not read_values(self.host.fields, host, values):
            return None
        return values


@dataclass(frozen=True, slots=True)
class _Site:
    """The rules of one host pattern."""

    host: HostShape | None
    paths: PathMap[_Rule]


class RouteTable:
    """Routes by host, path and method, for WebSockets and plain HTTP side by side.

    What is written out goes before placeholders, in hosts and then in paths, segment by segment;
    what may span segments goes last. Where a value does not convert, the next route is tried.

    Args:
        strict_slashes: whether "/a" and "/a/" are two paths. Neither redirects to the other.
        converters: further placeholder types, by name.

    Raises:
        TypeError, ValueError: a converter is none; the message shows it.
    """

    def __init__(self, *, strict_slashes: bool = False, converters: Converters | None = None):
        self._strict_slashes = strict_slashes
        self._converters = dict(converters or {})
        check_converters(self._converters)
        self._rules: list[_Rule] = []
        self._taken: set[tuple[object, ...]] = set()
        self._names: dict[str, _Rule] = {}
        self._sites: list[_Site] | None = None

    def add_converters(self, converters: Converters) -> None:
        """Know further placeholder types, for the routes that are added from now on."""
        self._converters |= converters

    def add(self, route: Route, methods: Iterable[str]) -> None:
        """Add a route for these methods; WEBSOCKET, or WS, stands for WebSockets.

        GET includes HEAD, unless a route for HEAD is there already. A route that cannot be added
        leaves the table as it was.

        Raises:
            ValueError: a pattern is malformed, or it, the name or a method is taken or unknown;
                the message shows the route.
        """
        wanted = _methods(route, methods)
        placeholder_names(route.path, route.host)  # none stands in both
        try:
            pattern = parse_path(route.path)
            path = PathShape(
                pattern, self._conversions(route, pattern), strict_slashes=self._strict_slashes
            )
            host = None
            if route.host is not None:
                pattern = parse_host(route.host)
                host = HostShape(pattern, self._conversions(route, pattern))
        except ValueError as error:
            raise ValueError(f"the route {_described(route)}: {error}") from None
        place = (None if host is None else host.key, path.key)
        for method in sorted(wanted):
            if (method, *place) in self._taken:
                hint = " (GET includes HEAD)" if method == "HEAD" else ""
                raise ValueError(
                    f"there is a route for {method} {_described(route)} already{hint}: "
                    "give this one another path, or remove one of them"
                )
        if "GET" in wanted:  # where there is a route for HEAD already, that one stays first
            wanted |= {"HEAD"}
        rule = _Rule(len(self._rules), route, wanted, path, host)
        if route.name is not None:
            other = self._names.setdefault(route.name, rule)
            if (other.route.path, other.route.host) != (route.path, route.host):
                raise ValueError(
                    f"the name {route.name!r} of the route {rule} is that of the route {other}: "
                    "give one of them another name"
                )
        self._taken |= {(method, *place) for method in wanted}
        self._rules.append(rule)
        self._sites = None

    def match(self, raw_path: str, method: str, host: str = "") -> Match | NoMatch:
        """The route for a request.

        Whatever comes, this raises nothing but what a converter of one's own raises.

        Args:
            raw_path: as it was sent, percent-encoded, without the query. An encoded slash separates
                no segments.
            method: as it was sent (RFC 9110 §9.1: its case matters), or WEBSOCKET for an opening
                handshake. The caller has to tell a plain request apart whose method is that word.
            host: the Host field.

        Returns:
            The match; or that there is none: 404, 405 where there is one for other HTTP methods,
            or 426 where there is one for WebSockets only.
        """
        path = request_path(raw_path, strict_slashes=self._strict_slashes)
        if path is None:
            return NoMatch(404)
        found = self._find(path, method if method in _METHODS else "?", host)
        if isinstance(found, Match):
            return found
        # That a path leads to a rule does not say that its values convert.
        allowed = {other for other in found if isinstance(self._find(path, other, host), Match)}
        if allowed == {WEBSOCKET}:
            # RFC 9110 §15.5.22: this path speaks WebSocket only.
            return NoMatch(426, (("Upgrade", "websocket"),))
        if allowed:
            return NoMatch(405, (("Allow", ", ".join(sorted(allowed - {WEBSOCKET}))),))
        return NoMatch(404)

    def url_for(self, name: str, values: Mapping[str, Any] | None = None) -> str:
        """The percent-encoded path of the route called `name`, after "//" and its host if any.

        Args:
            name: of the route.
            values: one for each of its placeholders.

        Raises:
            LookupError: there is no route of that name.
            ValueError: a value is missing, superfluous, or would not match; the message shows the
                route.
        """
        rule = self._names.get(name)
        if rule is None:
            known = ", ".join(sorted(self._names)) or "none has a name"
            raise LookupError(f"there is no route named {name!r}: the names are {known}")
        values = values or {}
        needed = placeholder_names(rule.route.path, rule.route.host)
        for what, names in (
            ("needs a value for", [n for n in needed if n not in values]),
            ("has no placeholder", [n for n in values if n not in needed]),
        ):
            if names:
                listed = ", ".join(f"{{{n}}}" for n in names)
                raise ValueError(f"the route {rule}, named {name!r}, {what} {listed}")
        try:
            path = rule.path.build(values)
            return path if rule.host is None else f"//{rule.host.build(values)}{path}"
        except ValueError as error:
            raise ValueError(f"the route {rule}, named {name!r}: {error}") from error

    def _conversions(self, route: Route, pattern: Pattern) -> list[Conversion]:
        return [
            conversion(
                placeholder.converter or route.annotations.get(placeholder.name or ""),
                placeholder.arguments,
                formatted=placeholder.formatted,
                custom=self._converters,
            )
            for placeholder in pattern.placeholders
        ]

    def _find(self, path: str, method: str, host: str) -> Match | Collection[str]:
        allowed: set[str] = set()
        for site in self._ready():
            hosts: tuple[str, ...] | None = () if site.host is None else site.host.match(host)
            skipped: list[_Rule] = []
            while hosts is not None:
                found = site.paths.find(path, method, skipped)
                if not isinstance(found, Found):
                    allowed.update(found)
                    break
                values = found.rule.values(found.texts, hosts)
                if values is not None:
                    return Match(found.rule.route, values)
                skipped.append(found.rule)
        return allowed

    def _ready(self) -> list[_Site]:
        sites = self._sites
        if sites is None:
            by_host: dict[object, list[_Rule]] = {}
            for rule in self._rules:
                by_host.setdefault(rule.host and rule.host.key, []).append(rule)
            sites = [_Site(rules[0].host, PathMap(rules)) for rules in by_host.values()]
            sites.sort(key=lambda site: (True, 1) if site.host is None else site.host.order)
            self._sites = sites
        return sites


_METHODS: Final = HTTP_METHODS | {WEBSOCKET}


def _methods(route: Route, methods: Iterable[str]) -> frozenset[str]:
    given = [methods] if isinstance(methods, str) else list(methods)
    made = frozenset(WEBSOCKET if m.upper() == "WS" else m.upper() for m in given)
    if not made:
        raise ValueError(
            f"the route {_described(route)} needs at least one method, such as GET or WEBSOCKET"
        )
    for method in sorted(made - _METHODS):
        raise ValueError(
            f"the route {_described(route)} has an unknown method, {method!r}: "
            f"the methods are {', '.join(sorted(_METHODS))}"
        )
    return made


def _described(route: Route) -> str:
    where = repr(route.path)
    return where if route.host is None else f"{where} of the host {route.host!r}"
