"""Server processes: start, wait until they accept, look at their memory, end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from .cores import pinned
from .programs.options import HOST

START_TIMEOUT: Final = 20.0
"""Seconds in which a server must accept connections."""
_STOP_TIMEOUT: Final = 5.0
_ROOT: Final = Path(__file__).parents[1]


class ServerError(Exception):
    """A server did not start, or went before its time."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.create_server((HOST, 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that accepts connections."""

    process: subprocess.Popen[bytes]
    port: int
    errors: IO[bytes]

    def memory(self) -> float:
        """KiB that it and its children hold in RAM."""
        page = os.sysconf("SC_PAGE_SIZE") / 1024
        return sum(_resident_pages(pid) for pid in _family(self.process.pid)) * page

    def settled_memory(self, *, timeout: float = 5.0) -> float:
        """The same once it has stopped changing for 0.3 s, at the latest after `timeout` s."""
        until = time.monotonic() + timeout
        before = self.memory()
        while time.monotonic() < until:
            time.sleep(0.3)
            now = self.memory()
            if now == before:
                break
            before = now
        return before

    def times(self) -> tuple[float, float]:
        """Seconds for which its threads and children ran, and for which they waited for a core."""
        ran = waited = 0
        for pid in _family(self.process.pid):
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    fields = path.read_text().split()
                    ran, waited = ran + int(fields[0]), waited + int(fields[1])
        return ran / 1e9, waited / 1e9

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        return _tail(self.errors)


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-5:])


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # it grows
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{parent}/task").glob("*/children"):
                found.extend(int(child) for child in path.read_text().split())
    return found


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, *, core: int) -> Generator[ServerProcess]:
    """Run that command, which serves on the port, on that core while the context is open.

    Raises:
        ServerError: it does not accept connections in time.
    """
    with tempfile.TemporaryFile() as errors:
        with pinned(core):
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=_ROOT,
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerError(f"cannot start {command[0]}: {error.strerror}") from None
        try:
            _wait_until_accepting(process, port, errors)
            yield ServerProcess(process, port, errors)
        finally:
            _stop(process)


def _wait_until_accepting(process: subprocess.Popen[bytes], port: int, errors: IO[bytes]) -> None:
    until = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise ServerError(
                    f"it ended with status {process.returncode}: {_tail(errors)}"
                ) from None
            if time.monotonic() > until:
                raise ServerError(
                    f"it does not listen on {port} after {START_TIMEOUT:g} s: {_tail(errors)}"
                ) from None
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a worker that outlived its parent
