"""Middlewares that keep out who is not welcome."""

from __future__ import annotations

import base64
import binascii
import hmac
import inspect
import ipaddress
from _thread import allocate_lock  # the core starts no threads, but is used from many
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from windsock.core.protocol.config import Config
from windsock.core.protocol.handshake import ORIGIN_REFUSED, origin_allowed

from .middleware import CallNext
from .request import Request
from .response import Response
from .websocket import WebSocket

# Those who hold an IPv6 address hold the whole network of this prefix.
_IPV6_PREFIX: Final = 64


class BasicAuth:
    """Asks for a user name and a password (RFC 7617); the name is then `state["user"]`.

    Args:
        users: passwords by user name, or a function of both that returns whether they are right,
            which may be a coroutine function. It must compare in constant time.
        realm: what it is for, as browsers show it.

    Raises:
        ValueError: `realm` has a quote or anything but printable ASCII.
    """

    def __init__(
        self,
        users: Mapping[str, str] | Callable[[str, str], bool | Awaitable[bool]],
        realm: str = "windsock",
    ) -> None:
        if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
            raise ValueError(f"a realm is printable ASCII without quotes, not {realm!r}")
        self._check = users if callable(users) else _password_check(users)
        self._challenge = ("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"')

    async def __call__(self, asked: WebSocket | Request, call_next: CallNext) -> Any:
        found = _basic_credentials(asked.request)
        if found is None or not await _outcome(self._check(*found)):
            return Response("user name and password, please\n", 401, [self._challenge])
        asked.state["user"] = found[0]
        return await call_next(asked)


def _password_check(users: Mapping[str, str]) -> Callable[[str, str], bool]:
    known = dict(users)

    def check(user: str, password: str) -> bool:
        # An unknown user takes as long as a wrong password.
        right = hmac.compare_digest(known.get(user, "").encode(), password.encode())
        return right and user in known

    return check


def _basic_credentials(request: Request) -> tuple[str, str] | None:
    encoded = _credentials(request, "basic")
    if encoded is None:
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon else None


def _credentials(request: Request, scheme: str) -> str | None:
    sent = request.headers.get_all("authorization")
    if len(sent) != 1:
        return None
    name, _, rest = sent[0].partition(" ")
    return rest.strip() if name.lower() == scheme else None


async def _outcome(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


class BearerToken:
    """Asks for a token (RFC 6750).

    Whom a function found the token to belong to is then `state["user"]`.

    Args:
        tokens: those that are right, or a function of one that returns whom it belongs to, or
            None, or True where it does not matter. It may be a coroutine function, and must
            compare in constant time.
        query_parameter: where a token may stand besides: browsers cannot set a header field of a
            WebSocket. It then appears in logs of what is between; use tokens that soon expire.
    """

    def __init__(
        self,
        tokens: Iterable[str] | Callable[[str], Any | Awaitable[Any]],
        *,
        query_parameter: str | None = None,
    ) -> None:
        if isinstance(tokens, str):
            raise TypeError("tokens are a list of them, or a function")
        self._check = tokens if callable(tokens) else _token_check(tokens)
        self._query_parameter = query_parameter

    async def __call__(self, asked: WebSocket | Request, call_next: CallNext) -> Any:
        token = self._token(asked.request)
        if token is None:
            return Response("a token, please\n", 401, [("WWW-Authenticate", "Bearer")])
        owner = await _outcome(self._check(token))
        if owner is None or owner is False:
            challenge = ("WWW-Authenticate", 'Bearer error="invalid_token"')
            return Response("this token is not valid\n", 401, [challenge])
        if owner is not True:
            asked.state["user"] = owner
        return await call_next(asked)

    def _token(self, request: Request) -> str | None:
        token = _credentials(request, "bearer")
        if token is None and self._query_parameter is not None:
            token = request.query.get(self._query_parameter)
        return token or None


def _token_check(tokens: Iterable[str]) -> Callable[[str], bool]:
    known = [token.encode() for token in tokens]

    def check(token: str) -> bool:
        sent = token.encode()
        found = [hmac.compare_digest(one, sent) for one in known]  # all of them, whichever it is
        return any(found)

    return check


class AllowOrigins:
    """Lets in the pages of these origins, the server's own, and what is no browser (RFC 6455
    §10.2); for all routes at once, plain HTTP included.

    For WebSockets a server checks `Config.origins` first.

    Args:
        origins: such as "https://app.example"; "*" for all.

    Raises:
        ValueError: one is no origin.
    """

    def __init__(self, *origins: str) -> None:
        self._origins = Config(origins=origins).origins

    async def __call__(self, asked: WebSocket | Request, call_next: CallNext) -> Any:
        if not origin_allowed(asked.request.headers, self._origins):
            return Response(f"{ORIGIN_REFUSED}\n", 403)
        return await call_next(asked)


class ConnectionLimit:
    """Lets each address have so many connections at a time; more are answered 429.

    All addresses of an IPv6 network of 64 bits count as one, as do those behind one proxy. Who
    comes by a Unix socket has none, and no limit.

    Args:
        limit: at least 1.

    Raises:
        ValueError: it is less.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit is at least 1, not {limit!r}")
        self._limit = limit
        self._open: Counter[str] = Counter()
        self._mutex = allocate_lock()

    async def __call__(self, asked: WebSocket | Request, call_next: CallNext) -> Any:
        client = asked.request.client
        if not isinstance(client, tuple):
            return await call_next(asked)
        key = _network(client[0])
        if not self._take(key):
            text = f"{self._limit} connections at a time, please\n"
            return Response(text, 429, [("Retry-After", "1")])
        try:
            return await call_next(asked)
        finally:
            self._release(key)

    def _take(self, key: str) -> bool:
        with self._mutex:
            if self._open[key] >= self._limit:
                return False
            self._open[key] += 1
            return True

    def _release(self, key: str) -> None:
        with self._mutex:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return host
