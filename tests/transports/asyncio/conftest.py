"""Tests that are coroutine functions run on asyncio, and on uvloop as well.

`virtual_time` marks those without real time, which need a loop of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

import pytest
import uvloop

from .virtual_time import VirtualTimeLoop

# Seconds after which a test is overdue; only a failing one takes so long.
_DEADLINE: Final = 20.0

_LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: time jumps when nothing else is to be done")


@pytest.fixture(autouse=True)
def loop_name(request: pytest.FixtureRequest) -> str:
    """Which event loop the test runs on."""
    name: str = getattr(request, "param", "virtual time")
    return name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not metafunc.definition.get_closest_marker("virtual_time"):
        metafunc.parametrize("loop_name", _LOOPS, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    virtual = pyfuncitem.get_closest_marker("virtual_time") is not None

    async def run() -> None:
        problems: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: problems.append(repr(context))
        )
        async with asyncio.timeout(None if virtual else _DEADLINE):
            await test(**arguments)
        assert problems == []  # what asyncio would only log

    factory = VirtualTimeLoop if virtual else _LOOPS[str(pyfuncitem.funcargs["loop_name"])]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())
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
