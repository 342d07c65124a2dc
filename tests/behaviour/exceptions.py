"""What the suite asserts, and every place where a host makes something else happen.

`BEHAVIOURS` has a line for everything that is the same on every transport; each test is marked
with one of them. `EXCEPTIONS` is the only place where a host may differ: the test asserts what
happens instead, unless there is nothing to assert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

BEHAVIOURS: Final[Mapping[str, str]] = {
    # the application's decision
    "undecided": "a handler that decides nothing: 403, and a warning in the log",
    "raise-before-accept": "a handler that raises before accept: 500, and a traceback in the log",
    "raise-reject": "raising Reject before accept sends its response",
    "close-before-accept": "close() before accept: 403",
    "reject": "reject() sends status, headers and body",
    "wrong-order": "what is not allowed now raises LocalProtocolError and changes nothing",
    "subprotocol": "accept() chooses one of the subprotocols that the client offers",
    "accept-headers": "accept() puts header fields on the 101, and refuses harmful ones",
    "gone-before-accept": "a client that leaves before accept is noticed; accept raises",
    "early-data": "messages sent along with the handshake are not lost",
    "data-before-accept": "messages sent before the application has decided are not lost",
    "return-after-accept": "a handler that returns after accept: close 1000",
    "raise-after-accept": "a handler that raises after accept: close 1011, and a traceback",
    # the request
    "request": "request: method, path, query, headers, cookies, scheme, version, subprotocols",
    "header-casing": "header names keep the casing they were sent in",
    "addresses": "request.client and request.server are the two ends of the connection",
    "path-params": "placeholders of the path are decoded arguments, and ws.path_params",
    "routes": "paths lead to handlers; no route: 404",
    "state": "ws.state belongs to one connection",
    "capabilities": "ws.capabilities says what the host cannot do",
    # messages
    "messages": "messages keep their type, order and content both ways, from 0 bytes to 1 MiB",
    "typed-messages": "receive_text/bytes/json and send_text/bytes/json check types",
    "last-messages": "what was sent before a close is received before Disconnected",
    "events": "receive_event() and send_event() speak ASGI's events",
    "disconnect-event": "receive_event() tells the end with code and reason",
    "compression": "permessage-deflate where Config has it and the client offers it",
    "compression-off": "no compression unless configured",
    # the end
    "peer-closes": "the peer closes: receive() raises Disconnected with its code",
    "peer-closes-reason": "Disconnected has the peer's reason",
    "peer-closes-without-code": "a Close frame without a code is 1005",
    "close-echoed": "the peer's Close is answered with its code, then TCP ends",
    "clean": "Disconnected.clean after a closing handshake",
    "peer-vanishes": "a peer that ends the stream without a Close frame: 1006, not clean",
    "receive-default": "receive(default=...) returns the default at the end",
    "iteration": "iteration ends silently on 1000, 1001 and 1005, else raises",
    "send-after-gone": "send after the peer has gone raises Disconnected",
    "close": "close() sends code and reason; a second one does nothing",
    "close-refused": "codes and reasons that no Close frame may have are refused",
    "close-deadline": "close() waits for the peer's answer, at most Config.close_timeout",
    "close-crossing": "what crosses our Close is discarded; a waiting receive() is told",
    "async-with": "async with accepts and closes: 1000, or 1011 and the exception as it is",
    "catch-disconnect": "catch_disconnect decides which disconnects async with swallows",
    # tasks and cancellation
    "cancelled-receive": "a cancelled receive() loses nothing and duplicates nothing",
    "cancelled-send": "a cancelled send() sends the whole message or none of it",
    "cancelled-handler": "a cancelled body closes 1001; busy loops can be cancelled",
    "tasks": "several tasks can send and receive on one WebSocket",
    # liveness
    "pings-answered": "pings are answered, though the handler never reads",
    "gone-noticed": "a gone peer is noticed within a second, though the handler never reads",
    "keepalive": "a silent peer is pinged",
    "keepalive-timeout": "a peer that answers no ping is failed 1011",
    "ping": "ping() gives the seconds to the Pong; latency is measured",
    # memory
    "inbox-full": "a full inbox stops reading; everything arrives later, in order",
    "send-waits": "send() waits while the peer does not read",
    "write-deadline": "a peer that takes nothing for Config.write_timeout is given up: 1006",
    "slow-peer": "a slow peer gets everything and harms nobody",
    # plain HTTP
    "http": "plain HTTP handlers answer on the same port",
    "http-errors": "plain HTTP: 404, 405 with Allow, 426 where only WebSockets are served, 500",
}


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a host does instead."""

    instead: str
    why: str
    expect: Any = None
    """What the test asserts in place of the rule."""
    tested: bool = True
    """False where there is nothing to assert: the test is skipped, with all this for its reason."""


_HYPERCORN: Final = ("hypercorn-asyncio", "hypercorn-trio")
_HOSTED: Final = ("uvicorn", *_HYPERCORN)
_ASGI: Final = (*_HOSTED, "memory")

_NO_CODE: Final = "hypercorn tells the application 1006 whatever the peer's Close frame said"

_ROWS: Final[Sequence[tuple[str, Sequence[str], Deviation]]] = (
    # the opening handshake
    (
        "early-data",
        ["uvicorn"],
        Deviation(
            instead="messages in the same packet as the handshake are lost",
            why="uvicorn hands only the handshake from its HTTP parser to its WebSocket protocol",
            expect=101,
        ),
    ),
    (
        "early-data",
        ["hypercorn-asyncio"],
        Deviation(
            instead="the handshake is refused with 400",
            why="hypercorn takes data before accept for a violation",
            expect=400,
        ),
    ),
    (
        "early-data",
        ["hypercorn-trio"],
        Deviation(
            instead="the whole server ends",
            why="hypercorn takes data before accept for a violation, and fails on its own refusal",
            tested=False,
        ),
    ),
    (
        "data-before-accept",
        ["hypercorn-asyncio"],
        Deviation(
            instead="the handshake is refused with 400",
            why="hypercorn takes data before accept for a violation",
            expect=400,
        ),
    ),
    (
        "data-before-accept",
        ["hypercorn-trio"],
        Deviation(
            instead="the whole server ends",
            why="hypercorn takes data before accept for a violation, and fails on its own refusal",
            tested=False,
        ),
    ),
    (
        "header-casing",
        _ASGI,
        Deviation(
            instead="header names are lower-case",
            why="ASGI wants them so",
            expect="x-mixed",
        ),
    ),
    (
        "capabilities",
        _ASGI,
        Deviation(
            instead="ping, limits and compression are False",
            why="the host owns the frames",
            expect={"ping", "limits", "compression"},
        ),
    ),
    # messages
    (
        "compression",
        _HOSTED,
        Deviation(
            instead="the host compresses by its own configuration, on by default",
            why="the host owns the frames",
        ),
    ),
    (
        "compression-off",
        _HOSTED,
        Deviation(
            instead="the host compresses where the client offers it, unless configured otherwise",
            why="the host owns the frames",
        ),
    ),
    (
        "disconnect-event",
        _HYPERCORN,
        Deviation(
            instead="the code is 1006, and there is no reason",
            why=_NO_CODE,
            expect={"type": "websocket.disconnect", "code": 1006, "reason": ""},
        ),
    ),
    # the end
    ("peer-closes", _HYPERCORN, Deviation("the code is 1006", _NO_CODE, 1006)),
    ("peer-closes-reason", _HYPERCORN, Deviation("the reason is empty", _NO_CODE, "")),
    ("peer-closes-without-code", _HYPERCORN, Deviation("the code is 1006", _NO_CODE, 1006)),
    ("clean", _HYPERCORN, Deviation("no end is clean", _NO_CODE)),
    ("iteration", _HYPERCORN, Deviation("iteration raises 1006", _NO_CODE, 1006)),
    ("catch-disconnect", _HYPERCORN, Deviation("the code is 1006", _NO_CODE, 1006)),
    (
        "close-deadline",
        _HOSTED,
        Deviation(
            instead="close() returns once the Close frame is written",
            why="the host reports the end at once, and awaits the peer's answer on its own",
        ),
    ),
    (
        "cancelled-send",
        ["hypercorn-trio"],
        Deviation(
            instead="a send() that waits for the peer is cancelled only once the peer reads",
            why="hypercorn on trio shields its writing from cancellation",
        ),
    ),
    # liveness
    ("gone-noticed", _HYPERCORN, Deviation("the code is 1006", _NO_CODE, {1006})),
    (
        "keepalive-timeout",
        ["uvicorn"],
        Deviation(
            instead="the peer is failed 1011, and the application is told 1006",
            why="uvicorn does not report the code of its own Close frame",
            expect=1006,
        ),
    ),
    (
        "keepalive-timeout",
        _HYPERCORN,
        Deviation(
            instead="the peer is pinged on and on",
            why="hypercorn does not look for the Pongs",
            expect="more pings",
        ),
    ),
    (
        "ping",
        _ASGI,
        Deviation(
            instead="ping() raises LocalProtocolError; capabilities.ping is False",
            why="ASGI has no event for a Ping",
        ),
    ),
    # memory
    (
        "write-deadline",
        _HOSTED,
        Deviation(
            instead="send() waits for as long as the host does",
            why="the host owns the socket and reports no progress",
        ),
    ),
)

EXCEPTIONS: Final[Mapping[tuple[str, str], Deviation]] = {
    (host, behaviour): deviation for behaviour, hosts, deviation in _ROWS for host in hosts
}
"""By the names of host and behaviour."""

WITHOUT_WIRE: Final[Mapping[str, str]] = {
    "memory": "events go from hand to hand, so there are no bytes to send or to look at",
}
"""Hosts over which tests that look at bytes cannot run, and why."""
