"""Fixtures: every test that asks for `site` runs once over each host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from windsock.core import Config

from .exceptions import BEHAVIOURS, EXCEPTIONS, WITHOUT_TASKS, WITHOUT_WIRE, Deviation
from .findings import register
from .hosts import HOSTS, NATIVE, Running
from .log import Log
from .sites import Site, WireSite


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "behaviour(name): the line of BEHAVIOURS that the test asserts"
    )
    register(config)


def _behaviour(item: pytest.Item) -> str:
    mark = item.get_closest_marker("behaviour")
    if mark is None or mark.args[0] not in BEHAVIOURS:
        raise pytest.UsageError(f"{item.nodeid} needs a mark with a name in BEHAVIOURS: {mark}")
    name: str = mark.args[0]
    return name


class Servers:
    """Servers that run for the whole session, one for each host and config."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[tuple[str, Config], Running] = {}

    def get(self, host: str, config: Config) -> Running:
        """The server; started when first asked for."""
        if (host, config) not in self._running:
            self._running[host, config] = self._stack.enter_context(HOSTS[host](config))
        return self._running[host, config]

    def forget_applications(self) -> None:
        """Let go of the applications of a test that is over, and of all that they hold."""
        for running in self._running.values():
            running.site.switchboard.forget()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(autouse=True)
def _applications_are_forgotten(servers: Servers) -> Iterator[None]:
    yield
    servers.forget_applications()


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    """The name of the host that the test runs over."""
    name: str = request.param
    return name


@pytest.fixture
def deviation(request: pytest.FixtureRequest, host: str) -> Deviation | None:
    """What the host does instead of the behaviour that the test is marked with."""
    return EXCEPTIONS.get((host, _behaviour(request.node)))


@pytest.fixture(autouse=True)
def _exceptions_apply(request: pytest.FixtureRequest) -> None:
    if "host" not in request.fixturenames:
        return
    host = request.getfixturevalue("host")
    found = EXCEPTIONS.get((host, _behaviour(request.node)))
    if found is None:
        return
    if not found.tested:
        pytest.skip(f"{host}: {found.instead}, because {found.why}")
    if "deviation" not in request.fixturenames:
        pytest.fail(f"there is an exception for {host}, and the test does not look at it: {found}")


@pytest.fixture
def start(host: str, servers: Servers) -> Callable[[Config], Site]:
    """Gives a running server of the host with a config."""
    return lambda config: servers.get(host, config).site


@pytest.fixture
def start_wire(host: str, start: Callable[[Config], Site]) -> Callable[[Config], WireSite]:
    """The same, for tests that look at bytes."""
    if host in WITHOUT_WIRE:
        pytest.skip(f"{host}: {WITHOUT_WIRE[host]}")

    def start_wire(config: Config) -> WireSite:
        site = start(config)
        assert isinstance(site, WireSite)
        return site

    return start_wire


@pytest.fixture
def tasks(host: str) -> None:
    """Handlers are tasks of an event loop."""
    if host in WITHOUT_TASKS:
        pytest.skip(f"{host}: {WITHOUT_TASKS[host]}")


@pytest.fixture
def site(start: Callable[[Config], Site]) -> Site:
    """A running server with the default config."""
    return start(Config())


@pytest.fixture
def wire_site(start_wire: Callable[[Config], WireSite]) -> WireSite:
    """The same, for tests that look at bytes."""
    return start_wire(Config())


@pytest.fixture(autouse=True)
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """What is logged during the test; warnings and errors that it does not take fail it."""
    hosted = "host" in request.fixturenames and request.getfixturevalue("host") not in NATIVE
    found = Log(hosted=hosted)
    logging.getLogger().addHandler(found)
    yield found
    logging.getLogger().removeHandler(found)
    assert found.untaken() == []
