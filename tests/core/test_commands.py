"""Every command in every state of both roles: what the table allows, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.helpers import (
    CLOSE,
    Playbook,
    deciding_server,
    feed,
    frame_from,
    head,
    open_connection,
    other,
    pull,
)
from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.errors import Disconnected, LocalProtocolError
from windsock.core.protocol.events import NEED_DATA, PAUSED
from windsock.core.protocol.frames import Role
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import CLIENT, COMMANDS, SERVER, Input, State

COMMAND: dict[Input, Callable[[Any], object]] = {
    Input.ACCEPT: lambda c: c.accept(now=0),
    Input.REJECT: lambda c: c.reject(now=0),
    Input.RESPOND: lambda c: c.respond(now=0),
    Input.SEND: lambda c: c.send("x"),
    Input.PING: lambda c: c.ping(None, 0),
    Input.PONG: lambda c: c.pong(b""),
    Input.CLOSE: lambda c: c.close(1000, "", 0),
}


def responding() -> ServerConnection:
    server = ServerConnection(now=0)
    feed(server, [head("GET / HTTP/1.1", [("Host", "h")])])
    return server


def closing(role: Role) -> Connection:
    connection = open_connection(role)
    connection.close(1000, "", 0)
    return connection


def draining(role: Role) -> Connection:
    connection = open_connection(role)
    feed(connection, [frame_from(other(role), CLOSE)])
    return connection


def closed(role: Role) -> Connection:
    connection = open_connection(role)
    feed(connection, [b""])
    return connection


MAKE: dict[tuple[Role, State], Callable[[], Connection]] = {
    (Role.SERVER, State.AWAITING_REQUEST): lambda: ServerConnection(now=0),
    (Role.SERVER, State.DECIDING): deciding_server,
    (Role.SERVER, State.RESPONDING): responding,
    (Role.CLIENT, State.AWAITING_RESPONSE): lambda: ClientConnection("h", now=0),
}
for _role in Role:
    MAKE[_role, State.OPEN] = lambda role=_role: open_connection(role)  # type: ignore[misc]
    MAKE[_role, State.CLOSING] = lambda role=_role: closing(role)  # type: ignore[misc]
    MAKE[_role, State.DRAINING] = lambda role=_role: draining(role)  # type: ignore[misc]
    MAKE[_role, State.CLOSED] = lambda role=_role: closed(role)  # type: ignore[misc]

ENDING = {State.CLOSING, State.DRAINING, State.CLOSED}


def test_no_state_is_left_out() -> None:
    assert {state for role, state in MAKE if role is Role.SERVER} == set(SERVER)
    assert {state for role, state in MAKE if role is Role.CLIENT} == set(CLIENT)
    assert set(COMMAND) == COMMANDS


@pytest.mark.parametrize("command", COMMAND, ids=lambda command: command.value)
@pytest.mark.parametrize(("role_", "state"), MAKE, ids=str)
def test_every_command_in_every_state(role_: Role, state: State, command: Input) -> None:
    connection = MAKE[role_, state]()
    assert connection.state is state
    table = SERVER if role_ is Role.SERVER else CLIENT
    if not hasattr(connection, "accept") and command.value in {"accept", "reject", "respond"}:
        assert command not in table[state]  # a client has no such command
        return
    run = COMMAND[command]
    if command in table[state]:
        run(connection)
        assert connection.state is table[state][command]
        return
    events, output = pull(connection), connection.data_to_send()
    assert events is not None
    assert output is not None
    kept = connection.closed
    with pytest.raises((LocalProtocolError, Disconnected)) as caught:
        run(connection)
    if isinstance(caught.value, LocalProtocolError):
        assert f"cannot {command.value} while the connection is {state.value}" in str(caught.value)
        for name in COMMANDS & table[state].keys():
            assert name.value in str(caught.value).split("allowed now: ")[1]
    else:
        assert state in ENDING
    assert connection.state is state
    assert connection.closed is kept
    assert connection.pending_output == 0
    assert pull(connection) == []


def test_what_pauses(role: Role) -> None:
    paused = {State.DECIDING, State.RESPONDING}
    for (owner, state), make in MAKE.items():
        if owner is role:
            connection = make()
            pull(connection)
            assert connection.next_event() is (PAUSED if state in paused else NEED_DATA)


@pytest.mark.parametrize("message", [None, 5, 1.5, ["a"], {"a": 1}, object()])
def test_messages_of_other_types(role: Role, message: Any) -> None:
    book = Playbook(role)
    with pytest.raises(TypeError, match="a message is str or bytes-like"):
        book.connection.send(message)
    book.emits().sends().is_now(State.OPEN)


@pytest.mark.parametrize("message", [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_anything_bytes_like_is_a_binary_message(role: Role, message: bytes) -> None:
    connection = open_connection(role)
    connection.send(message)
    peer = open_connection(other(role))
    assert feed(peer, [connection.data_to_send()]) == [b"abc"]


def test_text_that_is_not_encodable(role: Role) -> None:
    book = Playbook(role)
    with pytest.raises(LocalProtocolError, match="not encodable as UTF-8"):
        book.connection.send("a\ud800")
    book.emits().sends().is_now(State.OPEN)


def test_output_in_one_piece(role: Role) -> None:
    connection = open_connection(role)
    assert connection.data_to_send() == b""
    for text in ("a", "b"):
        connection.send(text)
    pending = connection.pending_output
    data = connection.data_to_send()
    assert len(data) == pending
    assert connection.pending_output == 0
    assert connection.data_to_send() == b""
    peer = open_connection(other(role))
    assert feed(peer, [data]) == ["a", "b"]
