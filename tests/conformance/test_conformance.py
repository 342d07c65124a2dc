"""The harness's own judgement, and (marked `conformance`) the quick selection on each target."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from . import install
from .process import RunError, running
from .results import CaseResult, Outcome
from .suite import Suite, parse_report
from .targets import TARGETS, run_target

REPORT: dict[str, Any] = {
    "case": "1.1.1",
    "agent": "anything",
    "behavior": "OK",
    "close": "OK",
    "close_frame": True,
    "dropped_by_suite": False,
    "unclean": None,
    "close_code": 1000,
    "result": "Actual events match at least one expected.",
    "result_close": "Connection was properly closed",
    "milliseconds": 1,
}


def outcome(*, native: bool = True, error: str | None = None, **changes: Any) -> Outcome:
    result = CaseResult.from_report(REPORT | changes)
    return Outcome("some-target", ("1.1.1",), {"1.1.1": result}, native, error=error)


def test_good_outcome_has_no_faults() -> None:
    good = outcome()
    assert good.faults == []
    assert good.details() == []
    assert "1 of 1 cases:  OK 1 " in good.summary()
    assert good.summary().endswith("passed")


@pytest.mark.parametrize(
    "changes",
    [
        {"behavior": "FAILED"},
        {"close": "FAILED"},
        {"close": "UNCLEAN"},
        {"close_frame": False, "unclean": "peer dropped the TCP connection"},
        {"error": "the server ended with status 1"},
    ],
    ids=lambda changes: " ".join(map(str, changes.items())),
)
def test_faults(changes: dict[str, Any]) -> None:
    bad = outcome(**changes)
    assert bad.faults
    assert bad.summary().endswith("NOT PASSED")
    assert bad.details()


@pytest.mark.parametrize("behavior", ["NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"])
def test_tolerated_behaviors(behavior: str) -> None:
    assert outcome(behavior=behavior).faults == []


def test_missing_results_are_a_fault() -> None:
    nothing = Outcome("some-target", ("1.1.1", "1.1.2"), {}, native=True)
    assert nothing.missing == ["1.1.1", "1.1.2"]
    assert nothing.faults
    assert Outcome("some-target", (), {}, native=True).faults


def test_close_frames_are_not_asked_of_a_host_server() -> None:
    hosted = outcome(native=False, close_frame=False)
    assert hosted.dropped == ["1.1.1"]
    assert hosted.faults == []
    assert "no Close frame 1 " in hosted.summary()


def test_connection_dropped_by_the_suite_needs_no_close_frame() -> None:
    assert outcome(close_frame=False, dropped_by_suite=True).dropped == []


def test_parse_report() -> None:
    assert parse_report("Running test case ID 1.1.1 for agent x\n") == {}
    assert parse_report('@@ {"port": 9001}\n') == {"port": 9001}


def test_without_python2_nothing_is_tested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("PYTHON2", raising=False)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"needs a CPython 2\.7 .* nothing was tested"):
        Suite.load("quick")


def test_child_that_dies_too_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    async def main() -> None:
        command = [sys.executable, "-c", "print('last words'); raise SystemExit(3)"]
        async with running("the child", command, log=tmp_path / "log") as child:
            await child.outlast(asyncio.Event().wait())

    with pytest.raises(RunError, match=r"(?s)the child ended with status 3.*last words"):
        asyncio.run(main())


def test_child_ends_with_its_block(tmp_path: Path) -> None:
    lines: list[str] = []

    async def main() -> int | None:
        seen = asyncio.Event()

        def on_line(line: str) -> None:
            lines.append(line)
            seen.set()

        command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(999)"]
        async with running("it", command, log=tmp_path / "log", on_line=on_line) as child:
            await child.outlast(seen.wait())
        return child.process.returncode

    assert asyncio.run(main()) == -15
    assert lines == ["up\n"]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.load("quick")


@pytest.mark.conformance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TARGETS)
def test_autobahn(suite: Suite, name: str) -> None:
    found = asyncio.run(run_target(suite, TARGETS[name]))
    assert not found.faults, "\n".join([found.summary(), *found.details()])
