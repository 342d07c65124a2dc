"""The states of a connection and every way from one to another.

The rules, in prose:

* A server's connection begins at AWAITING_REQUEST. A valid opening handshake leaves it DECIDING:
  the application accepts or rejects. A plain HTTP request leaves it RESPONDING. A bad request is
  answered by the connection itself. Whatever HTTP response is sent, it is the last thing sent.
* A client's connection begins at AWAITING_RESPONSE and leaves it for OPEN, or for CLOSED.
* In OPEN both sides send messages. Our Close frame leads to CLOSING: the peer's messages are now
  discarded and its Close frame awaited (RFC 6455 §7.1.2). The peer's Close frame is answered at
  once and leads to DRAINING (§5.5.1), and so does failing the connection (§7.1.7).
* In DRAINING nothing more will be sent. What the peer still sends is read and discarded, so that
  TCP does not destroy what we sent last (§7.1.1), until it ends or the deadline comes.
* In CLOSED nothing is left to do but to close the socket.

Anything that is not in the table is a programming error.
"""

from __future__ import annotations

import enum
from typing import Final

from .errors import LocalProtocolError


class State(enum.Enum):
    """Where a connection stands."""

    __hash__ = object.__hash__  # Enum's is written in Python, and the tables ask for many

    AWAITING_REQUEST = "awaiting request"
    DECIDING = "deciding"
    RESPONDING = "responding"
    AWAITING_RESPONSE = "awaiting response"
    OPEN = "open"
    CLOSING = "closing"
    DRAINING = "draining"
    CLOSED = "closed"


class Input(enum.Enum):
    """What can happen to a connection: the user's commands, the peer, time, the transport."""

    __hash__ = object.__hash__  # as above

    ACCEPT = "accept"
    REJECT = "reject"
    RESPOND = "respond"
    SEND = "send"
    PING = "ping"
    PONG = "pong"
    CLOSE = "close"

    HANDSHAKE_REQUEST = "handshake request received"
    HTTP_REQUEST = "HTTP request received"
    BAD_REQUEST = "bad request received"
    SWITCHING_PROTOCOLS = "101 received"
    REFUSAL = "refusal received"
    CLOSE_FRAME = "Close frame received"
    VIOLATION = "violation received"
    EOF = "end of stream received"

    TIMEOUT = "deadline passed"
    WRITE_FAILED = "write failed"


COMMANDS: Final = frozenset(
    {Input.ACCEPT, Input.REJECT, Input.RESPOND, Input.SEND, Input.PING, Input.PONG, Input.CLOSE}
)

Table = dict[State, dict[Input, State]]

_FROM_OPEN: Final[Table] = {
    State.OPEN: {
        Input.SEND: State.OPEN,
        Input.PING: State.OPEN,
        Input.PONG: State.OPEN,
        Input.CLOSE: State.CLOSING,
        Input.CLOSE_FRAME: State.DRAINING,
        Input.VIOLATION: State.DRAINING,
        Input.TIMEOUT: State.DRAINING,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    State.CLOSING: {
        Input.CLOSE: State.CLOSING,
        Input.CLOSE_FRAME: State.DRAINING,
        Input.VIOLATION: State.DRAINING,
        Input.TIMEOUT: State.CLOSED,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    State.DRAINING: {
        Input.CLOSE: State.DRAINING,
        Input.TIMEOUT: State.CLOSED,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    State.CLOSED: {
        Input.CLOSE: State.CLOSED,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
}

SERVER: Final[Table] = {
    State.AWAITING_REQUEST: {
        Input.HANDSHAKE_REQUEST: State.DECIDING,
        Input.HTTP_REQUEST: State.RESPONDING,
        Input.BAD_REQUEST: State.DRAINING,
        Input.TIMEOUT: State.DRAINING,
        Input.CLOSE: State.CLOSED,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    State.DECIDING: {
        Input.ACCEPT: State.OPEN,
        Input.REJECT: State.DRAINING,
        Input.CLOSE: State.DRAINING,
        Input.TIMEOUT: State.DRAINING,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    State.RESPONDING: {
        Input.RESPOND: State.DRAINING,
        Input.CLOSE: State.DRAINING,
        # A client may half-close after its request and still read the response.
        Input.EOF: State.RESPONDING,
        Input.WRITE_FAILED: State.CLOSED,
    },
    **_FROM_OPEN,
}

CLIENT: Final[Table] = {
    State.AWAITING_RESPONSE: {
        Input.SWITCHING_PROTOCOLS: State.OPEN,
        Input.REFUSAL: State.CLOSED,
        Input.CLOSE: State.CLOSED,
        Input.TIMEOUT: State.CLOSED,
        Input.EOF: State.CLOSED,
        Input.WRITE_FAILED: State.CLOSED,
    },
    **_FROM_OPEN,
}


def transition(table: Table, state: State, given: Input) -> State:
    """The state that `given` leads to.

    Raises:
        LocalProtocolError: `given` is not allowed in `state`; the message names both and what is.
    """
    try:
        return table[state][given]
    except KeyError:
        allowed = [i.value for i in table[state] if i in COMMANDS]
        raise LocalProtocolError(
            f"cannot {given.value} while the connection is {state.value}; "
            f"allowed now: {', '.join(allowed)}"
        ) from None
