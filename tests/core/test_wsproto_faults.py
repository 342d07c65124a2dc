"""What bare wsproto gets wrong, and windsock must get right.

Each scenario runs twice: on windsock, whose behaviour is asserted, and on wsproto as it is, on
which the same assertion must fail. Where that half of a test fails, wsproto has mended the fault:
the guard against it may then be taken out.
"""

from __future__ import annotations

import base64
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection as BareConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Request,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import LocalProtocolError as BareLocalError
from wsproto.utilities import RemoteProtocolError as BareRemoteError

from tests.core.helpers import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    MASK,
    PING,
    TEXT,
    close_payload,
    frame,
    open_server,
    parse_response,
    pull,
    request,
)
from tests.core.test_deflate import deflate
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.errors import Disconnected, LocalProtocolError
from windsock.core.protocol.events import Closed, HandshakeRequested
from windsock.core.protocol.server import ServerConnection

LIMIT = 1 << 20


@contextmanager
def fault() -> Iterator[None]:
    """What follows is asserted of wsproto, in vain."""
    with pytest.raises(AssertionError):
        yield


# Open connections


@dataclass
class Outcome:
    """What a server has made of some bytes."""

    messages: list[str | bytes]
    failed_with: int | None
    """The code with which it failed the connection on its own account."""
    still_sends: bool


class Server(Protocol):
    def __call__(self, data: bytes, *, compressed: bool = False) -> Outcome: ...


def windsock_server(data: bytes, *, compressed: bool = False) -> Outcome:
    config = Config(max_message_size=LIMIT, compression=Deflate())
    if compressed:
        server = ServerConnection(config, now=0)
        server.receive_data(request(add=[("Sec-WebSocket-Extensions", "permessage-deflate")]), 0)
        pull(server)
        server.accept(now=0)
        server.data_to_send()
    else:
        server = open_server(config)
    server.receive_data(data, 0)
    events = pull(server)
    messages = [event for event in events if isinstance(event, (str, bytes))]
    closed = server.closed
    try:
        server.send("x")
    except Disconnected:
        still_sends = False
    else:
        still_sends = True
    failed = closed is not None and not closed.clean and not closed.by_peer
    return Outcome(messages, closed.code if closed is not None and failed else None, still_sends)


def bare_server(data: bytes, *, compressed: bool = False) -> Outcome:
    extensions: list[Extension] = []
    if compressed:
        extension = PerMessageDeflate()
        extension.accept("permessage-deflate")
        extensions.append(extension)
    server = BareConnection(ConnectionType.SERVER, extensions)
    server.receive_data(data)
    messages: list[str | bytes] = []
    text, binary = "", b""
    for event in server.events():
        if isinstance(event, TextMessage):
            text += event.data
            if event.message_finished:
                messages.append(text)
                text = ""
        elif isinstance(event, BytesMessage):
            binary += event.data
            if event.message_finished:
                messages.append(binary)
                binary = b""
    try:
        server.send(TextMessage(data="x"))
    except BareLocalError:
        still_sends = False
    else:
        still_sends = True
    # There is nothing that tells its own failure from the peer's close.
    return Outcome(messages, None, still_sends)


def both(check: Callable[[Server], None]) -> None:
    check(windsock_server)
    with fault():
        check(bare_server)


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    return frame(opcode, payload, fin=fin, rsv=rsv, mask=MASK)


def test_there_is_a_limit_on_declared_lengths() -> None:
    header = bytes([0x80 | BINARY, 0xFF]) + struct.pack("!Q", 1 << 40) + MASK

    def check(server: Server) -> None:
        assert server(header + b"x").failed_with == 1009

    both(check)


def test_there_is_a_limit_on_inflated_messages() -> None:
    bomb = client_frame(BINARY, deflate(bytes(32 << 20), level=9), rsv=4)

    def check(server: Server) -> None:
        tracemalloc.start()
        try:
            outcome = server(bomb, compressed=True)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * LIMIT
        assert outcome.failed_with == 1009

    both(check)


def test_there_is_a_limit_on_fragments() -> None:
    flood = client_frame(TEXT, fin=False) + client_frame(CONT, fin=False) * 5000

    def check(server: Server) -> None:
        assert server(flood).failed_with == 1009

    both(check)


def test_a_ping_between_compressed_fragments() -> None:
    payload = deflate(b"Hello, " * 20)
    data = (
        client_frame(TEXT, payload[:5], fin=False, rsv=4)
        + client_frame(PING)
        + client_frame(CONT, payload[5:])
    )

    def check(server: Server) -> None:
        assert server(data, compressed=True).messages == ["Hello, " * 20]

    both(check)


def test_a_failure_is_not_disguised_as_the_peers_close() -> None:
    def check(server: Server) -> None:
        assert server(client_frame(TEXT, b"\xff")).failed_with == 1007

    both(check)


def test_nothing_is_sent_after_a_failure() -> None:
    def check(server: Server) -> None:
        assert not server(client_frame(TEXT, b"\xff")).still_sends

    both(check)


# Sending close codes


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000])
def test_codes_that_must_not_be_sent(code: int) -> None:
    """0, 999 and 5000 go out unchecked; 1005, 1006 and 1015 become something else."""

    def windsock_refuses() -> bool:
        try:
            open_server().close(code, "", 0)
        except LocalProtocolError:
            return True
        return False

    def wsproto_refuses() -> bool:
        try:
            BareConnection(ConnectionType.SERVER).send(CloseConnection(code=code))
        except BareLocalError:
            return True
        return False

    assert windsock_refuses()
    with fault():
        assert wsproto_refuses()


# Handshakes


class Handshake(Protocol):
    def __call__(self, data: bytes) -> int:
        """The status with which a server answers `data`; 101 if it accepts."""


def windsock_handshake(data: bytes) -> int:
    server = ServerConnection(Config(compression=Deflate()), now=0)
    server.receive_data(data, 0)
    (event, *_) = pull(server)
    if isinstance(event, HandshakeRequested):
        server.accept(now=0)
    return parse_response(server.data_to_send())[0]


def bare_handshake(data: bytes) -> int:
    """As a server on wsproto must do it: what it calls a remote error is answered with 400."""
    server = WSConnection(ConnectionType.SERVER)
    try:
        server.receive_data(data)
        for event in server.events():
            if isinstance(event, Request):
                answer = server.send(AcceptConnection(extensions=[PerMessageDeflate()]))
                return parse_response(answer)[0]
    except BareRemoteError:
        return 400
    raise AssertionError("neither accepted nor refused")


def test_a_host_that_is_not_ascii() -> None:
    data = request(("Host", "h\xe9"))
    assert windsock_handshake(data) == 400
    with pytest.raises(UnicodeError):  # instead of its RemoteProtocolError
        bare_handshake(data)


@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"])
def test_other_fields_that_are_not_ascii(name: str) -> None:
    data = request(add=[(name, "a\xe9")])
    assert windsock_handshake(data) == 400
    with pytest.raises(UnicodeError):
        bare_handshake(data)


def test_a_window_that_is_no_number() -> None:
    data = request(
        add=[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=abc")]
    )
    assert windsock_handshake(data) == 101  # the offer is declined
    with pytest.raises(ValueError, match="invalid literal"):
        bare_handshake(data)


@pytest.mark.parametrize(
    "data",
    [
        request(line="GET / HTTP/1.0"),
        request(("Sec-WebSocket-Key", "short")),
        request(("Sec-WebSocket-Key", base64.b64encode(bytes(15)).decode())),
        request(add=[("Sec-WebSocket-Key", KEY)]),
    ],
    ids=["HTTP/1.0", "short key", "15 bytes", "two keys"],
)
def test_handshakes_to_be_refused(data: bytes) -> None:
    def check(handshake: Handshake) -> None:
        assert handshake(data) == 400

    check(windsock_handshake)
    with fault():
        check(bare_handshake)


def test_two_offers_do_not_mix() -> None:
    offers = (
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=7, "
        "permessage-deflate; client_no_context_takeover"
    )
    data = request(add=[("Sec-WebSocket-Extensions", offers)])
    server = ServerConnection(
        Config(compression=Deflate(server_max_window_bits=15, client_max_window_bits=15)), now=0
    )
    server.receive_data(data, 0)
    pull(server)
    server.accept(now=0)
    right = "permessage-deflate; client_no_context_takeover"
    _, headers, _ = parse_response(server.data_to_send())
    assert headers["sec-websocket-extensions"] == right

    bare = WSConnection(ConnectionType.SERVER)
    bare.receive_data(data)
    list(bare.events())
    _, headers, _ = parse_response(bare.send(AcceptConnection(extensions=[PerMessageDeflate()])))
    with fault():
        assert headers["sec-websocket-extensions"] == right


def test_what_is_pipelined_after_the_handshake() -> None:
    data = request() + client_frame(TEXT, b"early")
    server = ServerConnection(now=0)
    server.receive_data(data, 0)
    pull(server)
    server.accept(now=0)
    assert pull(server) == ["early"]

    bare = WSConnection(ConnectionType.SERVER)
    bare.receive_data(data)
    list(bare.events())
    bare.send(AcceptConnection())
    with fault():
        assert [e.data for e in bare.events() if isinstance(e, Message)] == ["early"]


def test_a_close_frame_is_told_from_a_failure() -> None:
    def closes(data: bytes) -> Closed | None:
        server = open_server()
        server.receive_data(data, 0)
        pull(server)
        return server.closed

    polite = client_frame(CLOSE, close_payload(1002, "CLOSE with 1 byte payload"))
    wrong = client_frame(CLOSE, b"x")
    one, other = closes(polite), closes(wrong)
    assert one is not None
    assert other is not None
    assert [one.by_peer, one.clean] == [True, True]
    assert [other.by_peer, other.clean] == [False, False]

    seen = []
    for data in (polite, wrong):
        bare = BareConnection(ConnectionType.SERVER)
        bare.receive_data(data)
        seen.append(
            [(int(e.code), e.reason) for e in bare.events() if isinstance(e, CloseConnection)]
        )
    with fault():
        assert seen[0] != seen[1]
