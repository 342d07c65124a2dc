"""What the link makes of a transport that only says when it is full, and when it is empty."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.core.helpers import request
from windsock.core import Config
from windsock.core.app.session import server_channel
from windsock.twisted._link import TwistedLink

PIECE: Final = 64 * 1024


class Reactor(Clock):
    """As much of a reactor as a link needs."""

    def callWhenRunning(self, function: Any) -> None:
        function()

    def addSystemEventTrigger(self, *args: Any) -> None:
        pass


class FullTransport(StringTransport):
    """Pauses its producer at a high-water mark, as Twisted's transports do."""

    held = 0
    high_water = PIECE

    def write(self, data: bytes) -> None:
        super().write(data)
        self.held += len(data)
        if self.held > self.high_water:
            self.producer.pauseProducing()

    def drain(self) -> None:
        """The kernel has taken everything."""
        self.held = 0
        self.producer.resumeProducing()


def accepted(config: Config) -> tuple[TwistedLink, FullTransport]:
    link = TwistedLink(server_channel(config, now=0), Reactor())  # type: ignore[arg-type]
    transport = FullTransport()
    link.makeConnection(transport)
    link.dataReceived(request())
    link.channel.connection.accept(now=link.now())
    link.channel.settle(link)
    link._flush()
    transport.clear()
    transport.held = 0
    return link, transport


def test_a_transport_gets_no_more_than_it_likes_and_the_rest_counts() -> None:
    link, transport = accepted(Config())
    connection = link.channel.connection
    connection.send(bytes(1_000_000))
    link._flush()
    assert len(transport.value()) == 2 * PIECE
    assert connection.backlog >= 1_000_000 - 2 * PIECE
    connection.send(b"more")
    link._flush()
    assert len(transport.value()) == 2 * PIECE
    while connection.backlog:
        before = connection.backlog
        transport.drain()
        assert connection.backlog < before
    assert len(transport.value()) == 10 + 1_000_000 + 2 + len(b"more")


def test_progress_puts_off_the_write_deadline() -> None:
    link, transport = accepted(Config(write_timeout=5, ping_interval=1000))
    time = 100.0
    link.now = lambda: time
    connection = link.channel.connection
    connection.send(bytes(1_000_000))
    link._flush()
    assert connection.deadline() == 105
    time = 104.0
    transport.drain()
    assert connection.deadline() == 109
    time = 109.0
    connection.handle_deadline(time)
    assert link.channel.closed is not None
    assert link.channel.closed.code == 1006


def test_small_messages_go_out_at_once_and_leave_no_backlog() -> None:
    link, transport = accepted(Config())
    link.channel.connection.send("small")
    link._flush()
    assert transport.value() == b"\x81\x05small"
    assert link.channel.connection.backlog == 0


def test_a_full_inbox_stops_the_transport_and_reading_resumes_it() -> None:
    link, transport = accepted(Config(inbox_high_water=10))
    link.dataReceived(b"\x81\x85\0\0\0\0hello")
    assert transport.producerState == "paused"
    link.channel.take()
    assert link.channel.make_room(link.now())
    link.resume_reading()
    assert transport.producerState == "producing"


def test_reading_does_not_resume_after_the_end_of_the_stream() -> None:
    link, transport = accepted(Config())
    transport.pauseProducing()
    link.readConnectionLost()
    link.resume_reading()
    assert transport.producerState == "paused"


def test_connection_lost_twice_over_ends_the_channel_and_its_timers() -> None:
    link, _ = accepted(Config())
    clock: Any = link._reactor
    link.channel.connection.send(bytes(500_000))
    link._flush()
    link.connectionLost()
    assert link.channel.finished
    clock.advance(0)
    assert clock.getDelayedCalls() == []
    link.flush_soon()
    link.wake()
    link.end()
    link.abort()
    clock.advance(0)
