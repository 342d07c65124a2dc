"""What an ASGI scope says about a request and about the host server that made it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote, unquote

from windsock.core import Capabilities, Headers, RequestHead
from windsock.core.app.address import Address

Scope = MutableMapping[str, Any]
AsgiEvent = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiEvent]]
Send = Callable[[AsgiEvent], Awaitable[None]]

# A request target as HTTP/1.1 allows it (RFC 9112 §3.2): nothing but visible ASCII.
_TARGET_RE: Final = re.compile(r"[\x21-\x7e]+")
# RFC 3986 §3.3: what may stand in a path without being percent-encoded.
_PATH_SAFE: Final = "/!$&'()*+,;=:@~"


def request_head(scope: Scope) -> RequestHead:
    """The request line and header fields; the target is that below the mount point."""
    lines: Iterable[tuple[bytes, bytes]] = scope.get("headers") or ()
    return RequestHead(
        scope.get("method", "GET"),
        _target(scope),
        Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in lines),
        scope.get("http_version") or "1.1",
    )


def is_valid_target(target: str) -> bool:
    """Whether a target holds nothing that could not have come in a valid request line."""
    return _TARGET_RE.fullmatch(target) is not None


def _target(scope: Scope) -> str:
    path: str = scope["path"]
    # Some hosts leave the query in `raw_path`, some give no `raw_path`.
    raw = bytes(scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")
    raw = raw or quote(path, safe=_PATH_SAFE)
    target = _below(scope.get("root_path") or "", path, raw) or "/"
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    return f"{target}?{query}" if query else target


def _below(root: str, path: str, raw: str) -> str:
    """What of `raw`, the encoded `path`, is below the mount point `root`.

    A host or framework may have taken the root off the path already, so it is looked for.
    """
    root = root.rstrip("/")
    if not root or not (path == root or path.startswith(f"{root}/")):
        return raw
    end = raw.find("/", 1)
    while end != -1:
        if unquote(raw[:end]) == root:
            return raw[end:]
        end = raw.find("/", end + 1)
    if unquote(raw) == root:
        return ""
    # The host decoded one of the two and not the other: what is decoded is right by definition.
    return quote(path[len(root) :], safe=_PATH_SAFE)


def address(value: object) -> Address | None:
    """`scope["client"]` or `scope["server"]`: a pair, a Unix socket's path with None, or None."""
    if not isinstance(value, (tuple, list)):
        return None
    host, port = cast(Sequence[object], value)
    # One host has the port as a str.
    return str(host) if port is None else (str(host), int(str(port)))


def is_secure(scope: Scope) -> bool:
    """Whether the client came by TLS."""
    return scope.get("scheme") in {"wss", "https"}


def spec_version(scope: Scope) -> tuple[int, int]:
    """The version of the ASGI HTTP and WebSocket specification that the host follows."""
    asgi: dict[str, Any] = scope.get("asgi") or {}
    major, _, minor = str(asgi.get("spec_version", "2.0")).partition(".")
    return int(major), int(minor or 0)


def capabilities(scope: Scope) -> Capabilities:
    """What a WebSocket can do in this host."""
    return Capabilities(
        ping=False,
        rejection_response="websocket.http.response" in (scope.get("extensions") or {}),
        close_reason=spec_version(scope) >= (2, 3),
        limits=False,
        compression=False,
    )
