"""Runs the code blocks of a Markdown page, in order, as a reader would.

- ```` ```python ```` is executed; the blocks of a page share a namespace.
- ```` ```python file=NAME ```` is written to the page's folder, for later blocks to use.
- ```` ```python no-run=NAME ```` is not run, for the tests do not have the package NAME; it must
  be Python all the same.
- ```` ```output ```` is what the python block before it prints.
- ```` ```console ```` has commands after `$ `, and what they print. A server runs until the next
  one is started, or to the end of the page, and must then shut down gracefully. What would set up
  the machine is not run: for `pip install` and `make` it is checked that there is such a thing.
- ```` ```text ```` and ```` ```mermaid ```` are pictures. There are no others.

Port 8765 stands for a free one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).parents[2]
TIMEOUT: Final = 20.0  # seconds, for one command
PORT: Final = "8765"

_FENCE: Final = re.compile(r"^(```+)(.*)$")
_SERVERS: Final = frozenset({"windsock serve", "windsock demo", "uvicorn", "hypercorn"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    language: str
    options: tuple[str, ...]
    text: str
    line: int
    """The number of the fence's line, from 1."""

    @property
    def file(self) -> str | None:
        """The name in `file=NAME`."""
        names = [option[5:] for option in self.options if option.startswith("file=")]
        return names[0] if names else None

    @property
    def missing(self) -> str | None:
        """The name in `no-run=NAME`."""
        names = [option[7:] for option in self.options if option.startswith("no-run=")]
        return names[0] if names else None


def parse(markdown: str) -> list[Block]:
    """The fenced blocks of a page."""
    blocks: list[Block] = []
    lines = iter(enumerate(markdown.splitlines(), 1))
    for number, line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            continue
        fence, info = opening.groups()
        text: list[str] = []
        for _, inner in lines:
            if inner == fence:
                break
            text.append(inner)
        else:
            raise AssertionError(f"the block of line {number} does not end")
        language, *options = info.split() or [""]
        blocks.append(Block(language, tuple(options), "\n".join([*text, ""]), number))
    return blocks


class PageError(AssertionError):
    """A block does not do what the page says."""


class Runner:
    """Runs the blocks of one page in `folder`."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self._port = str(_free_port())
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self._printed: str | None = None
        self._server: subprocess.Popen[str] | None = None
        self._unused: set[str] = set()

    def run(self) -> None:
        """Run everything.

        Raises:
            PageError: something is not as the page says.
        """
        try:
            with _working_in(self.folder):
                for block in parse(self.page.read_text(encoding="utf-8")):
                    self._run_block(block)
                self._expect_no_output(0)
            self._stop_server()
        finally:
            if self._server is not None:
                self._server.kill()
                self._server.communicate()
        if self._unused:
            raise PageError(f"{self.page.name}: nothing uses {', '.join(self._unused)}")

    def _run_block(self, block: Block) -> None:
        text = block.text.replace(PORT, self._port)
        if block.language == "output":
            if self._printed is None:
                self._fail(block.line, "no python block before it")
            self._compare(block.line, self._printed, text)
            self._printed = None
            return
        self._expect_no_output(block.line)
        if block.language == "python" and block.file is not None:
            self._write(block, text)
        elif block.language == "python" and block.missing is not None:
            self._compile(block, text)
        elif block.language == "python":
            self._use(text)
            self._printed = self._execute(block, text)
        elif block.language == "console":
            self._console(block, text)
        elif block.language not in {"text", "mermaid"} or block.options:
            self._fail(block.line, f"what is a block of {block.language!r} {block.options}?")

    def _fail(self, line: int, message: str) -> NoReturn:
        raise PageError(f"{self.page.name}, line {line}: {message}")

    def _compare(self, line: int, found: str, expected: str) -> None:
        if found.strip() != expected.strip():
            self._fail(line, f"the page has\n{expected}\nbut it prints\n{found}")

    def _expect_no_output(self, line: int) -> None:
        if self._printed:
            self._fail(line, f"nothing shows what was printed before:\n{self._printed}")
        self._printed = None

    # python

    def _write(self, block: Block, text: str) -> None:
        assert block.file is not None
        example = ROOT / "docs" / "examples" / block.file
        if example.exists() and example.read_text(encoding="utf-8") != block.text:
            self._fail(block.line, f"it is not what {example.name} holds")
        (self.folder / block.file).write_text(text, encoding="utf-8")
        # A changed module is imported anew.
        sys.modules.pop(Path(block.file).stem, None)
        self._unused.add(block.file)

    def _use(self, text: str) -> None:
        self._unused = {name for name in self._unused if Path(name).stem not in text}

    def _compile(self, block: Block, text: str) -> CodeType:
        # Tracebacks point to the line of the page.
        return compile("\n" * block.line + text, str(self.page), "exec")

    def _execute(self, block: Block, text: str) -> str:
        code = self._compile(block, text)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self._namespace)
        return printed.getvalue()

    # console

    def _console(self, block: Block, text: str) -> None:
        commands: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif commands:
                commands[-1][1].append(line)
            else:
                self._fail(block.line, f"no command before {line!r}")
        for command, expected in commands:
            self._use(command)
            self._command(block.line, shlex.split(command), "\n".join(expected))

    def _command(self, line: int, command: list[str], expected: str) -> None:
        if command[:2] == ["pip", "install"]:
            self._check_install(line, command[2:])
        elif command[0] == "make":
            self._check_make(line, command[1:])
        elif (
            command[0] in _SERVERS
            or " ".join(command[:2]) in _SERVERS
            or command[-1].endswith("_server.py")
        ):
            self._start_server(line, command, expected)
        elif command[0] in {"windsock", "python"}:
            done = subprocess.run(
                _executable(command),
                cwd=self.folder,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
            self._compare(line, done.stdout, expected)
        else:
            self._fail(line, f"a command that is not known here: {command[0]}")

    def _check_install(self, line: int, packages: list[str]) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for package in packages:
            name, _, extras = package.rstrip("]").partition("[")
            for extra in filter(None, extras.split(",")):
                if extra not in project["optional-dependencies"]:
                    self._fail(line, f"there is no extra {extra!r}")
            if name != project["name"] and importlib.util.find_spec(name) is None:
                self._fail(line, f"{name} is not what the tests use")

    def _check_make(self, line: int, arguments: list[str]) -> None:
        makefile = (ROOT / "Makefile").read_text()
        for argument in arguments:
            name = argument.partition("=")[0]
            pattern = rf"^{name} *\?=" if "=" in argument else rf"^{name}:"
            if not re.search(pattern, makefile, re.MULTILINE):
                self._fail(line, f"the Makefile knows no {name}")

    def _start_server(self, line: int, command: list[str], expected: str) -> None:
        self._stop_server()
        if command[0] == "windsock" and not {"--port", "--unix"} & set(command):
            command = [*command, "--port", self._port]  # what it listens on by default
        self._server = subprocess.Popen(
            _executable(command),
            cwd=self.folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._server.stdout is not None
        found = ""
        with _deadline(self._server):
            for output in self._server.stdout:
                found += output
                if expected and found.count("\n") == expected.strip().count("\n") + 1:
                    break
                if not expected and self._port in output:
                    break
        if expected:
            self._compare(line, found, expected)
        elif self._port not in found:
            self._fail(line, f"the server did not start:\n{found}")

    def _stop_server(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        with _deadline(server):
            server.send_signal(signal.SIGINT)
            output, _ = server.communicate()
        if server.returncode != 0 or "Traceback" in output:
            raise PageError(f"{self.page.name}: a server ended {server.returncode}:\n{output}")


def _executable(command: list[str]) -> list[str]:
    if command[0] == "python":
        return [sys.executable, *command[1:]]
    return [sys.executable, "-m", *command]


def _environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT / "core"), str(ROOT / "transports")])
    return {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "COLUMNS": "80"}


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """The folder is the current one, and its modules can be imported."""
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            found = getattr(sys.modules[name], "__file__", None)
            if found is not None and Path(found).is_relative_to(folder):
                del sys.modules[name]
