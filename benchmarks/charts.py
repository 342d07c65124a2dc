"""Bar charts as SVG, one per scenario, written by hand: no library is needed."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from .results import Result, Run
from .scenarios import SCENARIOS
from .table import number

_WIDTH: Final = 860
_LABEL: Final = 230
_VALUE: Final = 160
_BAR: Final = 16
_STEP: Final = 22
_TOP: Final = 64
_COLOURS: Final = (
    ("windsock", "#1f6feb"),
    ("raw", "#9aa4af"),
    ("bare", "#c98a2b"),
    ("starlette", "#c98a2b"),
    ("", "#5f6b76"),
)
"""Of the bars, by how a server's name begins."""


def write(run: Run, directory: Path) -> list[Path]:
    """One chart per scenario into that directory; the files written."""
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for scenario in dict.fromkeys(result.scenario for result in run.results):
        results = [
            result
            for result in run.results
            if result.scenario == scenario and result.value is not None
        ]
        if results:
            path = directory / f"{scenario}.svg"
            path.write_text(chart(run, scenario, results), "utf-8")
            written.append(path)
    return written


def chart(run: Run, scenario: str, results: list[Result]) -> str:
    """One scenario, the best first."""
    better = results[0].higher_is_better
    results = sorted(results, key=lambda result: result.value or 0, reverse=better)
    known = SCENARIOS.get(scenario)
    title = known.title if known else scenario
    unit = f"{results[0].unit}, {'more' if better else 'less'} is better; median, low and high"
    height = _TOP + _STEP * len(results) + 34
    longest = max(m.value for result in results for m in result.measurements) or 1
    scale = (_WIDTH - _LABEL - _VALUE) / longest
    versions = f"{run.versions.get('python', '')}, {run.machine.get('processor', '')}, {run.date}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="17" font-weight="600">{escape(title)}</text>',
        f'<text x="16" y="47" fill="#57606a">{escape(unit)}</text>',
    ]
    for index, result in enumerate(results):
        parts += _bar(result, _TOP + _STEP * index, scale)
    parts.append(
        f'<text x="16" y="{height - 12}" font-size="11" fill="#57606a">{escape(versions)}</text>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _bar(result: Result, top: int, scale: float) -> list[str]:
    value = result.value or 0
    colour = next(colour for start, colour in _COLOURS if result.server.startswith(start))
    values = [measurement.value for measurement in result.measurements]
    low, high = (_LABEL + bound * scale for bound in (min(values), max(values)))
    middle, baseline = top + _BAR / 2, top + _BAR - 3
    label = number(value) + (" (client-bound)" if result.client_bound else "")
    return [
        f'<text x="{_LABEL - 8}" y="{baseline}" text-anchor="end">{escape(result.server)}</text>',
        f'<rect x="{_LABEL}" y="{top}" width="{max(1, value * scale):.1f}" height="{_BAR}" '
        f'rx="2" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#24292f" stroke-width="1.5"/>',
        f'<text x="{max(high, _LABEL) + 6:.1f}" y="{baseline}">{escape(label)}</text>',
    ]
