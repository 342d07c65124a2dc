"""Tests that are coroutine functions run on trio; `mock_clock` marks those without real time."""

from __future__ import annotations

import inspect
import socket
import tempfile
from collections.abc import Iterator
from typing import Any, Final

import pytest
import trio
import trio.testing

# Seconds after which a test is overdue; only a failing one takes so long.
_DEADLINE: Final = 20.0


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mock_clock: time jumps whenever nothing else is to be done")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> None:
        with trio.fail_after(_DEADLINE):
            await test(**arguments)

    async def run_without_deadline() -> None:
        await test(**arguments)

    if pyfuncitem.get_closest_marker("mock_clock"):
        clock: Any = trio.testing.MockClock(autojump_threshold=0)
        trio.run(run_without_deadline, clock=clock)
    else:
        trio.run(run)
    return True


@pytest.fixture
def has_ipv6() -> None:
    """The machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")


@pytest.fixture
def socket_path() -> Iterator[str]:
    """A path for a Unix socket, which must be short."""
    with tempfile.TemporaryDirectory(prefix="ws-") as directory:
        yield f"{directory}/socket"
