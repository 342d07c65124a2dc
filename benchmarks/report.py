"""The tables of a run, and of two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .results import Result, Run
from .scenarios import SCENARIOS
from .table import number, table

DISTURBED: Final = 0.05
"""Share of the time in which other work may keep the server or the client from its core."""
_LATENCIES: Final = (
    "quiet p50",
    "quiet p99",
    "quiet p999",
    "flooded p50",
    "flooded p99",
    "flooded p999",
)


def full(run: Run, baseline: str) -> str:
    """All scenarios of a run; ratios are to `baseline` where it took part."""
    parts = [*_heading(run)]
    scenarios = dict.fromkeys(result.scenario for result in run.results)
    for scenario in scenarios:
        parts += ["", _scenario(run, scenario, baseline)]
    if run.core:
        parts += ["", _core(run)]
    return "\n".join(parts)


def _heading(run: Run) -> Iterator[str]:
    yield f"{run.date}, {run.rounds} rounds of {run.seconds:g} s; medians"
    yield "; ".join(f"{key}: {value}" for key, value in run.machine.items())
    yield ", ".join(f"{name} {version}" for name, version in run.versions.items())
    for name, reason in run.skipped.items():
        yield f"left out: {name}: {reason}"


def _title(run: Run, scenario: str) -> str:
    unit = next(result.unit for result in run.results if result.scenario == scenario)
    known = SCENARIOS.get(scenario)
    return f"{scenario}: {known.title if known else ''} [{unit}]"


def _scenario(run: Run, scenario: str, baseline: str) -> str:
    results = [result for result in run.results if result.scenario == scenario]
    latency = any(result.detail("quiet p99") is not None for result in results)
    heading = ["server", "median", "low", "high", f"× {baseline}"]
    heading += [f"{name.replace('p999', 'p99.9')} µs" for name in _LATENCIES] if latency else []
    heading += ["server CPU", "client CPU", ""]
    rows = [heading]
    for result in results:
        row = [result.server]
        if result.value is None:
            row += ["–"] * (len(heading) - 2)
        else:
            values = [measurement.value for measurement in result.measurements]
            row += [number(result.value), number(min(values)), number(max(values))]
            ratio = run.ratio(result.server, baseline, scenario)
            row.append("–" if ratio is None else f"{ratio:.2f}")
            if latency:
                row += [number(result.detail(name) or 0) for name in _LATENCIES]
            for who in ("server", "client"):
                share = result.detail(f"{who}_cpu")
                row.append("–" if share is None else f"{share:.0%}")
        row.append(remark(result))
        rows.append(row)
    return f"{_title(run, scenario)}\n{table(rows)}"


def remark(result: Result) -> str:
    """What a reader must know of a figure."""
    if result.error is not None:
        return f"FAILED: {result.error.splitlines()[0]}"
    if result.client_bound:
        return "client-bound"
    for who in ("client", "server"):
        waited = result.detail(f"{who}_waited") or 0
        if waited > DISTURBED:
            return f"disturbed: the {who} waited {waited:.0%} for its core"
    return ""


def _core(run: Run) -> str:
    cases = dict.fromkeys(key.partition("/")[2] for key in run.core)
    names = dict.fromkeys(key.partition("/")[0] for key in run.core)
    rows = [["µs per message, in and out", *cases]]
    rows += [[name, *(number(run.core[f"{name}/{case}"]) for case in cases)] for name in names]
    return f"core, without sockets\n{table(rows)}"


def compare(before: Run, after: Run) -> str:
    """Two runs side by side; a ratio above 1 is an improvement."""
    rows = [["scenario", "server", "before", "after", "better by"]]
    for result in after.results:
        old = before.value(result.server, result.scenario)
        if old is None or result.value is None:
            continue
        ratio = result.value / old if result.higher_is_better else old / result.value
        rows.append(
            [result.scenario, result.server, number(old), number(result.value), f"{ratio:.2f}"]
        )
    for key, value in after.core.items():
        if key in before.core:
            old = before.core[key]
            rows.append(["core, µs", key, number(old), number(value), f"{old / value:.2f}"])
    heading = [
        f"before: {before.date} ({before.command})",
        f"after:  {after.date} ({after.command})",
    ]
    if before.machine.get("processor") != after.machine.get("processor"):
        heading.append("The machines differ: only ratios within one run tell anything.")
    for name in dict.fromkeys([*before.versions, *after.versions]):
        old_version, new_version = before.versions.get(name), after.versions.get(name)
        if old_version != new_version:
            heading.append(f"{name}: {old_version or 'absent'} → {new_version or 'absent'}")
    return "\n".join([*heading, "", table(rows, left=2)])
