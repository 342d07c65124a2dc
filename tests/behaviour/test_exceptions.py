"""The table of exceptions is about hosts and behaviours that exist."""

from __future__ import annotations

import re
from pathlib import Path

from .exceptions import BEHAVIOURS, EXCEPTIONS, WITHOUT_TASKS, WITHOUT_WIRE
from .hosts import HOSTS, NATIVE


def test_every_exception_is_about_a_host_and_a_behaviour() -> None:
    for host, behaviour in EXCEPTIONS:
        assert host in HOSTS
        assert behaviour in BEHAVIOURS
    assert set(WITHOUT_WIRE) | set(WITHOUT_TASKS) <= set(HOSTS)


def test_every_behaviour_has_a_test() -> None:
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert set(re.findall(r'\.behaviour\("([^"]+)"\)', source)) == set(BEHAVIOURS)


def test_our_own_servers_have_no_exceptions() -> None:
    assert {host for host, _ in EXCEPTIONS}.isdisjoint(NATIVE)
