"""Runs the microbenchmarks of the core: without the accelerator, and with it where it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from .cores import pinned
from .micro import BASE

_OURS: Final = "windsock"


def measure(core: int, *, seconds: float) -> dict[str, float]:
    """µs per message by `implementation/case`; windsock-pure is windsock without its accelerator.

    Args:
        core: where it runs.
        seconds: of each of its rounds.

    Raises:
        subprocess.SubprocessError: it failed.
    """
    pure = _run(core, seconds, {"WINDSOCK_PURE": "1"})
    found = _run(core, seconds, {})
    if not found.pop("accelerated"):
        found = {key: value for key, value in found.items() if not key.startswith(_OURS)}
    for key, value in pure.items():
        if key.startswith(_OURS):
            # The machine may have been slower in one of the two: what both have timed tells.
            base = f"{BASE}/{key.partition('/')[2]}"
            found[key.replace(_OURS, f"{_OURS}-pure", 1)] = value * found[base] / pure[base]
    return found


def _run(core: int, seconds: float, environment: dict[str, str]) -> dict[str, float]:
    with pinned(core):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.micro", "--seconds", str(seconds)],
            env=os.environ | {"WINDSOCK_PURE": ""} | environment,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
        )
    output, _ = process.communicate(timeout=60 + 100 * seconds)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    figures: dict[str, float] = json.loads(output)
    return figures
