"""Time the core: `python -m benchmarks.micro` writes µs per message as JSON to stdout."""

from __future__ import annotations

import argparse
import json
from statistics import median
from time import process_time

from . import BASE
from .cases import CASES, IMPLEMENTATIONS, Case, Echo, is_accelerated

_ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0.1, help="of each round (default: %(default)s)"
    )
    seconds = parser.parse_args().seconds
    figures: dict[str, float | bool] = {"accelerated": is_accelerated()}
    for case_name, case in CASES.items():
        echoes = {name: make() for name, make in IMPLEMENTATIONS.items()}
        rounds: dict[str, list[float]] = {name: [] for name in echoes}
        for _ in range(_ROUNDS):  # alternately, so that the machine's moods hit all
            for name, echo in echoes.items():
                rounds[name].append(_microseconds(echo, case, seconds))
        base = rounds[BASE]
        for name, those in rounds.items():
            shares = [one / other for one, other in zip(those, base, strict=True)]
            figures[f"{name}/{case_name}"] = median(base) * median(shares)
    print(json.dumps(figures))


def _microseconds(echo: Echo, case: Case, seconds: float) -> float:
    """µs of processor time per message: other work on the core does not count."""
    assert echo(case.stream) == case.echo
    stream, count = case.stream, 0
    start = process_time()
    while (passed := process_time() - start) < seconds:
        for _ in range(50):
            echo(stream)
        count += 50
    return passed / (count * case.messages) * 1e6


if __name__ == "__main__":
    main()
