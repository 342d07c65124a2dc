"""What the suite found out about one target, and whether that is good enough."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

BEHAVIORS: Final = ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED")
GOOD: Final = {"OK", "INFORMATIONAL"}
FATAL_CLOSE: Final = {"FAILED", "UNCLEAN"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case."""

    case: str
    behavior: str
    """OK, NON-STRICT, INFORMATIONAL, FAILED or UNIMPLEMENTED."""
    close: str
    """How the connection ended: OK, INFORMATIONAL, FAILED, UNCLEAN, WRONG CODE, …"""
    dropped: bool
    """Whether the peer ended TCP with no Close frame. The suite calls that OK wherever failing
    the connection is right, so neither of the above shows it."""
    note: str

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> "CaseResult":
        """From a line of the driver."""
        notes: list[str] = []
        if report["behavior"] not in GOOD:
            notes.append(report["result"])
        if report["close"] not in GOOD:
            notes.append(report["result_close"])
            if report["close_code"]:
                notes.append(f"close code {report['close_code']}")
        if report["unclean"]:
            notes.append(report["unclean"])
        return cls(
            case=report["case"],
            behavior=report["behavior"],
            close=report["close"],
            dropped=not report["close_frame"] and not report["dropped_by_suite"],
            note="; ".join(" ".join(note.split()) for note in notes if note),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run said about one target."""

    target: str
    cases: tuple[str, ...]
    """What should have run."""
    results: Mapping[str, CaseResult]
    native: bool
    """Whether windsock owns the frames, and so the last word on each connection."""
    seconds: float = 0.0
    error: str | None = None
    """Why the run was not completed."""
    behaviors: Counter[str] = field(init=False)
    closes: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "behaviors", Counter(r.behavior for r in self.results.values()))
        object.__setattr__(self, "closes", Counter(r.close for r in self.results.values()))

    @property
    def missing(self) -> list[str]:
        return [case for case in self.cases if case not in self.results]

    @property
    def dropped(self) -> list[str]:
        return [case for case in self.cases if case in self.results and self.results[case].dropped]

    @property
    def faults(self) -> list[str]:
        """Why this is not good enough; empty if it is."""
        faults = [self.error] if self.error else []
        if not self.cases:
            faults.append("no case was selected")
        if self.missing:
            faults.append(f"no result for {len(self.missing)}: {_abridge(self.missing)}")
        if count := self.behaviors["FAILED"]:
            faults.append(f"{count} FAILED")
        if count := sum(self.closes[name] for name in FATAL_CLOSE):
            faults.append(f"{count} closed wrongly")
        if self.native and self.dropped:
            faults.append(f"{len(self.dropped)} ended without a Close frame")
        return faults

    def summary(self) -> str:
        """The one line about this target."""
        counts = "  ".join(
            f"{name} {self.behaviors[name]}"
            for name in (*BEHAVIORS, *sorted(set(self.behaviors) - set(BEHAVIORS)))
        )
        names = ("OK", *sorted({*self.closes, *FATAL_CLOSE} - {"OK"}))
        closes = "  ".join(f"{name} {self.closes[name]}" for name in names)
        verdict = "passed" if not self.faults else "NOT PASSED"
        return (
            f"{self.target:<15} {len(self.results)} of {len(self.cases)} cases:  {counts}"
            f" | close: {closes} | no Close frame {len(self.dropped)}"
            f" | {self.seconds:.0f} s | {verdict}"
        )

    def details(self) -> list[str]:
        """A line for each thing that is not as it should be."""
        lines: dict[str, list[str]] = {}
        for case in self.cases:
            result = self.results.get(case)
            if result and not {result.behavior, result.close} <= GOOD:
                text = f"{result.behavior}, close {result.close}: {result.note}"
                lines.setdefault(text, []).append(case)
        if self.dropped:
            lines["no Close frame"] = self.dropped
        found = [f"    {_abridge(cases)}  {text}" for text, cases in lines.items()]
        return found + [f"    ! {fault}" for fault in self.faults]


def _abridge(cases: Iterable[str], limit: int = 12) -> str:
    cases = list(cases)
    more = f" … ({len(cases)} in all)" if len(cases) > limit else ""
    return " ".join(cases[:limit]) + more
