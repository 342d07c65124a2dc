"""No test leaves a thread or a file behind."""

from __future__ import annotations

import gc
import socket
import tempfile
import threading
from collections.abc import Iterator

import pytest

from .running import open_files, until


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    # What other tests have left is none of this one's, and takes seconds to be looked through.
    gc.freeze()
    threads, files = set(threading.enumerate()), open_files()
    yield
    until(
        lambda: set(threading.enumerate()) <= threads,
        f"threads are left: {set(threading.enumerate()) - threads}",
    )
    gc.collect()  # a socket that was forgotten says so now
    until(lambda: open_files() <= files, f"{open_files() - files} files are left")
    gc.unfreeze()


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
