"""wsproto on a bare socket."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator, Sequence

from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import Connection, ConnectionState
from wsproto.extensions import PerMessageDeflate

from tests.interop.loops import TIMEOUT
from tests.interop.places import Place

from .base import ClientSocket, Close, Compression, Offer, Refused


class WsprotoSocket(ClientSocket):
    """A client that can also send before it was answered."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: deque[events.Event] = deque()

    def open(self, place: Place, offer: Offer) -> None:
        """Do the opening handshake."""
        deflate = offer.compression is Compression.DEFLATE
        request = self._connection.send(
            events.Request(
                host=place.authority,
                target=offer.target,
                subprotocols=list(offer.subprotocols),
                extra_headers=[(n.encode(), v.encode()) for n, v in offer.headers],
                extensions=[PerMessageDeflate()] if deflate else [],
            )
        )
        if offer.early is not None:  # wsproto itself would wait for the answer
            early = Connection(ConnectionType.CLIENT)
            request += early.send(events.TextMessage(data=offer.early))
        self._socket.sendall(request)
        answer = self._next()
        if isinstance(answer, events.RejectConnection):
            raise Refused(answer.status_code, self._body(answer))
        assert isinstance(answer, events.AcceptConnection), answer
        self.subprotocol = answer.subprotocol
        self.headers = {n.decode().lower(): v.decode() for n, v in answer.extra_headers}
        if answer.extensions:
            names = ", ".join(f"{e.name}" for e in answer.extensions)
            self.headers = {**self.headers, "sec-websocket-extensions": names}

    def _body(self, answer: events.RejectConnection) -> bytes:
        body = b""
        while answer.has_body:
            event = self._next()
            assert isinstance(event, events.RejectData), event
            body += event.data
            if event.body_finished:
                break
        return body

    def _send(self, *sent: events.Event) -> None:
        self._socket.sendall(b"".join(self._connection.send(event) for event in sent))

    def _next(self) -> events.Event:
        while not self._events:
            data = self._socket.recv(65536)
            assert data, "the server hung up"
            self._connection.receive_data(data)
            self._events.extend(self._connection.events())
        return self._events.popleft()

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._send(events.TextMessage(data=message))
        else:
            self._send(events.BytesMessage(data=message))

    def send_fragments(self, parts: Sequence[str]) -> None:
        for part in parts[:-1]:
            self._send(events.TextMessage(data=part, message_finished=False))
        self._send(events.TextMessage(data=parts[-1]))

    def receive(self) -> str | bytes | Close:
        found: list[str | bytes] = []
        while True:
            event = self._next()
            if isinstance(event, events.Ping):
                self._send(event.response())
            elif isinstance(event, (events.TextMessage, events.BytesMessage)):
                found.append(event.data if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    return type(found[0])().join(found)  # type: ignore[arg-type]  # all alike
            else:
                assert isinstance(event, events.CloseConnection), event
                if self._connection.state is ConnectionState.REMOTE_CLOSING:
                    self._send(event.response())
                return Close(int(event.code), event.reason or "")

    def ping(self, payload: bytes) -> None:
        self._send(events.Ping(payload=payload))
        answer = self._next()
        assert isinstance(answer, events.Pong), answer
        assert bytes(answer.payload) == payload

    def close(self, code: int, reason: str) -> None:
        self._send(events.CloseConnection(code=code, reason=reason))
        while not isinstance(self._next(), events.CloseConnection):
            pass
        assert self._socket.recv(65536) == b"", "the server is to end TCP after a clean close"


@contextlib.contextmanager
def connect(place: Place, offer: Offer) -> Iterator[WsprotoSocket]:
    with dial(place) as sock:
        client = WsprotoSocket(sock)
        client.open(place, offer)
        yield client


def dial(place: Place) -> socket.socket:
    """A connected socket."""
    if place.unix is not None:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(place.unix)
        return sock
    host, _, port = place.authority.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), TIMEOUT)
    if place.tls is not None:
        return place.tls.wrap_socket(sock, server_hostname=host)
    return sock
