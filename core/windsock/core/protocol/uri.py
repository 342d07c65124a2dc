"""WebSocket URIs (RFC 6455 §3)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .headers import has_control

# RFC 3986 §3.2.2, without what only its more exotic names use.
_NOT_IN_HOST_RE = re.compile(r"[^0-9A-Za-z._~:%!$&'()*+,;=-]")

_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class WebSocketURI:
    """A parsed ws:// or wss:// URI."""

    secure: bool
    host: str
    """The host to connect to, without brackets where it is an IPv6 address."""
    port: int
    target: str
    """Path and query, percent-encoded: the request target."""
    credentials: str | None
    """The value of Authorization for user and password in the URI, None without."""

    @property
    def host_header(self) -> str:
        """The value of the Host field (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _DEFAULT_PORTS["wss" if self.secure else "ws"]
        return host if self.port == default else f"{host}:{self.port}"


def parse_uri(uri: str) -> WebSocketURI:
    """Parse a WebSocket URI.

    Raises:
        ValueError: it is none; the message says why.
    """
    if has_control(uri) or "\t" in uri:
        raise ValueError(f"{uri!r} has a control character in it")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{uri!r} is not a WebSocket URI: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{uri!r} must begin with ws:// or wss://")
    if not parts.hostname:
        raise ValueError(f"{uri!r} names no host")
    if parts.fragment or uri.endswith("#"):
        raise ValueError(f"{uri!r} has a fragment, which a WebSocket URI must not (RFC 6455 §3)")
    host = parts.hostname
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as error:
            raise ValueError(f"{uri!r} names a host that is not valid: {error}") from None
    if _NOT_IN_HOST_RE.search(host):
        raise ValueError(f"{uri!r} names a host that is not valid")
    # Characters outside of ASCII are percent-encoded as UTF-8 (RFC 3987 §3.1).
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    credentials = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return WebSocketURI(
        parts.scheme == "wss",
        host,
        _DEFAULT_PORTS[parts.scheme] if port is None else port,
        target,
        credentials,
    )
