"""The installed suite, and the cases of it that are to be run. Only `driver.py2` speaks to it."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from .install import HERE, install, suite_environment
from .process import Child, RunError, running

DRIVER: Final = HERE / "driver.py2"
MARK: Final = "@@ "
"""Begins the lines of JSON in the driver's output."""

QUICK: Final = ("9.*", "12.*", "13.*")
MEDIUM: Final = tuple(
    f"{group}.{size}"
    for group in [f"12.{n}" for n in range(1, 6)] + [f"13.{n}" for n in range(1, 8)]
    for size in (8, 9, 10, *range(12, 19))
)
EXCLUDED: Final[dict[str, tuple[str, ...]]] = {"quick": QUICK, "medium": MEDIUM, "full": ()}
"""The patterns of cases that each selection leaves out. The large sizes of 12.* and 13.*, which
only `full` has, take nine tenths of its time."""


@dataclass(frozen=True, slots=True)
class Suite:
    """An installed suite with a selection of its cases."""

    python: Path
    cases: tuple[str, ...]

    @classmethod
    def load(cls, selection: str, patterns: Iterable[str] = ("*",)) -> "Suite":
        """Install the suite if need be, and select cases: those of `selection` that match.

        Raises:
            RunError: it cannot be installed, or no case is selected.
        """
        python = install()
        patterns = list(patterns)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as spec:
            json.dump({"cases": patterns, "exclude-cases": EXCLUDED[selection]}, spec)
            spec.flush()
            output = subprocess.run(
                [python, DRIVER, "list", spec.name],
                check=True,
                stdout=subprocess.PIPE,
                env=suite_environment(),
                timeout=60,
            ).stdout.decode()
        cases = parse_report(output)["cases"]
        if not cases:
            raise RunError(f"no case of the {selection} selection matches {' '.join(patterns)}")
        return cls(python, tuple(cases))

    def fuzzing(
        self,
        mode: Literal["client", "server"],
        url: str,
        agent: str,
        reports: Path,
        on_report: Callable[[dict[str, Any]], None],
    ) -> AbstractAsyncContextManager[Child]:
        """Run the fuzzing client against the server at `url`, or the fuzzing server.

        `on_report` is called with what the driver says: `{"port": …}` once, by the server, and
        `{"case": …}` as each case ends.
        """
        spec: dict[str, object] = {
            "outdir": str(reports),
            "url": url,
            "servers": [{"agent": agent, "url": url}],
            "cases": self.cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        spec_file = reports / "spec.json"
        spec_file.write_text(json.dumps(spec))

        def on_line(line: str) -> None:
            if report := parse_report(line):
                on_report(report)

        return running(
            "the test suite",
            [self.python, DRIVER, mode, spec_file],
            log=reports / "suite.log",
            env=suite_environment(),
            on_line=on_line,
        )


def parse_report(line: str) -> dict[str, Any]:
    """What a line of the driver's output says; empty for the suite's own chatter."""
    if not line.startswith(MARK):
        return {}
    report: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return report
