"""Fixtures of the interop tests: everything runs once, for all tests."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .places import Directory


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scenario(name): the line of SCENARIOS that a test is")


def scenario_of(item: pytest.Item) -> str:
    """The scenario that a test is."""
    mark = item.get_closest_marker("scenario")
    assert mark is not None, f"{item.nodeid} is no scenario"
    name: str = mark.args[0]
    return name


@pytest.fixture(scope="session")
def stack() -> Iterator[ExitStack]:
    """Closed at the end of the session."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def directory() -> Iterator[Directory]:
    """Where Unix sockets and certificates go: their paths must be short."""
    with tempfile.TemporaryDirectory(prefix="ws-") as path:
        yield Directory(Path(path))


@pytest.fixture(scope="session")
def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
