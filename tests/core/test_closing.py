"""The closing handshake in every order, told as transcripts (RFC 6455 §7)."""

from __future__ import annotations

from functools import partial

import pytest

from tests.core.helpers import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    Pair,
    Playbook,
    close_payload,
    feed,
    frame_from,
    open_connection,
    other,
    parse_frames,
    pull,
)
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.errors import Disconnected, LocalProtocolError, RemoteProtocolError
from windsock.core.protocol.events import NEED_DATA, Closed, Ping, Pong
from windsock.core.protocol.frames import Role
from windsock.core.protocol.state import State

BYE = close_payload(1000, "bye")
GONE = Closed(1006, "", False, True)


def ends_half_closed(role: Role) -> bool:
    """§7.1.1: the server ends TCP first, so only it shuts its side down after a clean close."""
    return role is Role.SERVER


def test_the_peer_closes(role: Role) -> None:
    (
        Playbook(role)
        .receives(CLOSE, BYE)
        .emits(Closed(1000, "bye", True, True))
        .sends(Frame(CLOSE, BYE))
        .is_now(State.DRAINING, half_close=ends_half_closed(role))
        .eof()
        .emits()
        .sends()
        .is_now(State.CLOSED)
    )


def test_we_close(role: Role) -> None:
    (
        Playbook(role)
        .closes(1000, "bye")
        .is_now(State.CLOSING)
        .emits()
        .sends(Frame(CLOSE, BYE))
        .receives(CLOSE, close_payload(1001, "me too"))
        .emits(Closed(1000, "bye", True, False))
        .sends()
        .is_now(State.DRAINING, half_close=ends_half_closed(role))
        .eof()
        .emits()
        .is_now(State.CLOSED)
    )


def test_both_close_at_once(pair: Pair) -> None:
    pair.client.close(1000, "client", 0)
    pair.server.close(1001, "server", 0)
    assert pair.to_server() == [Closed(1001, "server", True, False)]
    assert pair.to_client() == [Closed(1000, "client", True, False)]
    assert pair.to_server() == pair.to_client() == []
    assert [pair.client.half_close, pair.server.half_close] == [False, True]


@pytest.mark.parametrize("payload", [b"", close_payload(1000), close_payload(4999, "é" * 61)])
def test_a_close_frame_is_answered_with_its_own_code(role: Role, payload: bytes) -> None:
    """§5.5.1."""
    code, reason = 1005, ""
    if payload:
        code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
    (
        Playbook(role)
        .receives(CLOSE, payload)
        .emits(Closed(code, reason, True, True))
        .sends(Frame(CLOSE, payload))
    )


def test_data_after_the_peers_close_frame_is_not_looked_at(role: Role) -> None:
    (
        Playbook(role)
        .receives(CLOSE, BYE)
        .receives(TEXT, b"late")
        .receives(3, b"wrong")
        .receives(CLOSE, BYE)
        .emits(Closed(1000, "bye", True, True))
        .sends(Frame(CLOSE, BYE))
        .receives(TEXT, b"later")
        .receives_bytes(b"\xff" * 1000)
        .emits()
        .sends()
        .is_now(State.DRAINING, half_close=ends_half_closed(role))
    )


def test_messages_that_cross_our_close_frame_are_discarded(role: Role) -> None:
    (
        Playbook(role)
        .receives(TEXT, b"before")
        .emits("before")
        .closes()
        .sends(Frame(CLOSE, close_payload(1000)))
        .receives(TEXT, b"cro", fin=False)
        .receives(PING, b"p")
        .receives(CONT, b"ssing")
        .receives(BINARY, b"too")
        .emits()
        .sends()
        .is_now(State.CLOSING)
        .receives(CLOSE)
        .emits(Closed(1000, "", True, False))
        .is_now(State.DRAINING, half_close=ends_half_closed(role))
    )


def test_pongs_that_cross_our_close_frame_still_tell_the_latency(role: Role) -> None:
    book = Playbook(role)
    payload = book.connection.ping(b"p", 0)
    (
        book.closes()
        .sends(Frame(PING, payload), Frame(CLOSE, close_payload(1000)))
        .at(0.5)
        .receives(PONG, payload)
        .emits(Pong(payload, 0.5))
    )


def test_what_was_sent_before_closing_goes_out_first(role: Role) -> None:
    (
        Playbook(role)
        .sends_text("a")
        .closes()
        .sends(Frame(TEXT, b"a"), Frame(CLOSE, close_payload(1000)))
    )


def test_closing_twice_is_no_error(role: Role) -> None:
    (
        Playbook(role)
        .closes(1000)
        .closes(1001)
        .sends(Frame(CLOSE, close_payload(1000)))
        .receives(CLOSE)
        .closes(1002)
        .emits(Closed(1000, "", True, False))
        .sends()
        .eof()
        .emits()
        .closes(1003)
        .sends()
        .is_now(State.CLOSED)
    )


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536])
def test_codes_that_must_not_be_sent_change_nothing(role: Role, code: int) -> None:
    book = Playbook(role)
    with pytest.raises(LocalProtocolError, match="must not be sent"):
        book.closes(code)
    book.emits().sends().is_now(State.OPEN).closes(1000).is_now(State.CLOSING)


# The connection ends


def test_the_end_of_the_stream_without_a_close_frame(role: Role) -> None:
    Playbook(role).eof().emits(GONE).sends().is_now(State.CLOSED).eof().emits().due(None)


def test_the_end_of_the_stream_while_we_wait_for_a_close_frame(role: Role) -> None:
    (
        Playbook(role)
        .closes()
        .eof()
        .emits(Closed(1006, "", False, False))
        .is_now(State.CLOSED)
        .sends(Frame(CLOSE, close_payload(1000)))
    )


def test_data_and_the_end_of_the_stream_in_one_read(role: Role) -> None:
    (
        Playbook(role)
        .receives(TEXT, b"a")
        .receives(CLOSE, BYE)
        .eof()
        .emits("a", Closed(1000, "bye", True, True))
        .is_now(State.DRAINING, half_close=ends_half_closed(role))  # our answer is still to go
        .sends(Frame(CLOSE, BYE))
        .kernel_holds(0)
        .is_now(State.CLOSED)
    )


def test_what_comes_after_the_end_of_the_stream_is_ignored(role: Role) -> None:
    Playbook(role).eof().receives(TEXT, b"ghost").eof().emits(GONE).receives(TEXT).emits()


def a_session(role: Role) -> bytes:
    sender = other(role)
    return b"".join(
        [
            frame_from(sender, TEXT, b"abc"),
            frame_from(sender, BINARY, bytes(200)),
            frame_from(sender, TEXT, b"d", fin=False),
            frame_from(sender, PING, b"p"),
            frame_from(sender, CONT, b"e"),
            frame_from(sender, CLOSE, BYE),
        ]
    )


ALL = ["abc", bytes(200), Ping(b"p"), "de", Closed(1000, "bye", True, True)]


@pytest.mark.parametrize("torn", [False, True])
def test_the_connection_ends_at_every_byte_of_a_session(role: Role, torn: bool) -> None:
    """By EOF, or by a reset: it ends exactly once, and what was whole was delivered."""
    data = a_session(role)
    for size in range(len(data) + 1):
        connection = open_connection(role)
        events = feed(connection, [data[:size]] if size else [])
        if torn:
            connection.write_failed(0)
        else:
            connection.receive_data(b"", 0)
        events += pull(connection)
        connection.data_to_send()
        connection.unsent(0, 0)
        assert connection.state is State.CLOSED
        if size == len(data):
            assert events == ALL
        else:
            assert events[-1] == GONE
            assert events[:-1] == ALL[: len(events) - 1]
        assert connection.next_event() is NEED_DATA
        with pytest.raises(Disconnected) as caught:
            connection.send("a")
        assert caught.value.clean is (size == len(data))


def test_a_failed_write_is_the_end(role: Role) -> None:
    (
        Playbook(role)
        .sends_text("lost")
        .write_fails()
        .sends()
        .emits(GONE)
        .is_now(State.CLOSED)
        .write_fails()
        .receives(TEXT, b"late")
        .emits()
        .due(None)
    )


def test_a_failed_write_while_we_wait_for_a_close_frame(role: Role) -> None:
    (
        Playbook(role)
        .closes()
        .write_fails()
        .emits(Closed(1006, "", False, False))
        .is_now(State.CLOSED)
    )


# The connection is failed (§7.1.7)


def test_a_violation(role: Role) -> None:
    reason = "text that is not UTF-8"
    (
        Playbook(role)
        .receives(TEXT, b"ok")
        .receives(TEXT, b"\xff")
        .receives(TEXT, b"late")
        .emits("ok", Closed(1007, reason, False, False))
        .sends(Frame(CLOSE, close_payload(1007, reason)))
        .is_now(State.DRAINING, half_close=True)
        .receives(CLOSE, close_payload(1007))
        .emits()
        .eof()
        .emits()
        .is_now(State.CLOSED)
    )


def test_a_violation_while_we_wait_for_a_close_frame(role: Role) -> None:
    """Our Close frame was the last that we send."""
    (
        Playbook(role)
        .closes(1000)
        .sends(Frame(CLOSE, close_payload(1000)))
        .receives(TEXT, b"\xff")
        .emits(Closed(1007, "text that is not UTF-8", False, False))
        .sends()
        .is_now(State.DRAINING, half_close=True)
    )


def test_a_bad_close_frame_in_answer_to_ours(role: Role) -> None:
    (
        Playbook(role)
        .closes(1000)
        .sends(Frame(CLOSE, close_payload(1000)))
        .receives(CLOSE, close_payload(1005))
        .emits(Closed(1002, "remote CLOSE with local-only reason", False, False))
        .sends()
    )


def test_masking_by_the_wrong_side(role: Role) -> None:
    connection = open_connection(role)
    (closed,) = feed(connection, [frame_from(role, TEXT, b"x")])
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (1002, False)
    (sent,) = parse_frames(connection.data_to_send(), role)
    assert sent.payload[:2] == close_payload(1002)


def test_a_message_over_the_limit(role: Role) -> None:
    (
        Playbook(role, Config(max_message_size=10))
        .receives(TEXT, b"x" * 11)
        .emits(Closed(1009, "message over 10 bytes", False, False))
        .sends(Frame(CLOSE, close_payload(1009, "message over 10 bytes")))
    )


# The end may wait until what came before it is answered


@pytest.mark.parametrize("compressed", [False, True])
def test_a_close_frame_waits_for_answers(role: Role, compressed: bool) -> None:
    """An echo of what came before it goes out before our Close frame does."""
    if compressed:
        pair = Pair(Config(compression=Deflate()))
        connection: Connection = pair.server if role is Role.SERVER else pair.client
    else:
        connection = open_connection(role)
    data = frame_from(other(role), TEXT, b"a") + frame_from(other(role), CLOSE, BYE)
    connection.receive_data(data, 0)
    assert connection.next_event(hold_end=True) == "a"
    assert connection.next_event(hold_end=True) is NEED_DATA
    assert connection.next_event(hold_end=True) is NEED_DATA
    assert connection.state is State.OPEN
    connection.receive_data(b"late" * 1000, 0)
    connection.send("a")
    connection.ping(b"", 0)
    connection.pong(b"")
    assert connection.next_event() == Closed(1000, "bye", True, True)
    sent = [frame.opcode for frame in parse_frames(connection.data_to_send(), role)]
    assert sent == [TEXT, PING, PONG, CLOSE]


def held(role: Role, config: Config | None = None, end: bytes | None = None) -> Playbook:
    book = Playbook(role, config)
    book.connection.receive_data(end or frame_from(other(role), CLOSE, BYE), 0)
    assert book.connection.next_event(hold_end=True) is NEED_DATA
    return book


def test_the_end_does_not_wait_for_long(role: Role) -> None:
    book = held(role).due(0.25).at(0.2)
    assert book.connection.next_event(hold_end=True) is NEED_DATA
    book.is_now(State.OPEN).at(0.25).is_now(State.DRAINING, half_close=role is Role.SERVER)
    assert book.connection.next_event(hold_end=True) == Closed(1000, "bye", True, True)
    book.sends(Frame(CLOSE, BYE))


def test_keepalive_goes_on_while_the_end_waits(role: Role) -> None:
    book = held(role, Config(ping_interval=0.1)).at(0.1)
    (ping,) = parse_frames(book.connection.data_to_send(), role)
    assert ping.opcode == PING


def test_a_violation_waits_as_well(role: Role) -> None:
    book = held(role, end=frame_from(other(role), TEXT, b"\xff"))
    reason = "text that is not UTF-8"
    book.sends_text("answer").emits(Closed(1007, reason, False, False))
    book.sends(Frame(TEXT, b"answer"), Frame(CLOSE, close_payload(1007, reason)))


def test_the_end_of_the_stream_behind_a_close_frame_that_waits(role: Role) -> None:
    book = held(role).eof()
    assert book.connection.next_event(hold_end=True) is NEED_DATA
    book.emits(Closed(1000, "bye", True, True)).sends(Frame(CLOSE, BYE)).kernel_holds(0)
    book.is_now(State.CLOSED)


def test_a_failed_write_ends_the_waiting(role: Role) -> None:
    held(role).write_fails().emits(Closed(1000, "bye", True, True)).is_now(State.CLOSED).sends()


def test_we_close_while_the_peers_close_frame_waits(role: Role) -> None:
    (
        held(role)
        .closes(1001, "ours")
        .emits(Closed(1001, "ours", True, False))
        .sends(Frame(CLOSE, close_payload(1001, "ours")))
    )


def test_nothing_waits_once_we_have_closed(role: Role) -> None:
    book = Playbook(role).closes().receives(CLOSE, BYE)
    assert book.connection.next_event(hold_end=True) == Closed(1000, "", True, False)


# What the user is told


def test_sending_after_the_end(role: Role) -> None:
    endings = [
        (Playbook(role).closes(1001, "ours"), (1001, "ours", False)),
        (Playbook(role).closes(1001).receives(CLOSE), (1001, "", True)),
        (Playbook(role).receives(CLOSE, BYE), (1000, "bye", True)),
        (Playbook(role).receives(CLOSE), (1005, "", True)),
        (Playbook(role).eof(), (1006, "", False)),
        (Playbook(role).write_fails(), (1006, "", False)),
        (Playbook(role).receives(TEXT, b"\xff"), (1007, "text that is not UTF-8", False)),
    ]
    for book, expected in endings:
        connection = book.connection
        pull(connection)
        before = connection.state
        connection.data_to_send()
        for command in (partial(connection.send, "x"), partial(connection.pong, b"")):
            with pytest.raises(Disconnected) as caught:
                command()
            error = caught.value
            assert (error.code, error.reason, error.clean) == expected
        with pytest.raises(Disconnected):
            connection.ping(None, 0)
        assert connection.state is before
        assert connection.data_to_send() == b""


def test_disconnected_before_anything_is_known(role: Role) -> None:
    error = open_connection(role).disconnected()
    assert (error.code, error.reason, error.clean) == (1006, "", False)


def test_a_violation_is_the_cause_of_the_disconnect(pair: Pair) -> None:
    pair.server.receive_data(b"\x83\x80\0\0\0\0", 0.0)
    while not isinstance(pair.server.next_event(), Closed):
        pass
    disconnected = pair.server.disconnected()
    assert disconnected.code == 1002
    assert isinstance(disconnected.__cause__, RemoteProtocolError)
    assert disconnected.__cause__.code == 1002
    assert pair.client.disconnected().__cause__ is None
