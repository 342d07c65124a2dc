"""Installs the Autobahn test suite.

It is Python 2 only and a world of its own, so it gets an environment of its own below
`.cache/autobahn`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .process import RunError

HERE: Final = Path(__file__).parent
CACHE: Final = HERE.parents[1] / ".cache" / "autobahn"
REQUIREMENTS: Final = HERE / "suite-requirements.txt"

VIRTUALENV: Final = "virtualenv==20.21.1"
"""The last series that can make an environment for Python 2.7."""
ACCELERATORS: Final = ("ujson", "wsaccel")


def install() -> Path:
    """Make sure that the suite is installed, and return its Python.

    Raises:
        RunError: there is no Python 2.7, or the installation failed.
    """
    python = CACHE / "venv" / "bin" / "python"
    stamp = CACHE / "installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + VIRTUALENV.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and _works(python):
        return python

    python2 = _find_python2()
    print(f"installing the Autobahn test suite in {CACHE} for {python2}", flush=True)
    stamp.unlink(missing_ok=True)
    for name in ("boot", "venv"):
        shutil.rmtree(CACHE / name, ignore_errors=True)
    boot = CACHE / "boot" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(CACHE / "boot"))
    _run(str(boot), "-m", "pip", "install", "--quiet", VIRTUALENV)
    _run(str(boot), "-m", "virtualenv", "--quiet", "--python", python2, str(CACHE / "venv"))
    try:
        _pip_install(python, REQUIREMENTS)
    except RunError as exc:
        print(f"{exc}\nonce more, without the accelerators {', '.join(ACCELERATORS)}", flush=True)
        slow = CACHE / "without-accelerators.txt"
        lines = REQUIREMENTS.read_text().splitlines(keepends=True)
        slow.write_text("".join(line for line in lines if not line.startswith(ACCELERATORS)))
        _pip_install(python, slow)
    if not _works(python):
        raise RunError(f"the test suite was installed in {CACHE} but does not run")
    stamp.write_text(wanted)
    return python


def _find_python2() -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~").expanduser() / ".pyenv")
    candidates = [
        os.environ.get("PYTHON2", ""),
        *map(str, sorted(pyenv.glob("versions/2.7*/bin/python"))),
        *("python2.7", "python2"),
    ]
    check = "import sys, ssl, zlib; sys.exit(sys.version_info[:2] != (2, 7))"
    for candidate in candidates:
        path = shutil.which(candidate) if candidate else None
        if path and subprocess.run([path, "-c", check], capture_output=True).returncode == 0:
            return path
    raise RunError(
        "the Autobahn test suite needs a CPython 2.7 with ssl and zlib, and there is none here: "
        "nothing was tested. Set PYTHON2=/path/to/python2.7"
    )


def _works(python: Path) -> bool:
    try:
        _run(str(python), "-c", "import autobahntestsuite.fuzzing")
    except RunError:
        return False
    return True


def _pip_install(python: Path, requirements: Path) -> None:
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements))


def suite_environment() -> dict[str, str]:
    """The environment variables for the suite's Python."""
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    return env | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }


def _run(*command: str) -> None:
    """Run a command to its end, quietly unless it fails."""
    try:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=suite_environment(),
            timeout=900,
        )
    except OSError as exc:
        raise RunError(f"{command[0]}: {exc}") from exc
    except subprocess.SubprocessError as exc:
        output = getattr(exc, "output", None) or b""
        tail = "\n".join(output.decode(errors="replace").splitlines()[-15:])
        raise RunError(f"{' '.join(command)} failed:\n{tail}") from exc
