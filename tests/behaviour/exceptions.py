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
    # handlers
    "styles": "coroutines, async generators, plain functions and four arguments handle alike",
    "worker-threads": "plain functions run in threads; beyond Config.max_worker_threads: 503",
    "blocking-timeouts": "blocking calls raise TimeoutError in time, and lose nothing",
    "blocking-wakes": "blocked calls are told of the end at once, whoever brought it about",
    "lifespan": "the application's lifespan runs once, and its state reaches every handler",
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
    # hostile peers
    "too-big": "a message over Config.max_message_size: 1009",
    "too-big-at-the-header": "a declared size over the limit: 1009 before anything of it came",
    "too-many-fragments": "more fragments than Config.max_fragments, empty ones too: 1009",
    "limit-fits": "a message of just the limit passes",
    "bomb": "a compressed message that inflates over the limit: 1009",
    "bad-text": "text that is not UTF-8: 1007",
    "violation": "a violation of the protocol: 1002; neighbours and server live on",
    "before-violation": "messages before a violation are received",
    "violation-strict": "violations that many overlook: 1002",
    "message-deadline": "a message that takes longer than Config.message_timeout: 1008",
    "truncated": "a stream that ends inside a frame: 1006",
    "malformed-head": "a malformed request head: 400",
    "not-a-handshake": "an opening handshake that breaks the rules: 400",
    "handshake-with-body": "an opening handshake with a body: 400",
    "not-ascii": "an opening handshake with other than ASCII in its own fields: 400",
    "wrong-version": "another Sec-WebSocket-Version: 426, which names 13",
    "head-too-large": "a head over Config.max_head_size or max_header_count: 431",
    "head-cut-short": "a client that leaves inside its head gets no answer",
    "after-refusal": "a connection ends with a refusal",
    "slow-head": "a head that takes longer than Config.open_timeout: 408",
    "slow-decision": "a decision that takes longer than Config.open_timeout: 503",
    "origin": "an Origin that is neither the host's own nor listed: 403",
    "log-lines": "log lines are printable, and say which request they are about",
    # graceful shutdown
    "shutdown": "graceful shutdown closes 1001, and handlers see Disconnected(1001)",
    "shutdown-stops-accepting": "graceful shutdown stops accepting, and ends when all have ended",
    "shutdown-deadline": "graceful shutdown waits at most Config.shutdown_timeout",
    "shutdown-handshakes": "graceful shutdown answers an undecided handshake with 503",
    "shutdown-http": "graceful shutdown lets plain HTTP requests finish",
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
    # graceful shutdown
    (
        "shutdown",
        ["uvicorn"],
        Deviation("the code is 1012", "uvicorn closes its WebSockets itself", (1012, 1012)),
    ),
    (
        "shutdown",
        _HYPERCORN,
        Deviation(
            instead="handlers are cancelled once hypercorn's graceful_timeout has passed",
            why="hypercorn tells applications nothing of a shutdown",
            expect=(1001, "cancelled"),
        ),
    ),
    (
        "shutdown-handshakes",
        ["uvicorn"],
        Deviation("the answer is 500", "uvicorn answers it itself", 500),
    ),
    *(
        (
            behaviour,
            ["memory"],
            Deviation("nothing", "there is no server to shut down", tested=False),
        )
        for behaviour in (
            "shutdown",
            "shutdown-stops-accepting",
            "shutdown-deadline",
            "shutdown-handshakes",
            "shutdown-http",
        )
    ),
    # hostile peers
    (
        "too-big",
        _HYPERCORN,
        Deviation(
            instead="the peer is failed 1009; the application is told 1006 or 1009",
            why="hypercorn counts characters, not bytes, and tells 1006 where it sees the end",
            expect=({1009}, {1006, 1009}),
        ),
    ),
    (
        "too-big-at-the-header",
        _HYPERCORN,
        Deviation(
            instead="the host waits for the message and buffers it",
            why="hypercorn counts what has come, not what is declared",
        ),
    ),
    (
        "too-many-fragments",
        _HOSTED,
        Deviation(
            instead="any number of fragments make a message",
            why="the host does not count them",
            expect="",
        ),
    ),
    (
        "bomb",
        _HYPERCORN,
        Deviation(
            instead="the message is inflated first; the application is told 1006 or 1009",
            why="wsproto inflates without a limit",
            expect={1006, 1009},
        ),
    ),
    (
        "bad-text",
        _HYPERCORN,
        Deviation(
            instead="the host hangs up; the application is told 1006",
            why="hypercorn takes wsproto's report of a violation for a Close frame",
            expect=({1006}, {1006}),
        ),
    ),
    (
        "violation",
        _HYPERCORN,
        Deviation(
            instead="the host hangs up; the application is told 1006",
            why="hypercorn takes wsproto's report of a violation for a Close frame",
            expect=({1006}, {1006}),
        ),
    ),
    (
        "violation-strict",
        _HYPERCORN,
        Deviation(
            instead="the host hangs up; the application is told 1006",
            why="hypercorn takes wsproto's report of a violation for a Close frame",
            expect=({1006}, {1006}),
        ),
    ),
    (
        "violation-strict",
        ["uvicorn"],
        Deviation(
            instead="a length of 2**63 is 1009",
            why="uvicorn checks its limit first",
            expect=({1002, 1009}, {1002, 1009}),
        ),
    ),
    (
        "before-violation",
        ["uvicorn"],
        Deviation(
            instead="messages in the same packet as the violation are lost",
            why="uvicorn drops what it has parsed when it finds the violation",
        ),
    ),
    (
        "message-deadline",
        _HOSTED,
        Deviation(instead="a message may take forever", why="the host has no such deadline"),
    ),
    (
        "malformed-head",
        _HOSTED,
        Deviation(
            instead="some malformed heads are overlooked",
            why="the host's HTTP parser decides",
            expect={299, 400, 404, None},
        ),
    ),
    (
        "not-a-handshake",
        _HOSTED,
        Deviation(
            instead="some rules are overlooked, or the request is served as plain HTTP",
            why="the host decides what a handshake is",
            expect={299, 400, 404, 405, None},
        ),
    ),
    (
        "handshake-with-body",
        ["uvicorn", "hypercorn-asyncio"],
        Deviation(
            instead="400, or no answer",
            why="the host decides what a handshake is",
            expect={400, None},
        ),
    ),
    (
        "handshake-with-body",
        ["hypercorn-trio"],
        Deviation(
            instead="the whole server ends",
            why="hypercorn takes data before accept for a violation, and fails on its own refusal",
            tested=False,
        ),
    ),
    (
        "after-refusal",
        _HYPERCORN,
        Deviation(
            instead="the host may keep the connection for another request",
            why="the host answers before the application is asked",
        ),
    ),
    (
        "not-ascii",
        ["hypercorn-asyncio"],
        Deviation(
            instead="the host hangs up without an answer, or answers 400",
            why="hypercorn fails to decode the field",
            expect={400, None},
        ),
    ),
    (
        "not-ascii",
        ["hypercorn-trio"],
        Deviation(
            instead="the whole server ends",
            why="hypercorn fails to decode the field",
            tested=False,
        ),
    ),
    (
        "wrong-version",
        _HOSTED,
        Deviation(
            instead="400, and the right version is not named",
            why="the host answers before the application is asked",
            expect={(400, None)},
        ),
    ),
    (
        "head-too-large",
        _HOSTED,
        Deviation(
            instead="the host's own limits hold, with any status",
            why="the host reads the head",
            expect={299, 400, 431, None},
        ),
    ),
    (
        "head-cut-short",
        _HOSTED,
        Deviation(
            instead="the host may answer 400",
            why="the host reads the head",
            expect=b"400",
        ),
    ),
    (
        "slow-head",
        _HOSTED,
        Deviation(
            instead="the host waits for as long as it is configured to",
            why="the host reads the head",
            tested=False,
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

WITHOUT_TASKS: Final[Mapping[str, str]] = {
    "threads": "timeouts take the place of cancellation, threads that of tasks: their tests are in "
    "tests/transports/threads",
}
"""Hosts over which tests of tasks and their cancellation cannot run, and why."""
