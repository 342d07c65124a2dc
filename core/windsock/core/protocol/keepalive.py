"""Pings of our own, the peer's answers, and when silence means that the peer is gone."""

from __future__ import annotations

import enum
import secrets
from typing import Final

from .errors import LocalProtocolError

# The peer need not answer older Pings once it answers a newer one (RFC 6455 §5.5.3), so this many
# unanswered ones are a peer that answers none.
MAX_UNANSWERED_PINGS: Final = 64


class Due(enum.Enum):
    """What is to be done about silence."""

    PING = enum.auto()
    FAIL = enum.auto()


class Keepalive:
    """Times are seconds on the caller's monotonic clock."""

    __slots__ = (
        "_interval",
        "_own_ping",
        "_pinged_at",
        "_timeout",
        "_unanswered",
        "last_received",
    )

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self.last_received = now
        """When something arrived last."""
        self._pinged_at: float | None = None
        self._own_ping: bytes | None = None
        self._unanswered: dict[bytes, float] = {}  # in the order they were sent

    def received(self, now: float) -> bool:
        """Something arrived: whatever it is, the peer is there.

        Returns whether that was awaited, so that `deadline` may be nearer now.
        """
        self.last_received = now
        awaited = self._pinged_at is not None
        self._pinged_at = None
        return awaited

    @property
    def awaits(self) -> bool:
        """Whether a Ping was sent because of silence, which is to be broken."""
        return self._pinged_at is not None

    def deadline(self) -> float:
        """When `due` will have something to say, unless something arrives before."""
        if self._pinged_at is not None:
            return self._pinged_at + self._timeout
        return self.last_received + self._interval

    def due(self, now: float) -> Due | None:
        """What silence calls for at `now`."""
        if now < self.deadline():
            return None
        return Due.PING if self._pinged_at is None else Due.FAIL

    def keepalive_ping(self, now: float) -> bytes:
        """The payload of a Ping that is to be sent because of silence."""
        self._pinged_at = now
        # One of them is remembered, so that they leave room for the user's.
        if self._own_ping is not None:
            self._unanswered.pop(self._own_ping, None)
        self._own_ping = _fresh_payload()
        self._unanswered[self._own_ping] = now
        return self._own_ping

    def user_ping(self, payload: bytes | None, now: float) -> bytes:
        """The payload of a Ping that the user asked for; None for one of our making.

        Raises:
            LocalProtocolError: a Ping with this payload, or too many, are unanswered.
        """
        if payload is None:
            payload = _fresh_payload()
        if payload in self._unanswered:
            raise LocalProtocolError("a Ping with this payload is still unanswered; vary it")
        if len(self._unanswered.keys() - {self._own_ping}) >= MAX_UNANSWERED_PINGS:
            raise LocalProtocolError(f"{MAX_UNANSWERED_PINGS} Pings are still unanswered")
        self._unanswered[payload] = now
        return payload

    def pong(self, payload: bytes, now: float) -> float | None:
        """Seconds since the Ping that `payload` answers, which answers all before it too."""
        sent_at = self._unanswered.get(payload)
        if sent_at is None:
            return None
        answered: bytes | None = None
        while answered != payload:
            answered = next(iter(self._unanswered))
            del self._unanswered[answered]
        return now - sent_at

    def unanswered(self, payload: bytes) -> bool:
        """Whether the Ping with this payload still awaits its own Pong, or a later one."""
        return payload in self._unanswered


def _fresh_payload() -> bytes:
    return secrets.token_bytes(8)
