"""The load generator: `load.c`, compiled on first use."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from .cores import pinned

SOURCE: Final = Path(__file__).with_name("load.c")
CACHE: Final = Path(__file__).parents[1] / ".cache" / "benchmarks"
CLIENT_BOUND: Final = 0.9
"""Share of its core above which the load generator may have been the bottleneck."""

Arguments = Mapping[str, str | int | float]


class LoadError(Exception):
    """The load generator could not be built, or did not get what it expects of the server."""


@dataclass(frozen=True, slots=True)
class LoadGenerator:
    """The compiled program."""

    path: Path
    tls: bool
    """Whether OpenSSL's headers were there when it was compiled."""

    def command(self, arguments: Arguments) -> list[str]:
        """The command line for these arguments; `load.c` says what they mean."""
        return [str(self.path), *(f"{key}={value}" for key, value in arguments.items())]

    def run(self, arguments: Arguments, *, core: int, timeout: float) -> dict[str, float]:
        """Run it on that core; what it has measured.

        Raises:
            LoadError: it failed, or was not done in `timeout` seconds.
        """
        with pinned(core):
            process = subprocess.Popen(
                self.command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LoadError(f"not done after {timeout:g} s") from None
        if process.returncode != 0:
            raise LoadError(errors.strip() or f"exit status {process.returncode}")
        return cast("dict[str, float]", json.loads(output))


def build(cache: Path = CACHE) -> LoadGenerator:
    """Compile it if this version has not been compiled before.

    With OpenSSL where its headers are; else it knows no TLS.

    Raises:
        LoadError: there is no compiler, or it refuses; the message says what to do.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    key = hashlib.sha256(SOURCE.read_bytes() + repr(compiler).encode()).hexdigest()[:16]
    path = cache / f"load-{key}"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        try:
            _compile(compiler, fresh)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    features = subprocess.run(
        [path, "features"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.split()
    return LoadGenerator(path, "tls" in features)


def _compile(compiler: list[str], target: Path) -> None:
    common = [*compiler, "-O2", "-o", str(target), str(SOURCE)]
    errors = ""
    for extra in (["-DWITH_TLS", "-lssl", "-lcrypto"], []):
        try:
            done = subprocess.run([*common, *extra], capture_output=True, text=True, timeout=120)
        except FileNotFoundError:
            raise LoadError(
                f"the load generator is a small C program, and there is no {compiler[0]} here to "
                "compile it: install a C compiler (gcc or clang), or name yours in CC"
            ) from None
        if done.returncode == 0:
            return
        errors = done.stderr
    raise LoadError(f"{compiler[0]} cannot compile {SOURCE.name} (it needs Linux):\n{errors}")
