"""Other limits and timeouts for one connection, before the application accepts."""

from __future__ import annotations

import pytest

from tests.core.helpers import TEXT, deciding_server, frame_from, parse_response, pull, request
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.errors import Disconnected, LocalProtocolError
from windsock.core.protocol.events import Closed
from windsock.core.protocol.frames import Role
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State


def test_a_smaller_message_limit() -> None:
    server = deciding_server()
    server.configure(Config(max_message_size=4))
    server.accept(now=0.0)
    server.receive_data(frame_from(Role.CLIENT, TEXT, b"1234"), 0.0)
    server.receive_data(frame_from(Role.CLIENT, TEXT, b"12345"), 0.0)
    message, closed = pull(server)
    assert message == "1234"
    assert isinstance(closed, Closed)
    assert closed.code == 1009


def test_another_ping_interval() -> None:
    server = deciding_server()
    server.configure(Config(ping_interval=3))
    server.accept(now=1.0)
    assert server.deadline() == 4.0


@pytest.mark.parametrize("before", [None, Deflate()])
@pytest.mark.parametrize("after", [None, Deflate()])
def test_compression_is_agreed_on_when_it_is_accepted(
    before: Deflate | None, after: Deflate | None
) -> None:
    server = ServerConnection(Config(compression=before), now=0.0)
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    server.receive_data(request(add=[offer]), 0.0)
    pull(server)
    server.configure(Config(compression=after))
    server.accept(now=0.0)
    _, headers, _ = parse_response(server.data_to_send())
    assert ("sec-websocket-extensions" in headers) is (after is not None)


def test_not_once_it_is_decided() -> None:
    server = deciding_server()
    server.accept(now=0.0)
    with pytest.raises(LocalProtocolError, match="open"):
        server.configure(Config())


def test_not_once_the_client_has_gone() -> None:
    server = deciding_server()
    server.receive_data(b"", 0.0)
    pull(server)
    assert server.state is not State.DECIDING
    with pytest.raises(Disconnected):
        server.configure(Config())
