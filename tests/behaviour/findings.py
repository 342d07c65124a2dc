"""What a run of the suite found, for the support matrix of the docs.

`make matrix` runs the suite with FINDINGS set to `found.json` beside this file, and has the page
written from it.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from .exceptions import EXCEPTIONS

FILE: Final = Path(__file__).with_name("found.json")
VARIABLE: Final = "WINDSOCK_FINDINGS"


class Findings:
    """Outcomes by behaviour and host, and by style and host; a pytest plugin."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._behaviours: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._styles: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Any:
        report: pytest.TestReport = yield
        host = _param(item, "host")
        if host is not None and (call.when == "call" or report.outcome != "passed"):
            mark = item.get_closest_marker("behaviour")
            assert mark is not None
            behaviour: str = mark.args[0]
            found = self._behaviours[behaviour].setdefault(host, _nothing())
            _count(found, report)
            deviation = EXCEPTIONS.get((host, behaviour))
            if deviation is not None:
                found["instead"] = [deviation.instead, deviation.why]
            style = _param(item, "style")
            if style is not None:
                _count(self._styles[style].setdefault(host, _nothing()), report)
        return report

    def pytest_sessionfinish(self) -> None:
        found = {"behaviours": self._behaviours, "styles": self._styles}
        self._path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _param(item: pytest.Item, name: str) -> str | None:
    assert isinstance(item, pytest.Function)
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get(name)


def _nothing() -> dict[str, Any]:
    return {"passed": 0, "failed": 0, "skipped": []}


def _count(found: dict[str, Any], report: pytest.TestReport) -> None:
    if report.outcome == "skipped":
        assert isinstance(report.longrepr, tuple)
        reason = str(report.longrepr[2]).removeprefix("Skipped: ")
        if reason not in found["skipped"]:
            found["skipped"].append(reason)
    else:
        found[report.outcome] += 1


def register(config: pytest.Config) -> None:
    """Record the run, if it is asked for."""
    path = os.environ.get(VARIABLE)
    if path:
        config.pluginmanager.register(Findings(Path(path)), "findings")
