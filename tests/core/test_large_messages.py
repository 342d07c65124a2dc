"""Large messages, received into the memory that they stay in, and sent without being copied."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.helpers import (
    BINARY,
    PING,
    TEXT,
    close_payload,
    feed,
    frame_from,
    open_client,
    open_connection,
    open_server,
    other,
    parse_frames,
    pull,
)
from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.events import Closed, Event, Ping
from windsock.core.protocol.frames import Role
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

ROLES = st.sampled_from(Role)
LARGE = 300_000


@pytest.fixture(params=Role, ids=lambda role: role.name.lower())
def role(request: pytest.FixtureRequest) -> Role:
    found: Role = request.param
    return found


def some_bytes(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


# Receiving


def feed_by_room(connection: Connection, data: bytes, sizes: Iterator[int]) -> list[Event]:
    """As `feed`, in reads of at most `sizes`, by the room there is."""
    events = []
    rest = memoryview(data)
    while rest:
        size = next(sizes)
        room = connection.room()
        if room is None:
            connection.receive_data(bytes(rest[:size]), 0.0)
        else:
            with room:
                size = min(size, len(room), len(rest))
                room[:size] = rest[:size]
            connection.received(size, 0.0)
        rest = rest[size:]
        events += pull(connection)
    return events


FRAMES = st.lists(
    st.tuples(
        st.sampled_from([BINARY, BINARY, TEXT, PING]),
        st.sampled_from([5, 125, 70_000, 140_000, LARGE]),
    ),
    max_size=4,
)
READS = st.lists(st.sampled_from([1, 3, 5000, 100_000, 1 << 20]), min_size=1, max_size=4)


@given(ROLES, FRAMES, READS)
def test_the_same_by_room_as_without(
    role: Role, frames: list[tuple[int, int]], reads: list[int]
) -> None:
    data = b"".join(
        frame_from(
            other(role),
            opcode,
            bytes(size % 125)
            if opcode == PING
            else b"x" * size
            if opcode == TEXT
            else some_bytes(size),
        )
        for opcode, size in frames
    )
    # One byte at a time would take long: only the first reads are as small as that.
    sizes = itertools.chain(reads, itertools.repeat(60_000))
    by_room = feed_by_room(open_connection(role), data, sizes)
    assert by_room == feed(open_connection(role), [data] if data else [])


def begun(role: Role, size: int = LARGE, *, opcode: int = BINARY, came: int = 10_000) -> Connection:
    """A connection that has the beginning of a message."""
    connection = open_connection(role)
    assert feed(connection, [frame_from(other(role), opcode, bytes(size))[:came]]) == []
    return connection


def test_room_is_for_the_rest_of_a_large_binary_message(role: Role) -> None:
    for none in (
        open_connection(role),
        begun(role, 70_000),
        begun(role, came=1000),
        begun(role, opcode=TEXT),
    ):
        assert none.room() is None
    room = begun(role).room()
    assert room is not None
    assert len(room) >= 60_000


def test_there_is_none_before_the_handshake() -> None:
    connection = ServerConnection(now=0.0)
    assert connection.room() is None
    connection.received(1, 0.0)
    assert connection.state is State.AWAITING_REQUEST


def test_what_was_not_looked_at_yet_comes_first(role: Role) -> None:
    connection = begun(role)
    connection.receive_data(b"more", 0.0)
    assert connection.room() is None
    assert pull(connection) == []
    assert connection.room() is not None


def test_what_comes_by_room_is_a_sign_of_life() -> None:
    config = Config(ping_interval=10, ping_timeout=5, message_timeout=1000)
    server = open_server(config)
    feed(server, [frame_from(Role.CLIENT, BINARY, bytes(LARGE))[:10_000]])
    server.handle_deadline(10.0)
    (ping,) = parse_frames(server.data_to_send(), Role.SERVER)
    assert ping.opcode == PING
    assert server.deadline() == 15
    room = server.room()
    assert room is not None
    room.release()
    server.received(1, 11.0)
    assert server.deadline_moved
    assert server.deadline() == 21
    server.handle_deadline(15.0)
    assert server.state is State.OPEN


def test_the_end_may_come_before_that_of_the_message(role: Role) -> None:
    connection = begun(role)
    room = connection.room()
    assert room is not None
    connection.write_failed(1.0)
    assert [type(event) for event in pull(connection)] == [Closed]
    room.release()
    connection.received(1, 2.0)
    assert pull(connection) == []


def test_a_message_that_crosses_our_close_frame_is_discarded(role: Role) -> None:
    connection = begun(role)
    connection.close(1000, "", 0.0)
    rest = frame_from(other(role), BINARY, bytes(LARGE))[10_000:]
    close = frame_from(other(role), 8, close_payload(1000))
    (closed,) = feed_by_room(connection, rest + close, itertools.repeat(1 << 20))
    assert isinstance(closed, Closed)
    assert closed.clean


# Sending


def pieces(connection: Connection) -> list[bytes | memoryview]:
    found = []
    while connection.pending_output:
        before = connection.backlog
        piece = connection.piece_to_send()
        found.append(piece)
        connection.unsent(0, 0.0)
        assert connection.backlog == before - len(piece)
    assert connection.piece_to_send() == b""
    return found


@pytest.mark.parametrize("message", [some_bytes(LARGE), "aé" * LARGE])
def test_a_large_payload_is_a_piece_of_its_own(message: str | bytes) -> None:
    server, client = open_server(), open_client()
    before = server.pending_output
    backlog = server.send(message)
    assert backlog == server.pending_output == server.backlog
    size = len(message if isinstance(message, bytes) else message.encode())
    assert backlog == before + 10 + size
    beginning, rest = pieces(server)
    assert len(beginning) < 20_000
    if isinstance(message, bytes):
        assert isinstance(rest, memoryview)
        assert rest.obj is message
    assert feed(client, [bytes(beginning), bytes(rest)]) == [message]


SMALL, TALL = b"small", some_bytes(LARGE)


@given(ROLES, st.lists(st.sampled_from([SMALL, TALL, None]), max_size=8), st.booleans())
def test_pieces_are_all_there_is_to_send(
    role: Role, messages: list[bytes | None], joined: bool
) -> None:
    connection, peer = open_connection(role), open_connection(other(role))
    for message in messages:
        if message is None:
            connection.ping(None, 0.0)
        else:
            connection.send(message)
    if joined:
        sent: list[bytes] = [connection.data_to_send()]
        assert connection.pending_output == 0
        assert connection.piece_to_send() == b""
    else:
        sent = [bytes(piece) for piece in pieces(connection)]
    events = feed(peer, filter(None, sent))
    assert [None if isinstance(event, Ping) else event for event in events] == messages


def test_small_messages_are_one_piece() -> None:
    server = open_server()
    for _ in range(100):
        server.send(b"small")
    assert len(pieces(server)) == 1


def test_pieces_after_it_has_failed() -> None:
    server = open_server()
    server.send(TALL)
    server.piece_to_send()
    server.write_failed(0.0)
    assert server.piece_to_send() == b""
    assert server.backlog == 0


def test_large_text_that_is_not_encodable() -> None:
    server = open_server()
    with pytest.raises(LocalProtocolError, match="not encodable as UTF-8"):
        server.send("a" * LARGE + "\ud800")
    assert server.backlog == 0
