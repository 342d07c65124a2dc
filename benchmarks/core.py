"""Runs the microbenchmarks of the core: without the accelerator, and with it where it is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .cores import pinned


def measure(core: int, *, seconds: float) -> dict[str, float]:
    """µs per message by `implementation/case`; windsock-pure is windsock without its accelerator.

    Args:
        core: where it runs.
        seconds: of each of its rounds.

    Raises:
        subprocess.SubprocessError: it failed.
    """
    pure = _run(core, seconds, {"WINDSOCK_PURE": "1"})
    found = {key.replace("windsock", "windsock-pure", 1): value for key, value in pure.items()}
    with_all = _run(core, seconds, {})
    if with_all.pop("accelerated"):
        found |= with_all
    found.pop("accelerated")
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
