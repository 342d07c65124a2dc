"""HTTP/1.1 for the opening handshake, read and written by h11 under our limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import h11

from .config import Config, Deflate
from .deflate import DeflateParameters
from .errors import LocalProtocolError
from .events import HandshakeRequested, HttpRequested, Refused, RequestHead
from .handshake import (
    Answer,
    ClientOffer,
    Offer,
    Refusal,
    accept_headers,
    asks_for_websocket,
    check_answer,
    check_head,
    check_request,
    is_target,
    request_headers,
    response_headers,
)
from .headers import HeaderFields, Headers, is_token
from .request_lane import read_request, share_names

_REFUSAL_TEXTS: Final = {431: "head too large", 501: "unknown Transfer-Encoding"}
_WITHOUT_CONTENT: Final = frozenset({204, 304})
# A character that no request may hold, and those it stands in for.
_REFUSED: Final = "\x00"
_NOT_IN_LINE_RE: Final = re.compile(r"[\r\n]|[^\x00-\xff]")
# How much of a body h11 is given at once.
_BODY_PIECE: Final = 64 * 1024


def _decode_headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    # ISO-8859-1 keeps every byte as it came (RFC 9110 §5.5).
    lines = event.headers.raw_items()
    return Headers(
        share_names([(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines])
    )


def _request_head(event: h11.Request) -> RequestHead:
    return RequestHead(
        event.method.decode("ascii"),
        event.target.decode("ascii"),
        _decode_headers(event),
        event.http_version.decode("ascii"),
    )


def serialize_head(head: RequestHead) -> bytes:
    """The bytes of a parsed request's head.

    What could not have stood in such a head comes out such that it is refused.
    """
    lines = [f"{head.method} {head.target} HTTP/{head.http_version}"]
    for name, value in head.headers.items_as_sent():
        lines.append(f"{name if is_token(name) else _REFUSED}: {value}")
    lines = [_NOT_IN_LINE_RE.sub(_REFUSED, line) for line in lines]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:  # an unregistered status has no phrase
        return b""


class _HeadReader:
    """Hands h11 no more than `max_head_size` bytes of a message's head.

    h11's own limit looks at incomplete heads only; ours holds however the bytes are cut.
    """

    def __init__(self, role: type[h11.CLIENT] | type[h11.SERVER], config: Config) -> None:
        self._role = role
        self._max_head_size = config.max_head_size
        self._h11: h11.Connection | None = None
        self._passed_over = b""
        self._budget = config.max_head_size
        self._in_body = False
        self._held_back = bytearray()
        self._eof = False
        self.cut_short = False
        """Whether the stream ended before the message did."""

    @property
    def connection(self) -> h11.Connection:
        """h11's side of it, which is made for whoever needs it first."""
        if self._h11 is None:
            self._h11 = h11.Connection(
                self._role, max_incomplete_event_size=self._max_head_size + 1
            )
            if self._passed_over:
                self._h11.receive_data(self._passed_over)
                self._h11.next_event()
        return self._h11

    def pass_over(self, data: bytes, end: int) -> None:
        """The first bytes of the peer: up to `end` a head that somebody else has read."""
        self._passed_over = data[:end]
        self._held_back += data[end:]
        self._budget = 0

    def feed(self, data: bytes) -> None:
        """More bytes of the peer; b"" is the end of the stream."""
        if not data:
            self._eof = True
        elif len(data) <= self._budget and not self._held_back:
            self._budget -= len(data)
            self.connection.receive_data(data)
        else:
            self._held_back += data

    def next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """h11's next event, with the head's size held to the limit.

        Raises:
            h11.RemoteProtocolError: the peer broke HTTP/1.1, or the limit.
        """
        while True:
            event = self.connection.next_event()
            if event is not h11.NEED_DATA:
                if isinstance(event, (h11.Request, h11.Response)):
                    self._in_body = True
                return event
            if self._held_back:
                size = _BODY_PIECE if self._in_body else self._budget
                if size == 0:
                    raise h11.RemoteProtocolError("head too large", error_status_hint=431)
                chunk = bytes(self._held_back[:size])
                # Cheap however often it happens: a bytearray forgets its first bytes in place.
                del self._held_back[:size]
                self._budget -= len(chunk)
                self.connection.receive_data(chunk)
            elif self._eof:
                self.cut_short = True
                self.connection.receive_data(b"")
                self._eof = False
            else:
                return h11.NEED_DATA

    def trailing_data(self) -> bytes:
        """What came after the handshake: the first bytes of frames."""
        read_ahead = b"" if self._h11 is None else self._h11.trailing_data[0]
        return read_ahead + bytes(self._held_back)


class ServerHandshake:
    """Reads one request and writes its response.

    Args:
        config: limits.
        lane: whether what is plainly right may be read without h11.
    """

    def __init__(self, config: Config, *, lane: bool = True) -> None:
        self._config = config
        self._lane = lane
        self._in_lane: RequestHead | None = None
        self._reader = _HeadReader(h11.SERVER, config)
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._offer: Offer | None = None

    def feed(self, data: bytes) -> None:
        """More bytes of the client; b"" is the end of the stream."""
        if self._lane:
            self._lane = False  # it is for what comes whole
            found = read_request(data, self._config.max_head_size)
            if found is not None:
                self._in_lane, end = found
                self._reader.pass_over(data, end)
                return
        self._reader.feed(data)

    def next(self) -> HandshakeRequested | HttpRequested | Refusal | None:
        """The request once it is complete, a refusal as soon as it is certain, else None."""
        if self._in_lane is not None:
            return self._take_head(self._in_lane) or self._take_request()
        try:
            while True:
                event = self._reader.next()
                if isinstance(event, h11.Request):
                    refusal = self._take_head(_request_head(event))
                    if refusal is not None:
                        return refusal
                    if self._offer is not None:
                        return self._take_request()  # it has no body
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > self._config.max_body_size:
                        return self._body_too_large()
                elif isinstance(event, h11.EndOfMessage):
                    return self._take_request()
                else:
                    return None
        except h11.RemoteProtocolError as error:
            if self._reader.cut_short:
                return None  # it needs no answer
            status = error.error_status_hint
            # h11's own words may hold a repr of what the peer sent.
            return Refusal(status, _REFUSAL_TEXTS.get(status, "malformed HTTP/1.1 request"))

    def _take_head(self, head: RequestHead) -> Refusal | None:
        self._head = head
        refusal = check_head(head, self._config)
        if refusal is not None:
            return refusal
        if asks_for_websocket(head):
            checked = check_request(head, self._config)
            if isinstance(checked, Refusal):
                return checked
            self._offer = checked
        # h11 has seen to it that it is a number.
        elif int(head.headers.get("content-length", "0")) > self._config.max_body_size:
            return self._body_too_large()
        return None

    def _body_too_large(self) -> Refusal:
        return Refusal(413, f"body over {self._config.max_body_size} bytes")

    def _take_request(self) -> HandshakeRequested | HttpRequested:
        assert self._head is not None
        if self._offer is not None:
            offer = self._offer
            return HandshakeRequested(self._head, offer.subprotocols, offer.origin_allowed)
        return HttpRequested(self._head, bytes(self._body))

    def continue_(self) -> bytes:
        """The 100 response if the client waits for it before it sends its body, else b""."""
        if not self._reader.connection.they_are_waiting_for_100_continue or self._reader.cut_short:
            return b""
        response = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        return self._reader.connection.send(response) or b""

    def accept(
        self, subprotocol: str | None, headers: HeaderFields, compression: Deflate | None
    ) -> tuple[bytes, DeflateParameters | None, bytes]:
        """The 101 response, the compression of both sides, and the bytes after the request.

        Raises:
            LocalProtocolError: see `handshake.accept_headers`; nothing is changed.
        """
        assert self._offer is not None
        deflate, extensions = self._offer.agree(compression) or (None, None)
        lines = accept_headers(self._offer, subprotocol, headers, extensions)
        # h11 would check what was checked just now, and leave its own state, which is not needed.
        fields = "".join([f"{name}: {value}\r\n" for name, value in lines])
        data = f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n".encode("ascii")
        return data, deflate, self._reader.trailing_data()

    def respond(self, status: int, headers: HeaderFields, body: bytes) -> bytes:
        """A complete response that is not 101, and the last of this connection.

        Raises:
            TypeError: `body` is not bytes.
            LocalProtocolError: see `handshake.response_headers`; nothing is changed.
        """
        if not isinstance(body, bytes):
            raise TypeError(f"a body is bytes, not {type(body).__name__}")
        lines = response_headers(status, headers, len(body))
        response = h11.Response(status_code=status, headers=_encode(lines), reason=_phrase(status))
        http = self._reader.connection
        parts = [http.send(response)]
        headers_only = self._head is not None and self._head.method == "HEAD"
        if body and not headers_only and status not in _WITHOUT_CONTENT:
            parts.append(http.send(h11.Data(data=body)))
        parts.append(http.send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)

    def refuse(self, refusal: Refusal) -> bytes:
        """The response that says what is wrong with the request."""
        headers = [("Content-Type", "text/plain; charset=utf-8"), *refusal.headers]
        return self.respond(refusal.status, headers, f"{refusal.message}\n".encode())


class ClientHandshake:
    """Writes the opening handshake and reads the answer."""

    def __init__(
        self,
        config: Config,
        host: str,
        target: str,
        subprotocols: Iterable[str],
        headers: HeaderFields,
    ) -> None:
        self._config = config
        self._reader = _HeadReader(h11.CLIENT, config)
        self._offer = ClientOffer(tuple(subprotocols), config.compression)
        if not is_target(target):
            raise LocalProtocolError(f"target {target!r} must be printable ASCII without space")
        self.request = RequestHead(
            "GET", target, Headers(request_headers(host, self._offer, headers))
        )
        self._response: h11.Response | None = None
        self._body = bytearray()

    def send_request(self) -> bytes:
        """The bytes of the request."""
        lines = _encode(self.request.headers.items_as_sent())
        request = h11.Request(method="GET", target=self.request.target, headers=lines)
        parts = [
            self._reader.connection.send(request),
            self._reader.connection.send(h11.EndOfMessage()),
        ]
        return b"".join(part for part in parts if part)

    def feed(self, data: bytes) -> None:
        """More bytes of the server; b"" is the end of the stream."""
        self._reader.feed(data)

    def next(self) -> tuple[Answer, Headers, bytes] | Refused | None:
        """The answer: agreed on, with its headers and the bytes after it, or refused, or None."""
        try:
            while True:
                event = self._reader.next()
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101:
                        return self._take_switch(_decode_headers(event))
                elif isinstance(event, h11.Response):
                    self._response = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) >= self._config.max_body_size:
                        del self._body[self._config.max_body_size :]
                        return self._refused()
                elif isinstance(event, h11.EndOfMessage):
                    return self._refused()
                else:
                    return None
        except h11.RemoteProtocolError as error:
            if self._reader.cut_short:
                return self._refused("the server closed the connection before it had answered")
            return self._refused(f"the server's answer is not valid HTTP/1.1: {error}")

    def _take_switch(self, headers: Headers) -> tuple[Answer, Headers, bytes] | Refused:
        if len(headers.items_as_sent()) > self._config.max_header_count:
            return Refused("the server's answer has too many header fields", 101, headers, b"")
        answer = check_answer(headers, self._offer)
        if isinstance(answer, str):
            return Refused(answer, 101, headers, b"")
        return answer, headers, self._reader.trailing_data()

    def _refused(self, problem: str | None = None) -> Refused:
        if self._response is None:
            return Refused(problem or "no answer", None, Headers(), b"")
        status = self._response.status_code
        headers = _decode_headers(self._response)
        message = f"the server answered {status} instead of 101"
        return Refused(message, status, headers, bytes(self._body))


def _encode(lines: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in lines]
