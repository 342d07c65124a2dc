"""What the benchmarks must show: every ratio that was promised, with its floor and its aim.

Where several servers, or several scenarios, could stand for a row, windsock's side is judged by its
worst scenario; each library runs on the best event loop that the run has of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .results import Run
from .scenarios import SCENARIOS, Kind
from .servers import HOSTS
from .table import number, table

WINDSOCK_ASYNCIO: Final = (
    "windsock-asyncio",
    "windsock-uvloop",
    "windsock-aiofastnet",
    "windsock-uvloop-aiofastnet",
)
PICOWS: Final = ("picows-websockets-asyncio", "picows-websockets-uvloop")
WEBSOCKETS: Final = ("websockets-asyncio", "websockets-uvloop")

_ECHO: Final = tuple(
    scenario.name
    for scenario in SCENARIOS.values()
    if scenario.kind is Kind.THROUGHPUT and not scenario.deflate
)
_IN_FLIGHT: Final = tuple(name for name in _ECHO if SCENARIOS[name].in_flight > 1)
_PLAIN: Final = tuple(name for name in _ECHO if not SCENARIOS[name].tls)
_DEFLATE: Final = "deflate-8x4x1KiB"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a run says of a row."""

    value: float
    remark: str = ""
    """Where it comes from: the worst scenario, the event loop."""


Measure = Callable[[Run], Figure | None]


@dataclass(frozen=True, slots=True)
class Floor:
    """One promised figure."""

    title: str
    floor: float
    aim: float
    measure: Measure
    unit: str = "×"
    higher_is_better: bool = True

    def judge(self, figure: Figure | None) -> str:
        """Aim, floor, MISSED, or that it was not measured."""
        if figure is None:
            return "not measured"
        sign = 1 if self.higher_is_better else -1
        if sign * figure.value >= sign * self.aim:
            return "aim"
        return "floor" if sign * figure.value >= sign * self.floor else "MISSED"


def _best(run: Run, servers: Iterable[str], scenario: str) -> str | None:
    found = [(value, name) for name in servers if (value := run.value(name, scenario))]
    return max(found)[1] if found else None


def ratio(ours: Sequence[str], theirs: Sequence[str], scenarios: Sequence[str]) -> Measure:
    """The best of ours to the best of theirs, in the worst of the scenarios."""

    def measure(run: Run) -> Figure | None:
        figures: list[tuple[float, str]] = []
        for scenario in scenarios:
            our, their = _best(run, ours, scenario), _best(run, theirs, scenario)
            if our is None or their is None:
                continue
            value = run.ratio(our, their, scenario)
            if value is None:
                continue
            remark = scenario if len(scenarios) > 1 else ""
            if len(ours) > 1:
                remark += f" {our} to {their}"
            figures.append((value, remark.strip()))
        if not figures:
            return None
        value, remark = min(figures)
        if len(scenarios) > 1:
            remark = f"worst of {len(figures)} scenarios: {remark}"
        return Figure(value, remark)

    return measure


def _core(ours: str, case: str) -> Measure:
    """windsock's connection, which does more than wsproto's, and is what transports go through."""

    def measure(run: Run) -> Figure | None:
        our, their = run.core.get(f"{ours}-connection/{case}"), run.core.get(f"wsproto/{case}")
        if our is None or their is None:
            return None
        return Figure(their / our, f"ServerConnection {number(our)} µs to {number(their)} µs")

    return measure


def _memory(server: str, scenario: str) -> Measure:
    def measure(run: Run) -> Figure | None:
        value = run.value(server, scenario)
        return None if value is None else Figure(value)

    return measure


def _flood(server: str) -> Measure:
    def measure(run: Run) -> Figure | None:
        result = run.find(server, "flood")
        value = result.detail("p99 ratio") if result else None
        if result is None or value is None:
            return None
        quiet, flooded = result.detail("quiet p99"), result.detail("flooded p99")
        return Figure(value, f"{number(quiet or 0)} µs, flooded {number(flooded or 0)} µs")

    return measure


def _floors() -> Iterator[Floor]:
    for case, what in (("1x32B", "one at a time"), ("32x32B", "32 in one read")):
        name = f"core, 32 B masked text in + out, {what}, vs wsproto Connection"
        yield Floor(f"{name}: pure Python", 10, 15, _core("windsock-pure", case))
        yield Floor(f"{name}: accelerator", 25, 60, _core("windsock", case))
    for scenario, floor, aim in (
        ("64x1x32B", 0.9, 1.1),
        ("8x32x32B", 2.5, 5),
        ("8x4x16KiB", 1.0, 1.4),
    ):
        yield Floor(
            f"asyncio, {scenario}, vs picows websockets API",
            floor,
            aim,
            ratio(WINDSOCK_ASYNCIO, PICOWS, (scenario,)),
        )
    yield Floor(
        "asyncio, more than one in flight, vs websockets",
        1.5,
        4,
        ratio(WINDSOCK_ASYNCIO, WEBSOCKETS, _IN_FLIGHT),
    )
    trio = ("windsock-trio",)
    for scenario, peer, floor, aim in (
        ("64x1x32B", "trio-websocket", 4, 6),
        ("64x1x32B", "raw-trio", 1.0, 1.3),
        ("8x32x32B", "trio-websocket", 15, 30),
        ("8x4x16KiB", "trio-websocket", 8, 15),
    ):
        yield Floor(f"trio, {scenario}, vs {peer}", floor, aim, ratio(trio, (peer,), (scenario,)))
    yield Floor(
        "trio, more than one in flight, vs websockets-trio",
        3,
        10,
        ratio(trio, ("websockets-trio",), _IN_FLIGHT),
    )
    for loop in ("trio", "asyncio"):
        yield Floor(
            f"{loop}, one message in flight, vs raw TCP echo",
            0.8,
            0.92,
            ratio((f"windsock-{loop}",), (f"raw-{loop}",), ("1x1x32B",)),
        )
    for host in HOSTS:
        yield Floor(
            f"ASGI echo in {host}, vs the bare one",
            0.93,
            0.98,
            ratio((f"windsock-{host}",), (f"bare-{host}",), _PLAIN),
        )
    yield Floor(
        "handshakes/s, asyncio, vs websockets",
        1.2,
        1.6,
        ratio(WINDSOCK_ASYNCIO, WEBSOCKETS, ("handshakes",)),
    )
    yield Floor(
        "handshakes/s, trio, vs trio-websocket",
        2.5,
        4,
        ratio(trio, ("trio-websocket",), ("handshakes",)),
    )
    for loop, floor, aim in (("asyncio", 12, 8), ("trio", 14, 10)):
        for count in (2000, 10000):
            yield Floor(
                f"idle connection, {loop}, {count} of them",
                floor,
                aim,
                _memory(f"windsock-{loop}", f"memory-{count}"),
                unit=" KiB",
                higher_is_better=False,
            )
    for loop in ("asyncio", "trio"):
        yield Floor(
            f"p99 of quiet connections while one floods, {loop}, vs no flood",
            3,
            1.5,
            _flood(f"windsock-{loop}"),
            higher_is_better=False,
        )
    yield Floor(
        "permessage-deflate echo, asyncio, vs websockets",
        1.2,
        2,
        ratio(WINDSOCK_ASYNCIO, WEBSOCKETS, (_DEFLATE,)),
    )
    yield Floor(
        "permessage-deflate echo, trio, vs websockets-trio",
        1.2,
        2,
        ratio(trio, ("websockets-trio",), (_DEFLATE,)),
    )


FLOORS: Final = tuple(_floors())
"""All that was promised, row by row."""


HEADING: Final = ("figure", "measured", "floor", "aim", "verdict", "from")


def judged(run: Run) -> list[list[str]]:
    """Each row with its figure, floor, aim, verdict, and where it comes from, below `HEADING`."""
    rows: list[list[str]] = []
    for row in FLOORS:
        figure = row.measure(run)
        sign = "≥" if row.higher_is_better else "≤"
        rows.append(
            [
                row.title,
                "–" if figure is None else f"{figure.value:.2f}{row.unit}",
                f"{sign} {row.floor:g}{row.unit}",
                f"{sign} {row.aim:g}{row.unit}",
                row.judge(figure),
                "" if figure is None else figure.remark,
            ]
        )
    return rows


def report(run: Run) -> str:
    """All rows; misses are named as such."""
    rows = judged(run)
    verdicts = [row[4] for row in rows]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {meaning}"
        for verdict, meaning in (
            ("aim", "reach their aim"),
            ("floor", "keep their floor"),
            ("MISSED", "MISS it"),
            ("not measured", "not measured"),
        )
    )
    heading = f"{run.date}, {run.rounds} rounds of {run.seconds:g} s: {run.command}"
    return f"{heading}\n\n{table([HEADING, *rows])}\n\n{counts}"
