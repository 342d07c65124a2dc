"""Time as the connection sees it: keepalive, deadlines, and writes that do not get on."""

from __future__ import annotations

import pytest

from tests.core.helpers import (
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    Pair,
    Playbook,
    close_payload,
    deciding_server,
    feed,
    frame_from,
    head,
    open_client,
    open_connection,
    open_server,
    other,
    parse_frames,
    parse_response,
    pull,
    request,
    switching,
)
from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.events import Closed, HttpRequested, Ping, Pong, Refused, RequestRefused
from windsock.core.protocol.frames import Role
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

CONFIG = Config(
    ping_interval=20,
    ping_timeout=5,
    message_timeout=60,
    open_timeout=10,
    close_timeout=7,
    write_timeout=30,
)
ENDED = Closed(1006, "", False, False)
GONE = Closed(1006, "", False, True)


def pings(connection: Connection, role: Role) -> list[bytes]:
    sent = parse_frames(connection.data_to_send(), role)
    assert all(frame.opcode == PING for frame in sent)
    return [frame.payload for frame in sent]


# Keepalive


def test_silence_is_met_with_a_ping_and_then_with_the_end(role: Role) -> None:
    book = Playbook(role, CONFIG).due(20).at(19.9).sends().at(20)
    assert len(pings(book.connection, role)) == 1
    (
        book.due(25)
        .at(24.9)
        .emits()
        .sends()
        .at(25)
        .emits(Closed(1011, "keepalive ping timeout", False, False))
        .sends(Frame(CLOSE, close_payload(1011, "keepalive ping timeout")))
        .is_now(State.DRAINING, half_close=True)
        .due(32)
        .at(32)
        .emits()
        .is_now(State.CLOSED)
        .due(None)
    )


def test_an_answered_ping(role: Role) -> None:
    book = Playbook(role, CONFIG).at(20)
    (payload,) = pings(book.connection, role)
    book.at(20.25).receives(PONG, payload).emits(Pong(payload, 0.25)).due(40.25)


@pytest.mark.parametrize("data", [b"\x81", b"\x89\x00"])
def test_any_byte_is_a_sign_of_life(data: bytes) -> None:
    book = Playbook(Role.CLIENT, CONFIG).at(20)
    pings(book.connection, Role.CLIENT)
    book.at(24).receives_bytes(data).due(44)


def test_pings_of_the_user(role: Role) -> None:
    book = Playbook(role, CONFIG)
    connection = book.connection
    assert connection.ping(b"mine", 1) == b"mine"
    made_up = connection.ping(None, 2)
    assert pings(connection, role) == [b"mine", made_up]
    assert connection.awaits_pong(b"mine")
    with pytest.raises(LocalProtocolError, match="still unanswered"):
        connection.ping(b"mine", 2)
    book.at(3).receives(PONG, made_up).emits(Pong(made_up, 1))
    assert not connection.awaits_pong(b"mine")  # §5.5.3: the newest answer is enough
    book.receives(PONG, b"never asked for").emits(Pong(b"never asked for", None))
    connection.ping(b"", 3)
    book.sends(Frame(PING, b""))


@pytest.mark.parametrize("payload", [bytes(126), "text", bytearray(1), 5])
def test_payloads_that_cannot_be_sent(role: Role, payload: bytes) -> None:
    connection = open_connection(role)
    with pytest.raises(LocalProtocolError, match="at most 125"):
        connection.ping(payload, 0)
    with pytest.raises(LocalProtocolError, match="at most 125"):
        connection.pong(payload)
    assert connection.data_to_send() == b""
    connection.ping(bytes(125), 0)
    connection.pong(bytes(125))


@pytest.mark.parametrize("payload", ["", 0, [], ()])
def test_falsy_payloads_that_cannot_be_sent(role: Role, payload: bytes) -> None:
    connection = open_connection(role)
    with pytest.raises(LocalProtocolError, match="at most 125"):
        connection.ping(payload, 0)
    assert not connection.awaits_pong(b"")


def test_silence_while_reading_is_paused_is_not_the_peers_fault(role: Role) -> None:
    book = Playbook(role, CONFIG)
    book.connection.pause_reading()
    book.at(20)
    assert len(pings(book.connection, role)) == 1  # a dead peer is still found by writing
    book.at(25).emits().is_now(State.OPEN).due(45).at(30)
    book.connection.resume_reading(30)
    book.due(50)
    book.connection.resume_reading(40)  # not paused: nothing to resume
    book.due(50)


# Messages that take long


def test_a_message_has_a_deadline_from_its_first_byte(role: Role) -> None:
    config = Config(ping_interval=1000, message_timeout=60, close_timeout=7)
    book = Playbook(role, config)
    book.at(5).receives(TEXT, b"a", fin=False).emits().due(65)
    book.at(40).receives(CONT, b"b", fin=False).receives(PING).emits(Ping(b"")).due(65)
    book.sends(Frame(PONG))
    (
        book.at(65)
        .emits(Closed(1008, "message took too long", False, False))
        .sends(Frame(CLOSE, close_payload(1008, "message took too long")))
    )


def test_each_message_has_its_own_deadline(role: Role) -> None:
    config = Config(ping_interval=1000, message_timeout=60)
    book = Playbook(role, config)
    book.at(5).receives(TEXT, b"a", fin=False).emits().due(65)
    book.at(50).receives(CONT, b"b").receives(TEXT, b"c", fin=False).emits("ab").due(110)
    book.at(60).receives(CONT).emits("c").due(1060)


def test_a_frame_in_part_is_a_message_in_part(role: Role) -> None:
    config = Config(ping_interval=1000, message_timeout=60)
    whole = frame_from(other(role), TEXT, b"abc")
    book = Playbook(role, config)
    book.at(5).receives_bytes(whole[:-1]).emits().due(65)
    book.at(6).receives_bytes(whole[-1:]).emits("abc").due(1006)


def test_a_message_may_wait_while_reading_is_paused(role: Role) -> None:
    config = Config(ping_interval=1000, message_timeout=60)
    book = Playbook(role, config)
    book.at(5).receives(TEXT, b"a", fin=False).emits()
    book.connection.pause_reading()
    book.due(1005).at(100).emits()
    book.connection.resume_reading(100)
    book.due(160)


# The opening handshake


def test_a_request_that_does_not_come() -> None:
    server = ServerConnection(CONFIG, now=100)
    assert server.deadline() == 110
    for second in range(9):  # one byte a second
        feed(server, [request()[second : second + 1]], 100 + second)
    server.handle_deadline(109.9)
    assert pull(server) == []
    server.handle_deadline(110)
    assert pull(server) == [RequestRefused(408, "no request within 10 s"), ENDED]
    assert parse_response(server.data_to_send())[0] == 408
    assert server.state is State.DRAINING
    assert server.deadline() == 117


def test_a_decision_that_does_not_come() -> None:
    server = deciding_server(CONFIG)
    assert server.deadline() == 10
    server.handle_deadline(10)
    message = "no decision of the application within 10 s"
    assert pull(server) == [RequestRefused(503, message), ENDED]
    assert parse_response(server.data_to_send())[0] == 503


def test_an_answer_that_does_not_come() -> None:
    client = ClientConnection("h", config=CONFIG, now=0)
    assert client.deadline() == 10
    client.handle_deadline(10)
    event, ended = pull(client)
    assert isinstance(event, Refused)
    assert event.message == "no answer within 10 s"
    assert event.status is None
    assert ended == ENDED
    assert client.state is State.CLOSED
    assert client.deadline() is None


def test_a_plain_request_has_no_deadline_but_the_writers() -> None:
    server = ServerConnection(CONFIG, now=0)
    (event,) = feed(server, [head("GET / HTTP/1.1", [("Host", "h")])])
    assert isinstance(event, HttpRequested)
    assert server.deadline() is None
    server.handle_deadline(1e9)
    assert server.state is State.RESPONDING


# The closing handshake


def test_a_close_frame_that_is_not_answered(role: Role) -> None:
    (
        Playbook(role, CONFIG)
        .at(1)
        .closes()
        .due(8)
        .at(7.9)
        .receives(TEXT, b"chatter")
        .receives(PING)
        .emits()
        .due(8)
        .at(8)
        .emits(ENDED)
        .is_now(State.CLOSED)
    )


def test_a_peer_that_closes_and_does_not_go(role: Role) -> None:
    (
        Playbook(role, CONFIG)
        .at(1)
        .receives(CLOSE)
        .emits(Closed(1005, "", True, True))
        .due(8)
        .at(7.9)
        .receives(TEXT, b"chatter")
        .emits()
        .at(8)
        .emits()
        .is_now(State.CLOSED)
    )


def test_the_deadline_of_closing_runs_from_the_first_close_frame(role: Role) -> None:
    book = Playbook(role, CONFIG).at(1).closes().at(5).receives(CLOSE)
    book.emits(Closed(1000, "", True, False)).due(8)


# Writing


def test_a_peer_that_takes_nothing(role: Role) -> None:
    book = Playbook(role, CONFIG).sends_text("x" * 1000)
    size = len(book.connection.data_to_send())
    for now in (20, 24, 28, 29.9):  # whatever it sends meanwhile
        book.at(now).kernel_holds(size) if now > 20 else book.kernel_holds(size)
        book.receives(PONG).emits(Pong(b"", None))
    book.at(30).emits(GONE).is_now(State.CLOSED).sends()


def test_a_peer_that_takes_little_but_takes_it(role: Role) -> None:
    book = Playbook(role, CONFIG).sends_text("x" * 1000)
    size = len(book.connection.data_to_send())
    book.kernel_holds(size)
    for step in range(1, 10):
        book.now = step * 29.0
        book.receives(PONG).emits(Pong(b"", None)).kernel_holds(size - step)
        book.at(step * 29.0)
        assert book.connection.deadline() == step * 29.0 + 20  # the keepalive's
    book.kernel_holds(0).is_now(State.OPEN)


def test_more_output_is_no_progress(role: Role) -> None:
    config = Config(write_timeout=30, ping_interval=1000)
    book = Playbook(role, config).sends_text("x" * 1000)
    size = len(book.connection.data_to_send())
    book.kernel_holds(size).due(30)
    book.now = 20
    book.sends_text("y")
    size += len(book.connection.data_to_send())
    book.kernel_holds(size).due(30)
    assert book.connection.backlog == size
    book.now = 25
    book.kernel_holds(size - 1).due(55)
    book.kernel_holds(0).due(1000)
    assert book.connection.backlog == 0


def test_one_pong_is_owed_while_nothing_can_be_written(role: Role) -> None:
    """§5.5.3: for the newest Ping."""
    book = Playbook(role).sends_text("x")
    size = len(book.connection.data_to_send())
    book.kernel_holds(size)
    for i in range(1000):
        book.receives(PING, b"%d" % i).emits(Ping(b"%d" % i))
    assert book.connection.backlog == size
    book.sends().kernel_holds(0).sends(Frame(PONG, b"999")).kernel_holds(0).sends()


def test_pongs_wait_when_much_waits_already(role: Role) -> None:
    config = Config(write_high_water=1000)
    book = Playbook(role, config)
    flood = frame_from(other(role), PING, bytes(100)) * 10_000
    book.connection.receive_data(flood, 0)
    assert len(pull(book.connection)) == 10_000
    assert book.connection.pending_output < 1200
    sent = parse_frames(book.connection.data_to_send(), role)
    assert 5 < len(sent) < 12
    book.kernel_holds(0).sends(Frame(PONG, bytes(100))).kernel_holds(0).sends()


def test_an_owed_pong_is_not_sent_after_a_close_frame(role: Role) -> None:
    book = Playbook(role).sends_text("x")
    size = len(book.connection.data_to_send())
    book.kernel_holds(size).receives(PING, b"p").emits(Ping(b"p")).closes()
    book.sends(Frame(CLOSE, close_payload(1000))).kernel_holds(0).sends()


def responding() -> ServerConnection:
    server = ServerConnection(CONFIG, now=0)
    feed(server, [head("GET / HTTP/1.1", [("Host", "h")])])
    return server


def test_a_response_may_take_longer_than_closing() -> None:
    server = responding()
    server.respond(body=bytes(1000), now=0)
    pull(server)
    assert server.deadline() == 7
    size = len(server.data_to_send())
    for step in range(10):
        now = step * 20
        server.unsent(size - 50 * step, now)
        server.handle_deadline(now)
        assert server.deadline() == now + 30
    server.unsent(0, 200)
    assert server.state is State.DRAINING
    assert server.half_close
    assert server.deadline() == 207
    server.unsent(0, 201)
    assert server.deadline() == 207
    server.handle_deadline(207)
    assert server.state is State.CLOSED  # type: ignore[comparison-overlap]  # it moved on


def test_a_response_that_nobody_reads() -> None:
    server = responding()
    server.respond(body=bytes(1000), now=0)
    pull(server)
    server.unsent(len(server.data_to_send()), 0)
    server.handle_deadline(30)
    assert server.state is State.CLOSED
    assert pull(server) == []


# Close before the WebSocket is open


def test_close_before_a_request() -> None:
    server = ServerConnection(now=0)
    server.close(1001, "", 0)
    assert server.data_to_send() == b""
    assert pull(server) == [ENDED]
    assert server.state is State.CLOSED


@pytest.mark.parametrize(("server", "status"), [(deciding_server(), 403), (responding(), 503)])
def test_close_instead_of_an_answer(server: ServerConnection, status: int) -> None:
    server.close(1001, "", 0)
    assert parse_response(server.data_to_send())[0] == status
    assert pull(server) == [ENDED]
    assert server.state is State.DRAINING


def test_close_before_an_answer() -> None:
    client = ClientConnection("h", now=0)
    client.close(1001, "", 0)
    assert pull(client) == [ENDED]
    assert client.state is State.CLOSED
    feed(client, [switching(client)])
    assert client.state is State.CLOSED


def test_clocks_may_start_anywhere(pair: Pair) -> None:
    for make in (open_server, open_client):
        connection = make(CONFIG, now=1e9)
        assert connection.deadline() == 1e9 + 20
