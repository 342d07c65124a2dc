"""Which cores the server and the load generator run on, and what the machine is."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Generator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = (
    "windsock", "wsproto", "h11", "trio", "uvloop", "aiofastnet", "websockets", "picows", "aiohttp",
    "trio-websocket", "uvicorn", "hypercorn", "granian", "starlette", "anyio",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of the cores; the same number where the machine has but one."""

    server: int
    client: int


def choose_cores() -> Cores:
    """Two cores that are no hyper-threads of one another, if there are such."""
    cores = sorted(os.sched_getaffinity(0))
    server = cores[-1]
    for client in cores:
        if client not in _siblings(server):
            return Cores(server, client)
    return Cores(server, cores[0])


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        text = path.read_text().strip()
    except OSError:
        return {core}
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


@contextlib.contextmanager
def pinned(core: int) -> Generator[None]:
    """Processes started inside run on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def machine(cores: Cores) -> dict[str, str | int]:
    """What figures depend on besides the software."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "server core": cores.server,
        "client core": cores.client,
        "system": f"{platform.system()} {platform.release()}",
        "memory MiB": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "load average": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def versions() -> dict[str, str]:
    """Releases of what is compared."""
    found = {"python": f"{platform.python_implementation()} {sys.version.split()[0]}"}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
