"""The opening handshake (RFC 6455 §4) as pure functions over parsed headers.

Nothing here reads or writes HTTP: `http` does that for HTTP/1.1, and a server that has parsed the
request itself can come straight here.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

from . import deflate
from .config import Config, Deflate
from .errors import LocalProtocolError
from .events import RequestHead
from .headers import (
    ExtensionOffer,
    HeaderFields,
    Headers,
    has_control,
    is_token,
    is_visible_ascii,
    parse_extensions,
    parse_tokens,
    parse_upgrade,
)

VERSION: Final = "13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# Written by the handshake itself: an application that set them would contradict it.
_OWN_FIELDS: Final = frozenset(
    {
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)
_OWN_REQUEST_FIELDS: Final = _OWN_FIELDS | {"host"}
_OWN_RESPONSE_FIELDS: Final = frozenset({"connection", "content-length", "transfer-encoding"})

# The fields that the handshake itself reads: printable ASCII only, by their grammars.
_HANDSHAKE_FIELDS: Final = (
    "host",
    "origin",
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
)

# The Host field and the request target. RFC 3986 allows less, but nothing that this leaves out.
_VISIBLE_RE: Final = re.compile(r"[!-~]*")
# 16 bytes in base64 (RFC 6455 §4.1); what the last character has beyond them is not looked at.
_KEY_RE: Final = re.compile(r"[A-Za-z0-9+/]{22}==")

ORIGIN_REFUSED: Final = "this Origin may not open a WebSocket here"

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets an error and no application sees it."""

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A valid opening handshake, as the client offers it."""

    key: str
    subprotocols: tuple[str, ...]
    extensions: tuple[ExtensionOffer, ...] = ()
    """What the client offers, in its order of preference."""
    origin_allowed: bool = True
    """Whether the page that it comes from may open a WebSocket here (RFC 6455 §10.2)."""

    def agree(self, compression: Deflate | None) -> tuple[deflate.DeflateParameters, str] | None:
        """What compression both sides use, and the header value that says so."""
        return None if compression is None else deflate.answer_offers(self.extensions, compression)


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid 101 response, as the client understands it."""

    subprotocol: str | None
    deflate: deflate.DeflateParameters | None


@dataclass(frozen=True, slots=True)
class ClientOffer:
    """What a client asks for, and what it must remember to check the answer."""

    subprotocols: tuple[str, ...]
    compression: Deflate | None
    key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(16)).decode())


def accept_token(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (§4.2.2, 5.4)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def asks_for_websocket(head: RequestHead) -> bool:
    """Whether a request is meant as an opening handshake, be it a valid one or not."""
    if "sec-websocket-key" in head.headers:
        return True
    protocols = parse_upgrade(head.headers.get_all("upgrade"))
    if protocols is None:
        return "websocket" in head.headers["upgrade"].lower()
    return "websocket" in protocols


def is_target(target: object) -> bool:
    """Whether `target` can stand in a request line (RFC 9112 §3.2)."""
    return isinstance(target, str) and target != "" and _VISIBLE_RE.fullmatch(target) is not None


def check_head(head: RequestHead, config: Config) -> Refusal | None:
    """What is wrong with any HTTP request, whether it asks for a WebSocket or not."""
    lines = head.headers.items_as_sent()
    if len(lines) > config.max_header_count:
        return Refusal(431, f"more than {config.max_header_count} header fields")
    if has_control("".join([value for _, value in lines])):
        name = next(name for name, value in lines if has_control(value))
        return Refusal(400, f"control character in {name}")
    if not _VISIBLE_RE.fullmatch(",".join(head.headers.get_all("host"))):
        return Refusal(400, "malformed Host")
    return None


def check_request(head: RequestHead, config: Config) -> Offer | Refusal:
    """Validate a client's opening handshake (§4.2.1) and answer what it offers."""
    headers = head.headers
    if head.http_version != "1.1":
        return Refusal(400, "a WebSocket needs HTTP/1.1")
    if head.method != "GET":
        return Refusal(400, f"a WebSocket is opened with GET, not {head.method}")
    refusal = _check_characters(headers)
    if refusal is not None:
        return refusal
    if not isinstance(headers.find("host"), str):
        return Refusal(400, "one Host is needed")
    if not _asks_to_upgrade(headers):
        return Refusal(400, "Upgrade must name websocket")
    if not _names_upgrade(headers):
        return Refusal(400, "Connection must name Upgrade")
    if "transfer-encoding" in headers or headers.get("content-length", "0").strip("0"):
        return Refusal(400, "an opening handshake has no body")
    return _check_websocket_fields(headers, config)


def _asks_to_upgrade(headers: Headers) -> bool:
    if headers.find("upgrade") == "websocket":  # as nearly all of them send it
        return True
    return "websocket" in (parse_upgrade(headers.get_all("upgrade")) or ())


def _names_upgrade(headers: Headers) -> bool:
    if headers.find("connection") == "Upgrade":
        return True
    connection = parse_tokens(headers.get_all("connection")) or ()
    return "upgrade" in {token.lower() for token in connection}


def _check_websocket_fields(headers: Headers, config: Config) -> Offer | Refusal:
    if headers.find("sec-websocket-version") != VERSION:
        # §4.4: name the version that would have been understood.
        return Refusal(
            426,
            f"Sec-WebSocket-Version must be {VERSION}",
            (("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket")),
        )
    key = headers.find("sec-websocket-key")
    if not isinstance(key, str) or not _KEY_RE.fullmatch(key):
        return Refusal(400, "one Sec-WebSocket-Key of 16 bytes in base64 is needed")
    subprotocols = _check_subprotocols(headers.get_all("sec-websocket-protocol"))
    if isinstance(subprotocols, Refusal):
        return subprotocols
    extensions = parse_extensions(headers.get_all("sec-websocket-extensions"))
    if extensions is None:
        return Refusal(400, "malformed Sec-WebSocket-Extensions")
    allowed = origin_allowed(headers, config.origins)
    return Offer(key, subprotocols, tuple(extensions), allowed)


def check_hosted_request(head: RequestHead, offered: Iterable[str]) -> tuple[str, ...] | Refusal:
    """What is left to check where a host server has read the opening handshake itself.

    Args:
        head: the request.
        offered: the subprotocols as the host names them.

    Returns:
        The subprotocols that the client offers.
    """
    return _check_characters(head.headers) or _check_subprotocols(offered)


def _check_characters(headers: Headers) -> Refusal | None:
    if is_visible_ascii("".join([value for _, value in headers.items_as_sent()])):
        return None
    for name in _HANDSHAKE_FIELDS:
        if not is_visible_ascii(headers.get(name, "")):
            return Refusal(400, f"character outside of printable ASCII in {name}")
    return None


def _check_subprotocols(values: Iterable[str]) -> tuple[str, ...] | Refusal:
    subprotocols = parse_tokens(values)
    if subprotocols is None or len(set(subprotocols)) != len(subprotocols):
        return Refusal(400, "Sec-WebSocket-Protocol must list different tokens")
    return tuple(subprotocols)


def origin_allowed(headers: Headers, origins: Sequence[str]) -> bool:
    """Whether the page that opens this WebSocket may do so (§10.2).

    A page of the host's own may, one of the listed origins may, and so may what is no browser and
    sends no Origin.
    """
    sent = headers.find("origin")
    if sent is None or "*" in origins:
        return True
    if not isinstance(sent, str):
        return False
    origin = sent.lower()
    return origin in {o.lower() for o in origins} or _same_host(origin, headers.get("host", ""))


def _same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        own = urlsplit(f"//{host}")
        if default is None or parts.hostname is None:
            return False
        return (parts.hostname, parts.port or default) == (own.hostname, own.port or default)
    except ValueError:  # a port that is no number
        return False


def check_fields(headers: HeaderFields, *, forbidden: frozenset[str]) -> list[tuple[str, str]]:
    """The application's own header fields, if they can be written without harm (RFC 9110 §5.5).

    Raises:
        LocalProtocolError: a name that is no token or not for the application to set, or a value
            with anything but printable ASCII.
    """
    lines = Headers(headers).items_as_sent()
    for line in lines:
        if not _is_pair_of_str(line):
            raise LocalProtocolError(f"header fields are pairs of str, not {line!r}")
        name, value = line
        if not is_token(name):
            raise LocalProtocolError(f"header name {name!r} is not a token")
        if not is_visible_ascii(value) or value != value.strip(" \t"):
            raise LocalProtocolError(
                f"value {value!r} of header {name} must be printable ASCII without outer space"
            )
        if name.lower() in forbidden:
            raise LocalProtocolError(f"header {name} is set by the connection itself")
    return list(lines)


def _is_pair_of_str(line: object) -> bool:
    if not isinstance(line, tuple):
        return False
    return [type(part) for part in cast("tuple[object, ...]", line)] == [str, str]


def accept_headers(
    offer: Offer, subprotocol: str | None, extra: HeaderFields, extensions: str | None = None
) -> list[tuple[str, str]]:
    """The header fields of the 101 response (§4.2.2); `extensions` is what was agreed on.

    Raises:
        LocalProtocolError: a subprotocol that the client did not offer, or an unusable header.
    """
    fields = accept_fields(offer.subprotocols, subprotocol, extra)
    lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_token(offer.key)),
    ]
    if subprotocol is not None:
        lines.append(("Sec-WebSocket-Protocol", subprotocol))
    if extensions is not None:
        lines.append(("Sec-WebSocket-Extensions", extensions))
    return lines + fields


def accept_fields(
    offered: Sequence[str], subprotocol: str | None, extra: HeaderFields
) -> list[tuple[str, str]]:
    """The application's own header fields of the response that accepts, checked together with
    its choice of a subprotocol.

    Raises:
        LocalProtocolError: a subprotocol that the client did not offer, or an unusable header.
    """
    if subprotocol is not None and subprotocol not in offered:
        names = ", ".join(offered) or "none"
        raise LocalProtocolError(
            f"subprotocol {subprotocol!r} was not offered by the client, which offered: {names}"
        )
    return check_fields(extra, forbidden=_OWN_FIELDS)


def response_headers(status: int, headers: HeaderFields, size: int) -> list[tuple[str, str]]:
    """The header fields of a response that is not 101; the connection ends with it.

    Raises:
        LocalProtocolError: a status outside 200 to 599, or an unusable header.
    """
    lines = response_fields(status, headers, size)
    # RFC 9110 §7.8: Connection names an Upgrade.
    upgrade = any(name.lower() == "upgrade" for name, _ in lines)
    return [*lines, ("Connection", "close, upgrade" if upgrade else "close")]


def response_fields(status: int, headers: HeaderFields, size: int) -> list[tuple[str, str]]:
    """The header fields of a response that is not 101, without those of the connection.

    Raises:
        LocalProtocolError: a status outside 200 to 599, or an unusable header.
    """
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise LocalProtocolError(f"status must be from 200 to 599, not {status!r}")
    # Upgrade stays allowed: RFC 9110 §15.5.22 wants it in a 426.
    lines = check_fields(headers, forbidden=_OWN_RESPONSE_FIELDS)
    # RFC 9110 §8.6: no Content-Length where there can be no content.
    if status not in {204, 304}:
        lines.append(("Content-Length", str(size)))
    return lines


def request_headers(host: str, offer: ClientOffer, extra: HeaderFields) -> list[tuple[str, str]]:
    """The header fields of a client's opening handshake (§4.1).

    Raises:
        LocalProtocolError: an unusable subprotocol, host or header.
    """
    for subprotocol in offer.subprotocols:
        if not isinstance(subprotocol, str) or not is_token(subprotocol):
            raise LocalProtocolError(f"subprotocol {subprotocol!r} is not a token")
    if len(set(offer.subprotocols)) != len(offer.subprotocols):
        raise LocalProtocolError("the same subprotocol is offered twice")
    (line,) = check_fields([("Host", host)], forbidden=frozenset())
    if not _VISIBLE_RE.fullmatch(host):
        raise LocalProtocolError(f"Host {host!r} has white space inside it")
    lines = [
        line,
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", offer.key),
        ("Sec-WebSocket-Version", VERSION),
    ]
    if offer.subprotocols:
        lines.append(("Sec-WebSocket-Protocol", ", ".join(offer.subprotocols)))
    if offer.compression is not None:
        lines.append(("Sec-WebSocket-Extensions", deflate.make_offer(offer.compression)))
    return lines + check_fields(extra, forbidden=_OWN_REQUEST_FIELDS)


def check_answer(headers: Headers, offer: ClientOffer) -> Answer | str:
    """Validate the header fields of a server's 101 response (§4.1); a str says what is wrong."""
    for name, value in headers.items_as_sent():
        if has_control(value):
            return f"control character in {name}"
    if (parse_upgrade(headers.get_all("upgrade")) or ()) != ["websocket"]:
        return "Upgrade must be websocket"
    if not _names_upgrade(headers):
        return "Connection must name Upgrade"
    if headers.get_all("sec-websocket-accept") != [accept_token(offer.key)]:
        return "Sec-WebSocket-Accept does not answer our Sec-WebSocket-Key"
    chosen = headers.get_all("sec-websocket-protocol")
    if len(chosen) > 1 or (chosen and chosen[0] not in offer.subprotocols):
        return f"the server chose a subprotocol that was not offered: {', '.join(chosen)}"
    extensions = parse_extensions(headers.get_all("sec-websocket-extensions"))
    if extensions is None:
        return "malformed Sec-WebSocket-Extensions"
    agreed = None
    if extensions:
        if offer.compression is None or len(extensions) > 1:
            return "the server chose an extension that was not offered"
        agreed = deflate.check_answer(extensions[0], offer.compression)
        if agreed is None:
            return "the server's permessage-deflate does not fit our offer"
    return Answer(chosen[0] if chosen else None, agreed)
