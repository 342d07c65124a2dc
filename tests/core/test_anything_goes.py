"""Anything in any order, on both roles.

Invariants: commands raise nothing but LocalProtocolError, Disconnected and TypeError; input, events
and time raise nothing; the state moves along the table only; Closed comes once at most and last;
what is buffered stays within the limits.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.core.helpers import frame, head, request, switching
from windsock.core.protocol.client import ClientConnection
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.connection import Connection
from windsock.core.protocol.errors import Disconnected, LocalProtocolError
from windsock.core.protocol.events import PAUSED, Closed, Opened, Refused, RequestRefused, Status
from windsock.core.protocol.frames import Role
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import CLIENT, COMMANDS, SERVER, State

CONFIG = Config(
    max_head_size=2000,
    max_header_count=20,
    max_body_size=500,
    max_message_size=1000,
    max_fragments=10,
    write_high_water=2000,
    compression=Deflate(),
)
EXPECTED = (LocalProtocolError, Disconnected, TypeError)

FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 1, 2, 8, 9, 10, 3]),
    st.binary(max_size=130),
    fin=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 4]),
    mask=st.sampled_from([None, b"\0\0\0\0", b"abcd"]),
)
REQUESTS = st.sampled_from(
    [
        request(),
        request(add=[("Sec-WebSocket-Extensions", "permessage-deflate")]),
        request(("Sec-WebSocket-Version", "12")),
        request(add=[("Sec-WebSocket-Protocol", "a")]),
        head("GET / HTTP/1.1", [("Host", "h")]),
        head(
            "POST / HTTP/1.1", [("Host", "h"), ("Content-Length", "3"), ("Expect", "100-continue")]
        ),
        b"abc",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"\r\n",
    ]
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.text(max_size=10), st.binary(max_size=130), st.integers(0, 6000), st.booleans()
)
HEADERS: st.SearchStrategy[Any] = st.lists(
    st.tuples(st.sampled_from(["X", "Host", "", "A:"]), st.sampled_from(["y", "\r\n", "é"])),
    max_size=2,
)


class Anything(RuleBasedStateMachine):
    """One connection, and a user and a peer who keep to no rule but one: PAUSED is respected."""

    role: Role

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.closed = 0
        self.greeted = 0
        self.paused = False
        self.hold_end = False
        self.backlog = 0
        self.connection: Connection
        self.seen: State

    @initialize(opened=st.booleans())
    def start(self, opened: bool) -> None:
        if self.role is Role.SERVER:
            self.table = SERVER
            self.connection = ServerConnection(CONFIG, now=0)
            greeting = request()
        else:
            self.table = CLIENT
            self.connection = client = ClientConnection("h", config=CONFIG, now=0)
            greeting = switching(client)
        self.seen = self.connection.state
        if opened:
            self.connection.receive_data(greeting, 0)
            self.pull()
            if isinstance(self.connection, ServerConnection):
                self.connection.accept(now=0)

    def pull(self) -> None:
        for _ in range(10_000):
            event = self.connection.next_event(hold_end=self.hold_end)
            self.check_move()
            if isinstance(event, Status):
                self.paused = event is PAUSED
                return
            assert not self.closed, f"{event!r} after Closed"
            if isinstance(event, Closed):
                self.closed += 1
                assert event is self.connection.closed
            elif isinstance(event, (Opened, Refused, RequestRefused)):
                self.greeted += 1
        raise AssertionError("events without end")

    def check_move(self) -> None:
        now = self.connection.state
        if now is not self.seen:
            reachable = set(self.table[self.seen].values())
            # One call may make a few moves: what comes in, and the end of the stream after it.
            reachable |= {s for r in reachable for s in self.table[r].values()}
            reachable |= {s for r in reachable for s in self.table[r].values()}
            assert now in reachable, (self.seen, now)
            self.seen = now

    def command(self, name: str, *args: Any, **kwargs: Any) -> None:
        method = getattr(self.connection, name, None)
        if method is None:
            return
        before = (self.connection.state, self.connection.pending_output, self.connection.closed)
        try:
            method(*args, **kwargs)
        except EXPECTED:
            after = (self.connection.state, self.connection.pending_output, self.connection.closed)
            assert after == before
        self.check_move()

    # The peer

    @rule(chunks=st.lists(st.one_of(FRAMES, REQUESTS, st.binary(max_size=50)), max_size=4))
    def bytes_come(self, chunks: list[bytes]) -> None:
        if not self.paused:
            self.connection.receive_data(b"".join(chunks), self.now)
            self.pull()

    @rule(chunk=st.one_of(FRAMES, REQUESTS), size=st.integers(1, 20))
    def part_comes(self, chunk: bytes, size: int) -> None:
        if not self.paused:
            self.connection.receive_data(chunk[:size], self.now)
            self.pull()

    @rule(data=st.sampled_from([b"", None]))
    def end_comes(self, data: bytes | None) -> None:
        self.connection.receive_data(data, self.now)
        self.pull()

    # Time and the transport

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.connection.handle_deadline(self.now)
        self.pull()

    @rule()
    def next_deadline(self) -> None:
        due = self.connection.deadline()
        if due is not None:
            self.now = max(self.now, due)
            before = (self.connection.state, due)
            self.connection.handle_deadline(self.now)
            self.pull()
            assert (self.connection.state, self.connection.deadline()) != before, (
                "time stands still"
            )

    @rule(kept=st.sampled_from([0, 0, 1, 100]))
    def write(self, kept: int) -> None:
        self.backlog += len(self.connection.data_to_send())
        self.backlog = min(self.backlog, kept)
        self.connection.unsent(self.backlog, self.now)
        self.pull()

    @rule()
    def write_fails(self) -> None:
        self.connection.write_failed(self.now)
        self.pull()
        assert self.connection.state is State.CLOSED

    @rule(pause=st.booleans())
    def reading(self, pause: bool) -> None:
        if pause:
            self.connection.pause_reading()
        else:
            self.connection.resume_reading(self.now)

    # The user

    @rule(hold_end=st.booleans())
    def answers_first(self, hold_end: bool) -> None:
        self.hold_end = hold_end

    @rule(message=VALUES)
    def send(self, message: Any) -> None:
        self.command("send", message)

    @rule(payload=VALUES)
    def ping(self, payload: Any) -> None:
        self.command("ping", payload, self.now)

    @rule(payload=VALUES)
    def pong(self, payload: Any) -> None:
        self.command("pong", payload)

    @rule(code=st.one_of(st.sampled_from([1000, 1001, 4000]), VALUES), reason=VALUES)
    def close(self, code: Any, reason: Any) -> None:
        self.command("close", code, reason, self.now)
        self.pull()

    @rule(subprotocol=st.sampled_from([None, "a", "b"]), headers=HEADERS)
    def accept(self, subprotocol: str | None, headers: Any) -> None:
        self.command("accept", subprotocol, headers, now=self.now)
        self.pull()

    @rule(
        name=st.sampled_from(["reject", "respond"]),
        status=st.sampled_from([200, 204, 403, 101, None]),
        headers=HEADERS,
        body=st.one_of(st.binary(max_size=10), VALUES),
    )
    def answer(self, name: str, status: Any, headers: Any, body: Any) -> None:
        self.command(name, status, headers, body, now=self.now)
        self.pull()

    # What always holds

    @invariant()
    def properties_can_be_asked_for(self) -> None:
        connection = self.connection
        assert connection.backlog >= 0
        assert connection.half_close in {True, False}
        assert (connection.deadline() is None) == (
            connection.state in {State.CLOSED, State.RESPONDING}
        ) or connection.state is State.RESPONDING
        assert self.closed <= 1
        assert self.greeted <= 1
        if connection.state in {State.DRAINING, State.CLOSED}:
            assert connection.closed is not None
        assert connection.disconnected().code >= 1000

    @invariant()
    def buffers_are_bounded(self) -> None:
        frames = self.connection._frames
        if frames is not None:
            assert frames.buffered <= 1000
            assert len(frames._events) == 0
            assert len(frames._pieces or ()) <= CONFIG.max_message_size
        assert len(self.connection._events) == 0
        assert len(self.connection._keepalive._unanswered) <= 65

    @invariant()
    def commands_are_as_the_table_says(self) -> None:
        assert COMMANDS & self.table[self.connection.state].keys()


class AnyServer(Anything):
    role = Role.SERVER


class AnyClient(Anything):
    role = Role.CLIENT


TestAnyServer = AnyServer.TestCase
TestAnyClient = AnyClient.TestCase
TestAnyServer.settings = settings(stateful_step_count=40)
TestAnyClient.settings = settings(stateful_step_count=40)
