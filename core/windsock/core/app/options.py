"""What a WebSocket route asks for besides its path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict, cast

from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.handshake import ORIGIN_REFUSED, origin_allowed
from windsock.core.protocol.headers import is_token

from .codec import MESSAGE_TYPES, JSONCodec, MessageType
from .link import CatchDisconnect
from .middleware import Middleware, check_middleware
from .response import Reject, Response
from .websocket import WebSocket


class Limits(TypedDict, total=False):
    """The fields of `Config` that one route can have to itself."""

    max_message_size: int
    max_fragments: int
    inbox_high_water: int
    close_timeout: float
    write_timeout: float
    ping_interval: float
    ping_timeout: float
    message_timeout: float


_LIMITS: Final = frozenset(Limits.__annotations__)


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """The options of one WebSocket route, checked; see `Router.websocket`."""

    catch_disconnect: CatchDisconnect = True
    auto_accept: bool | None = None
    receive_type: MessageType | None = None
    send_type: MessageType | None = None
    subprotocols: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None
    config: Mapping[str, Any] | None = None
    middleware: tuple[Middleware, ...] = ()

    def apply(self, ws: WebSocket, json: JSONCodec | None) -> None:
        """Prepare `ws` for the handler.

        Raises:
            Disconnected: the client has gone.
        """
        ws.catch_disconnect = self.catch_disconnect
        ws.auto_accept = self.auto_accept is not False
        ws.configure(
            receive_type=self.receive_type,
            send_type=self.send_type,
            subprotocols=self.subprotocols,
            json=json,
            config=replace(ws.config, **self.config) if self.config else None,
        )

    def check_origin(self, ws: WebSocket) -> None:
        """See to it that the page which opens `ws` may do so (RFC 6455 §10.2).

        Raises:
            Reject: it may not: 403.
        """
        if self.origins is None:
            allowed = ws.request.origin_allowed
        else:
            allowed = origin_allowed(ws.headers, self.origins)
        if not allowed:
            raise Reject(Response(f"{ORIGIN_REFUSED}\n", 403))


def route_options(
    route: str,
    *,
    catch_disconnect: CatchDisconnect = True,
    auto_accept: bool | None = None,
    value_type: MessageType | None = None,
    receive_type: MessageType | None = None,
    send_type: MessageType | None = None,
    subprotocols: Iterable[str] = (),
    origins: Iterable[str] | None = None,
    compression: Deflate | bool | None = None,
    limits: Limits | None = None,
    middleware: Iterable[Middleware] = (),
) -> RouteOptions:
    """The options of `route`.

    Raises:
        TypeError, ValueError: one is not as it must be; the message names it and the route.
    """
    for name, value in (
        ("value_type", value_type),
        ("receive_type", receive_type),
        ("send_type", send_type),
    ):
        if value is not None and value not in MESSAGE_TYPES:
            raise ValueError(f"{name} of {route!r} is one of {_list(MESSAGE_TYPES)}, not {value!r}")
    if value_type is not None and (receive_type is not None or send_type is not None):
        raise ValueError(
            f"value_type of {route!r} sets both: leave it out, or receive_type and send_type"
        )
    if auto_accept is not None and not isinstance(auto_accept, bool):
        raise ValueError(f"auto_accept of {route!r} is True, False or None, not {auto_accept!r}")
    return RouteOptions(
        catch_disconnect=_codes(route, catch_disconnect),
        auto_accept=auto_accept,
        receive_type=value_type or receive_type,
        send_type=value_type or send_type,
        subprotocols=_subprotocols(route, subprotocols),
        origins=None if origins is None else _origins(route, origins),
        config=_overrides(route, compression, limits),
        middleware=check_middleware(middleware),
    )


def _codes(route: str, catch: CatchDisconnect) -> CatchDisconnect:
    if isinstance(catch, bool):
        return catch
    codes = _tuple(catch)
    if codes is None or not all(isinstance(code, int) for code in codes):
        raise ValueError(
            f"catch_disconnect of {route!r} is True, False or a set of close codes, not {catch!r}"
        )
    return frozenset(codes)


def _subprotocols(route: str, subprotocols: Iterable[str]) -> tuple[str, ...]:
    names = _tuple(subprotocols)
    if names is None or not all(isinstance(name, str) and is_token(name) for name in names):
        raise ValueError(f"subprotocols of {route!r} are a list of tokens, not {subprotocols!r}")
    return names


def _origins(route: str, origins: Iterable[str]) -> tuple[str, ...]:
    if isinstance(origins, str):
        raise ValueError(f"origins of {route!r} are a list, such as [{origins!r}]")
    try:
        return Config(origins=tuple(origins)).origins
    except (TypeError, ValueError):
        raise ValueError(
            f'origins of {route!r} are a list such as ["https://app.example"], not {origins!r}'
        ) from None


def _tuple(given: Any) -> tuple[Any, ...] | None:
    """The items of something, to be looked at more than once; None where it has none."""
    if isinstance(given, str):
        return None
    try:
        return tuple(given)
    except TypeError:
        return None


def _overrides(
    route: str, compression: Deflate | bool | None, limits: Limits | None
) -> Mapping[str, Any] | None:
    if limits is not None and not isinstance(limits, Mapping):
        raise ValueError(f"limits of {route!r} are a dict, not {limits!r}")
    found = cast("dict[str, Any]", dict(limits or {}))
    unknown = sorted(map(str, found.keys() - _LIMITS))
    if unknown:
        raise ValueError(f"limits of {route!r} are {_list(sorted(_LIMITS))}, not {_list(unknown)}")
    if isinstance(compression, bool):
        found["compression"] = Deflate() if compression else None
    elif isinstance(compression, Deflate):
        found["compression"] = compression
    elif compression is not None:
        raise ValueError(
            f"compression of {route!r} is True, False or a Deflate, not {compression!r}"
        )
    try:
        replace(Config(), **found)
    except ValueError as error:
        raise ValueError(f"limits of {route!r}: {error}") from None
    return found or None


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
