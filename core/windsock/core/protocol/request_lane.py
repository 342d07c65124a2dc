"""The lane for opening handshakes: the request that nearly every client sends, read without h11.

The lane is a shortcut, never a second opinion: it takes what came whole and is plainly right, and
whatever is not is for h11 to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .events import RequestHead
from .headers import TOKEN, Headers

_END: Final = b"\r\n\r\n"
_REQUEST_LINE_RE: Final = re.compile(r"GET ([!-~]+) HTTP/1\.1\r\n")
# One that begins where a line does; h11 takes tabs, further space around the value, no value at all
# and control characters besides, and three of the names have more to say to it.
_FIELD_LINE_RE: Final = re.compile(
    rf"^(?!(?i:content-length|transfer-encoding|expect):)"
    rf"({TOKEN}): ([!-~\x80-\xff]++(?: ++[!-~\x80-\xff]++)*+)\r\n",
    re.MULTILINE,
)

# Names that nearly all requests have, so that not each of them keeps its own.
_USUAL: Final = (
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Connection",
    "Cookie",
    "Origin",
    "Pragma",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "Upgrade",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
)
_NAMES: Final = {name: name for usual in _USUAL for name in (usual, usual.lower())}


def share_names(lines: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Header lines, those with a usual name with the one copy of it."""
    return [(_NAMES.get(name) or name, value) for name, value in lines]


def read_request(data: bytes, max_size: int) -> tuple[RequestHead, int] | None:
    """The head at the beginning of `data` and where it ends, if the lane takes it.

    It is a request for a WebSocket then, valid as far as HTTP/1.1 goes, and has no body.

    Args:
        data: the first bytes of a connection.
        max_size: of the head, in bytes.
    """
    end = data.find(_END, 0, max_size) + len(_END)
    if end < len(_END):
        return None
    # ISO-8859-1 keeps every byte as it came (RFC 9110 §5.5).
    text = data[:end].decode("latin-1")
    request_line = _REQUEST_LINE_RE.match(text)
    if request_line is None:
        return None
    lines: list[tuple[str, str]] = _FIELD_LINE_RE.findall(text, request_line.end())
    if len(lines) != text.count("\n") - 2:  # all but the first and the last
        return None
    headers = Headers(share_names(lines))
    if not isinstance(headers.find("host"), str) or "sec-websocket-key" not in headers:
        return None
    return RequestHead("GET", request_line[1], headers), end
