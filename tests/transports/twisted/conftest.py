"""Coroutine tests run on the reactor; the others have it beside them, in its thread."""

from __future__ import annotations

import inspect
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import reactor_thread
from tests.certificates import write_authority, write_leaf
from windsock.twisted import make_tls_context


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = [pyfuncitem.funcargs[name] for name in names]
    reactor_thread.start(test, *arguments).result(reactor_thread.TIMEOUT)
    return True


@pytest.fixture(autouse=True)
def nothing_is_wrong(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged that the test does not take from `caplog`."""
    yield
    found = [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert [f"{record.name}: {record.getMessage()}" for record in found] == []


@pytest.fixture
def reactor() -> Any:
    return reactor_thread.running_reactor()


@pytest.fixture
def server_tls(tmp_path: Path) -> Any:
    """For servers: the right certificate."""
    path = tmp_path / "server.pem"
    write_leaf(path)
    return make_tls_context(str(path), str(path))


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the tests' authority."""
    write_authority(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.fixture
def socket_path() -> Iterator[str]:
    """A path for a Unix socket, which must be short."""
    with tempfile.TemporaryDirectory(prefix="ws-") as directory:
        yield f"{directory}/socket"
