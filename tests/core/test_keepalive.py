"""Silence, Pings and their answers, as pure functions of time."""

from __future__ import annotations

import pytest

from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.keepalive import MAX_UNANSWERED_PINGS, Due, Keepalive


def test_silence_calls_for_a_ping_and_then_for_the_end() -> None:
    keepalive = Keepalive(20, 5, 100)
    assert keepalive.deadline() == 120
    assert keepalive.due(119.9) is None
    assert keepalive.due(120) is Due.PING
    keepalive.keepalive_ping(121)
    assert keepalive.deadline() == 126
    assert keepalive.due(125.9) is None
    assert keepalive.due(126) is Due.FAIL


def test_whatever_arrives_is_a_sign_of_life() -> None:
    keepalive = Keepalive(20, 5, 0)
    keepalive.keepalive_ping(20)
    keepalive.received(24)
    assert keepalive.deadline() == 44


def test_a_pong_gives_the_latency() -> None:
    keepalive = Keepalive(20, 5, 0)
    payload = keepalive.keepalive_ping(20)
    assert keepalive.unanswered(payload)
    assert keepalive.pong(payload, 20.5) == 0.5
    assert not keepalive.unanswered(payload)
    assert keepalive.pong(payload, 21) is None


def test_a_pong_answers_all_pings_before_it() -> None:
    keepalive = Keepalive(20, 5, 0)
    for second, payload in enumerate([b"a", b"b", b"c"]):
        assert keepalive.user_ping(payload, second) == payload
    assert keepalive.pong(b"b", 3) == 2
    assert not keepalive.unanswered(b"a")
    assert keepalive.unanswered(b"c")
    assert keepalive.pong(b"a", 3) is None


def test_made_up_payloads_differ() -> None:
    keepalive = Keepalive(20, 5, 0)
    payloads = {keepalive.user_ping(None, 0) for _ in range(MAX_UNANSWERED_PINGS)}
    assert len(payloads) == MAX_UNANSWERED_PINGS


def test_the_same_payload_must_be_answered_first() -> None:
    keepalive = Keepalive(20, 5, 0)
    keepalive.user_ping(b"a", 0)
    with pytest.raises(LocalProtocolError, match="still unanswered"):
        keepalive.user_ping(b"a", 1)
    keepalive.pong(b"a", 1)
    keepalive.user_ping(b"a", 1)


def test_unanswered_pings_are_bounded() -> None:
    keepalive = Keepalive(20, 5, 0)
    for _ in range(MAX_UNANSWERED_PINGS):
        keepalive.user_ping(None, 0)
    with pytest.raises(LocalProtocolError, match="64 Pings are still unanswered"):
        keepalive.user_ping(None, 0)


def test_a_peer_that_answers_none_of_our_own_leaves_room_for_the_users() -> None:
    keepalive = Keepalive(20, 5, 0)
    pings = [keepalive.keepalive_ping(now) for now in range(1000)]
    assert keepalive.unanswered(pings[-1])
    assert not keepalive.unanswered(pings[-2])
    for _ in range(MAX_UNANSWERED_PINGS):
        keepalive.user_ping(None, 1000)
    with pytest.raises(LocalProtocolError):
        keepalive.user_ping(None, 1000)


def test_an_awaited_arrival_may_bring_the_deadline_nearer() -> None:
    keepalive = Keepalive(2.0, 20.0, 0.0)
    assert not keepalive.received(1.0)
    keepalive.keepalive_ping(3.0)
    assert keepalive.deadline() == 23.0
    assert keepalive.received(4.0)
    assert keepalive.deadline() == 6.0
