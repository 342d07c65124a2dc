"""What is tested, and how the suite and a target are brought together."""

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from .install import CACHE
from .process import RunError, running
from .results import CaseResult, Outcome
from .suite import Suite

HOST: Final = "127.0.0.1"
START_TIMEOUT: Final = 30.0
"""Seconds for a process to listen."""
STALL_TIMEOUT: Final = 500.0
"""Seconds in which no case ends; the suite itself gives some of 12.* and 13.* 480."""
TOTAL_TIMEOUT: Final = 5400.0
"""Seconds for all cases of one target."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to be tested; `peer.py` can run it by its name."""

    name: str
    role: Literal["server", "client"]
    native: bool = True
    """False where a host server owns the frames, and decides how a connection ends."""


TARGETS: Final = {
    target.name: target
    for target in (
        Target("trio-server", "server"),
        Target("asyncio-server", "server"),
        Target("threads-server", "server"),
        Target("twisted-server", "server"),
        Target("trio-client", "client"),
        Target("asyncio-client", "client"),
        Target("threads-client", "client"),
        Target("twisted-client", "client"),
        Target("asgi-uvicorn", "server", native=False),
        Target("asgi-hypercorn", "server", native=False),
    )
}


async def run_target(suite: Suite, target: Target) -> Outcome:
    """Run the suite against one target. What goes wrong is in the outcome."""
    final = CACHE / "reports" / target.name
    # Another run of the same target in this checkout must not be disturbed.
    reports = final.with_name(f"{target.name}-{os.getpid()}-unfinished")
    reports.mkdir(parents=True)
    results: dict[str, CaseResult] = {}
    error = None
    began = time.monotonic()
    try:
        async with asyncio.timeout(TOTAL_TIMEOUT), asyncio.timeout(STALL_TIMEOUT) as stall:

            def on_case(report: dict[str, Any]) -> None:
                result = CaseResult.from_report(report)
                results[result.case] = result
                stall.reschedule(asyncio.get_running_loop().time() + STALL_TIMEOUT)

            test = _test_server if target.role == "server" else _test_client
            await test(suite, target.name, reports, on_case)
    except TimeoutError:
        error = f"given up: no case ended for {STALL_TIMEOUT:.0f} s, or it took too long overall"
    except RunError as exc:
        error = str(exc)
    finally:
        shutil.rmtree(final, ignore_errors=True)
        reports.rename(final)
    seconds = time.monotonic() - began
    return Outcome(target.name, suite.cases, results, target.native, seconds, error)


async def _test_server(
    suite: Suite, name: str, reports: Path, on_case: Callable[[dict[str, Any]], None]
) -> None:
    port = _free_port()
    url = f"ws://{HOST}:{port}"
    command = _peer_command("server", name, str(port))
    async with running("the server", command, log=reports / "peer.log") as peer:
        await peer.outlast(_listening(port))
        async with suite.fuzzing("client", url, name, reports, on_case) as fuzzer:
            await peer.outlast(fuzzer.succeed())


async def _test_client(
    suite: Suite, name: str, reports: Path, on_case: Callable[[dict[str, Any]], None]
) -> None:
    listening = asyncio.get_running_loop().create_future()

    def on_report(report: dict[str, Any]) -> None:
        if "port" in report:
            listening.set_result(report["port"])
        else:
            on_case(report)

    # The port in this URL is a placeholder: the driver listens on a free one.
    async with suite.fuzzing("server", f"ws://{HOST}:9001", name, reports, on_report) as fuzzer:
        port = await fuzzer.outlast(asyncio.wait_for(listening, START_TIMEOUT))
        command = _peer_command("client", name, f"ws://{HOST}:{port}")
        async with running("the client", command, log=reports / "peer.log") as peer:
            await fuzzer.outlast(peer.succeed())


def _peer_command(role: str, name: str, address: str) -> list[str]:
    return [sys.executable, "-m", "tests.conformance.peer", role, name, address]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


async def _listening(port: int) -> None:
    """Wait until something listens on the port."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise RunError(f"nothing listens on port {port} after {START_TIMEOUT:.0f} s") from None
