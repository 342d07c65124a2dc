"""What a run has measured, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from .load import CLIENT_BOUND

FORMAT: Final = 1
DIRECTORY: Final = Path(__file__).with_name("results")
_COUNTS: Final = {"seconds", "messages", "handshakes", "flood_messages", "broadcasts"}
"""Details that say nothing but what a figure was computed from."""
PUBLISHED: Final = Path(__file__).parents[1] / "docs" / "performance.json"
"""The run that the documentation shows."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round of one server in one scenario."""

    value: float
    """The figure, in the scenario's unit."""
    details: dict[str, float] = field(default_factory=dict[str, float])
    """More figures: shares of the cores, latencies in µs, memory in KiB."""


@dataclass(slots=True)
class Result:
    """All rounds of one server in one scenario."""

    server: str
    scenario: str
    unit: str
    higher_is_better: bool
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    error: str | None = None
    """Why it could not be measured, where a round has failed."""

    @property
    def value(self) -> float | None:
        """The median of the rounds."""
        if not self.measurements:
            return None
        return median(measurement.value for measurement in self.measurements)

    def detail(self, name: str) -> float | None:
        """The median of one of the other figures."""
        found = [m.details[name] for m in self.measurements if name in m.details]
        return median(found) if found else None

    def condensed(self) -> Result:
        """The same with medians in place of the rounds' other figures."""
        names = dict.fromkeys(name for m in self.measurements for name in m.details)
        details = {name: self.detail(name) or 0.0 for name in names if name not in _COUNTS}
        values = [Measurement(round(m.value, 3)) for m in self.measurements]
        if values:
            values[0] = Measurement(values[0].value, details)
        return replace(self, measurements=values)

    @property
    def client_bound(self) -> bool:
        """Whether the load generator may have been the bottleneck."""
        share = (self.detail("client_cpu") or 0) + (self.detail("client_waited") or 0)
        return share > CLIENT_BOUND


@dataclass(slots=True)
class Run:
    """A whole run."""

    date: str
    """UTC, ISO 8601."""
    command: str
    seconds: float
    """Of each measurement."""
    rounds: int
    machine: dict[str, str | int]
    versions: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """Servers and scenarios that were left out, and why."""
    results: list[Result] = field(default_factory=list[Result])
    core: dict[str, float] = field(default_factory=dict[str, float])
    """µs for one message into the core and out again, by `implementation/case`."""

    def find(self, server: str, scenario: str) -> Result | None:
        """The result of one server in one scenario."""
        for result in self.results:
            if result.server == server and result.scenario == scenario:
                return result
        return None

    def value(self, server: str, scenario: str) -> float | None:
        """Its median."""
        result = self.find(server, scenario)
        return None if result is None else result.value

    def ratio(self, server: str, other: str, scenario: str) -> float | None:
        """One server's figure to another's: the median of what it is in each round.

        What is measured within seconds is compared, for a machine is not the same all the time.
        """
        results = self.find(server, scenario), self.find(other, scenario)
        if results[0] is None or results[1] is None:
            return None
        ours, theirs = ([m.value for m in result.measurements] for result in results if result)
        if not ours or len(ours) != len(theirs) or not all(theirs):
            return None
        return median(our / their for our, their in zip(ours, theirs, strict=True))

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "date": self.date,
            "command": self.command,
            "seconds": self.seconds,
            "rounds": self.rounds,
            "machine": self.machine,
            "versions": self.versions,
            "skipped": self.skipped,
            "core": self.core,
        }
        head = json.dumps(document, indent=1, ensure_ascii=False).removesuffix("\n}")
        results = ",\n".join(f"  {json.dumps(_document(result))}" for result in self.results)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{head},\n "results": [\n{results}\n ]\n}}\n', "utf-8")

    def condensed(self) -> Run:
        """The same with less of each round: what is worth keeping with the project."""
        return replace(self, results=[result.condensed() for result in self.results])


def _document(result: Result) -> dict[str, Any]:
    return {
        "server": result.server,
        "scenario": result.scenario,
        "unit": result.unit,
        "higher is better": result.higher_is_better,
        "median": result.value,
        "client bound": result.client_bound,
        "error": result.error,
        "rounds": [
            {"value": m.value, **{key: round(v, 4) for key, v in m.details.items()}}
            for m in result.measurements
        ],
    }


def read(path: Path) -> Run:
    """Read what `Run.save` wrote.

    Raises:
        ValueError: it is something else.
        OSError: it cannot be read.
    """
    document = json.loads(path.read_text("utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:  # pyright: ignore[reportUnknownMemberType]
        raise ValueError(f"{path} holds no results of this version of the benchmarks")
    return _parse(document)  # pyright: ignore[reportUnknownArgumentType]


def _parse(document: dict[str, Any]) -> Run:
    return Run(
        date=document["date"],
        command=document["command"],
        seconds=document["seconds"],
        rounds=document["rounds"],
        machine=document["machine"],
        versions=document["versions"],
        skipped=document["skipped"],
        core=document["core"],
        results=[
            Result(
                server=result["server"],
                scenario=result["scenario"],
                unit=result["unit"],
                higher_is_better=result["higher is better"],
                error=result["error"],
                measurements=[
                    Measurement(one["value"], {key: v for key, v in one.items() if key != "value"})
                    for one in result["rounds"]
                ],
            )
            for result in document["results"]
        ],
    )


def newest() -> Path | None:
    """The results written last."""
    found = sorted(DIRECTORY.glob("*.json"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None
