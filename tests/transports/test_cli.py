"""The `windsock` command, run as a person runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import trustme
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect
from websockets.typing import Origin

TRANSPORTS = ["trio", "asyncio", "threads", "twisted"]
DEADLINE = 20.0  # seconds for anything that a process is waited for

ECHO = """
from windsock.core import App

app = App()

@app.websocket("/echo")
async def echo(ws):
    async with ws:
        async for message in ws:
            await ws.send(message)
"""

_STUCK = """
import {module}

async def app(ws):
    await ws.accept()
    await ws.send("here")
    {sleep}
"""

STUCK = {
    "trio": _STUCK.format(module="trio", sleep="await trio.sleep_forever()"),
    "asyncio": _STUCK.format(module="asyncio", sleep="await asyncio.sleep(3600)"),
    "threads": _STUCK.format(module="time", sleep="time.sleep(3600)"),
    "twisted": _STUCK.format(
        module="twisted.internet.defer", sleep="await twisted.internet.defer.Deferred()"
    ),
}


class Command:
    """A running `windsock …`; its first line on stdout says where it serves."""

    def __init__(self, args: Sequence[str], cwd: Path, pythonpath: Path | None = None) -> None:
        # A pipe could fill up and block it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        env = dict(os.environ)
        if pythonpath is not None:
            inherited = env.get("PYTHONPATH")
            env["PYTHONPATH"] = os.pathsep.join([str(pythonpath), *filter(None, [inherited])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windsock", *args],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )

    def first_line(self) -> str:
        stdout = self.process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], DEADLINE)
        assert ready, f"nothing was printed; stderr: {self.stderr}"
        line = stdout.readline().decode().rstrip("\n")
        assert line, f"it ended; stderr: {self.stderr}"
        return line

    def url(self) -> str:
        """Waits until it serves."""
        return self.first_line().rsplit(": ", 1)[1]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code that it comes to."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    @property
    def stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def cleanup(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()


@contextmanager
def running(*args: str, cwd: Path) -> Iterator[Command]:
    command = Command(args, cwd)
    try:
        yield command
    finally:
        command.cleanup()


def outcome(
    *args: str, cwd: Path, pythonpath: Path | None = None
) -> tuple[int, list[str], list[str]]:
    """The exit code of a command that ends by itself, and the lines of its stdout and stderr."""
    command = Command(args, cwd, pythonpath)
    try:
        stdout, _ = command.process.communicate(timeout=DEADLINE)
        return (
            command.process.returncode,
            stdout.decode().splitlines(),
            command.stderr.splitlines(),
        )
    finally:
        command.cleanup()


def error(*args: str, cwd: Path, code: int, pythonpath: Path | None = None) -> str:
    """The one line that a failing command says."""
    returned, stdout, stderr = outcome(*args, cwd=cwd, pythonpath=pythonpath)
    assert stdout == []
    assert len(stderr) == 1, stderr
    assert returned == code, stderr
    assert stderr[0].startswith("windsock")
    return stderr[0]


def websocket_url(url: str, path: str) -> str:
    return url.replace("http", "ws", 1) + path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.joinpath("chat.py").write_text(ECHO)
    return tmp_path


# Serving


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("target", ["chat:app", "chat", "chat.py", "./chat.py:app"])
def test_serves_modules_and_files(folder: Path, transport: str, target: str) -> None:
    with running("serve", target, "--transport", transport, "--port", "0", cwd=folder) as command:
        line = command.first_line()
        assert re.fullmatch(
            rf"windsock serving {re.escape(target)} on {transport}: http://127\.0\.0\.1:\d+", line
        )
        with connect(websocket_url(line.rsplit(": ", 1)[1], "/echo")) as ws:
            ws.send("hello")
            assert ws.recv(DEADLINE) == "hello"
        assert command.end() == 0


def test_a_coroutine_function_is_served_on_every_path(tmp_path: Path) -> None:
    tmp_path.joinpath("one.py").write_text(
        "class Handlers:\n"
        "    @staticmethod\n"
        "    async def path(ws):\n"
        "        async with ws:\n"
        "            await ws.send(ws.request.path)\n"
    )
    with running("serve", "one:Handlers.path", "--port", "0", cwd=tmp_path) as command:
        line = command.first_line()
        assert " on asyncio: " in line
        with connect(websocket_url(line.rsplit(": ", 1)[1], "/any/where")) as ws:
            assert ws.recv(DEADLINE) == "/any/where"


def test_a_file_may_import_its_neighbours_and_be_named_like_a_library(tmp_path: Path) -> None:
    tmp_path.joinpath("neighbour.py").write_text(ECHO)
    tmp_path.joinpath("logging.py").write_text("from neighbour import app\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = str(tmp_path / "logging.py")
    with running("serve", target, "--port", "0", cwd=elsewhere) as command:
        with connect(websocket_url(command.url(), "/echo")) as ws:
            ws.send("hello")
            assert ws.recv(DEADLINE) == "hello"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_gracefully(folder: Path, transport: str, number: signal.Signals) -> None:
    with running("serve", "chat", "--transport", transport, "--port", "0", cwd=folder) as command:
        url = websocket_url(command.url(), "/echo")
        with connect(url) as one, connect(url) as other:
            one.send("hello")
            assert one.recv(DEADLINE) == "hello"
            assert command.end(number) == 0
            for ws in (one, other):
                assert close_code(ws) == 1001
        assert "Traceback" not in command.stderr


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_handlers_that_do_not_end_hold_up_the_shutdown_for_a_bounded_time(
    tmp_path: Path, transport: str
) -> None:
    tmp_path.joinpath("stuck.py").write_text(STUCK[transport])
    options = ["--transport", transport, "--port", "0", "--shutdown-timeout", "0.1"]
    with running("serve", "stuck", *options, cwd=tmp_path) as command:
        with connect(websocket_url(command.url(), "/")) as ws:
            assert ws.recv(DEADLINE) == "here"
            assert command.end() == 0
            assert close_code(ws) == 1001


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_second_interrupt_ends_it_at_once(tmp_path: Path, transport: str) -> None:
    tmp_path.joinpath("stuck.py").write_text(STUCK[transport])
    options = ["--transport", transport, "--port", "0", "--shutdown-timeout", "3600"]
    with running("serve", "stuck", *options, cwd=tmp_path) as command:
        with connect(websocket_url(command.url(), "/")) as ws:
            assert ws.recv(DEADLINE) == "here"
            command.process.send_signal(signal.SIGINT)
            assert close_code(ws) == 1001
            assert command.end(signal.SIGINT) == 130
        assert command.stderr == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unix_socket(folder: Path, transport: str) -> None:
    # Not in pytest's own folder: the path of a Unix socket has about 100 bytes.
    with tempfile.TemporaryDirectory() as short:
        path = f"{short}/s"
        options = ["--transport", transport, "--unix", path]
        with running("serve", "chat", *options, cwd=folder) as command:
            assert path in command.first_line()
            with unix_connect(path, "ws://localhost/echo") as ws:
                ws.send("hello")
                assert ws.recv(DEADLINE) == "hello"
            again = error("serve", "chat", *options, cwd=folder, code=1)
            assert again == f"windsock: error: {path} is in use"
            assert command.end() == 0
        assert not os.path.exists(path)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_a_dead_server_left_does_not_matter(folder: Path, transport: str) -> None:
    with tempfile.TemporaryDirectory() as short:
        path = f"{short}/s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
            dead.listen()
        options = ["--transport", transport, "--unix", path]
        with running("serve", "chat", *options, cwd=folder) as command:
            assert path in command.first_line()
            with unix_connect(path, "ws://localhost/echo") as ws:
                ws.send("hello")
                assert ws.recv(DEADLINE) == "hello"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_tls(folder: Path, transport: str) -> None:
    ca, options = make_certificate(folder)
    context = ssl.create_default_context()
    ca.configure_trust(context)
    options += ["--transport", transport, "--port", "0", "--host", "localhost"]
    with running("serve", "chat", *options, cwd=folder) as command:
        [url, *_] = command.first_line().split(": ", 1)[1].split(", ")
        port = url.rpartition(":")[2]
        assert url.startswith("https://")
        with connect(f"wss://localhost:{port}/echo", ssl=context) as ws:
            ws.send("hello")
            assert ws.recv(DEADLINE) == "hello"
        assert command.end() == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_options_reach_the_transport(folder: Path, transport: str) -> None:
    options = ["--origin", "https://a.example", "--origin", "https://b.example:8443"]
    options += ["--max-message-size", "1000", "--transport", transport, "--port", "0"]
    with running("serve", "chat", *options, cwd=folder) as command:
        url = websocket_url(command.url(), "/echo")
        with connect(url, origin=Origin("https://b.example:8443")) as ws:
            ws.send("x" * 1001)
            assert close_code(ws) == 1009
        with pytest.raises(InvalidStatus) as refused:
            with connect(url, origin=Origin("https://evil.example")):
                pass
        assert refused.value.response.status_code == 403


def close_code(ws: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        ws.recv(DEADLINE)
    return ws.close_code


def test_version(tmp_path: Path) -> None:
    code, stdout, stderr = outcome("--version", cwd=tmp_path)
    assert (code, stderr) == (0, [])
    assert re.fullmatch(r"windsock \d+\.\d+\S*", stdout[0])


def test_help_names_every_option(tmp_path: Path) -> None:
    code, stdout, _ = outcome("serve", "--help", cwd=tmp_path)
    text = "\n".join(stdout)
    assert code == 0
    for option in ("--transport", "--host", "--port", "--unix", "--tls-cert", "--log-level"):
        assert option in text


# What can be wrong with the arguments


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "required: COMMAND"),
        (["sing"], "'sing'"),
        (["serve"], "required: TARGET"),
        (["serve", "chat", "--prot", "1"], "unrecognized arguments: --prot 1"),
        (["serve", "chat", "--port", "http"], "from 0 to 65535, not 'http'"),
        (["serve", "chat", "--port", "65536"], "from 0 to 65535, not '65536'"),
        (["serve", "chat", "--port", "-1"], "from 0 to 65535, not '-1'"),
        (["serve", "chat", "--port", "٣"], "from 0 to 65535"),
        (["serve", "chat", "--host", "a..b"], "cannot be the name of a host"),
        (["serve", "chat", "--unix", "s", "--port", "1"], "--unix excludes --host and --port"),
        (["serve", "chat", "--tls-cert", "c.pem"], "--tls-cert and --tls-key go together"),
        (["serve", "chat", "--tls-key", "k.pem"], "--tls-cert and --tls-key go together"),
        (["serve", "chat", "--origin", "a.example"], "an origin is scheme://host"),
        (["serve", "chat", "--origin", "https://a.example/"], "without a path"),
        (["serve", "chat", "--max-message-size", "1M"], "invalid int value: '1M'"),
        (["serve", "chat", "--max-message-size", "0"], "max_message_size must be finite"),
        (["serve", "chat", "--shutdown-timeout", "nan"], "shutdown_timeout must be finite"),
        (["serve", "chat", "--log-level", "loud"], "invalid choice: 'loud'"),
        (["serve", "chat", "--transport", "pigeon"], "no transport 'pigeon'; there are: asyncio, "),
        (["demo", "--transport", "pigeon"], "no transport 'pigeon'; there are: asyncio, "),
        (["serve", "nowhere:app"], "no module named 'nowhere'"),
        (["serve", "nowhere.inside:app"], "no module named 'nowhere'"),
        (["serve", "chat.inside:app"], "no module named 'chat.inside'"),
        (["serve", "nowhere.py"], "no such file: nowhere.py"),
        (["serve", "no/where.py:app"], "no such file: no/where.py"),
        (["serve", "chat.py/where.py:app"], "no such file: chat.py/where.py"),
        (["serve", "./chat:app"], "no such file: chat; did you mean chat.py?"),
        (["serve", "./folder:app"], "folder is a folder, not a .py file"),
        (["serve", "notes.txt:app"], "notes.txt is not a .py file"),
        (["serve", "./notes.txt"], "notes.txt is not a .py file"),
        (["serve", "what is this"], "neither the name of a module nor the path"),
        (["serve", "chat:1st"], "TARGET is module:attribute or path/to/file.py:attribute"),
        (["serve", ":app"], "TARGET is module:attribute or path/to/file.py:attribute"),
        (["serve", "chat:ap"], "chat has no attribute 'ap'; did you mean 'app'?"),
        (["serve", "chat.py:server"], "chat.py has no attribute 'server'; did you mean 'app'?"),
        (["serve", "chat:app.inner"], "chat has no attribute 'app.inner'; did you mean 'app'?"),
        (["serve", "chat:App"], "'App' of chat is a class, neither an App nor a coroutine"),
        (["serve", "json:dumps"], "'dumps' of json is of type function, neither an App"),
        (["serve", "broken"], "cannot import broken: ValueError: two lines ("),
        (["serve", "broken.py"], "cannot import "),
        (["serve", "incomplete"], "cannot import incomplete: ModuleNotFoundError: No module named"),
        (["serve", "unfinished"], "cannot import unfinished: SyntaxError: "),
        (["serve", "script"], "cannot import script: SystemExit: 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments(folder: Path, args: list[str], message: str) -> None:
    folder.joinpath("folder").mkdir()
    folder.joinpath("notes.txt").write_text("milk\n")
    folder.joinpath("broken.py").write_text("\nraise ValueError('two\\nlines')\n")
    folder.joinpath("incomplete.py").write_text("import chat.inside\nimport nowhere_else\n")
    folder.joinpath("unfinished.py").write_text("def app(:\n")
    folder.joinpath("script.py").write_text("import sys\nsys.exit(0)\n")
    assert message in error(*args, cwd=folder, code=2)


def test_an_import_error_shows_its_place_and_at_level_debug_its_traceback(tmp_path: Path) -> None:
    tmp_path.joinpath("broken.py").write_text("import helper\n")
    tmp_path.joinpath("helper.py").write_text("\n\n1 / 0\n")
    assert error("serve", "broken", cwd=tmp_path, code=2) == (
        "windsock: error: cannot import broken: ZeroDivisionError: division by zero "
        f"({tmp_path / 'helper.py'}, line 3)"
    )
    code, _, stderr = outcome("serve", "broken", "--log-level", "debug", cwd=tmp_path)
    assert code == 2
    assert "Traceback (most recent call last):" in stderr
    assert stderr[-1].startswith("windsock: error: cannot import broken")


# What can be wrong with the machine


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_port_in_use(folder: Path, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ["--transport", transport, "--port", port]
        expected = f"windsock: error: port {port} of 127.0.0.1 is in use"
        assert error("serve", "chat", *options, cwd=folder, code=1) == expected
        assert error("demo", *options, cwd=folder, code=1) == expected


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "nowhere.invalid"], "no such host: nowhere.invalid"),
        # RFC 5737: never the address of a machine.
        (["--host", "192.0.2.1"], "192.0.2.1 is not an address of this machine"),
        (["--unix", "no/folder/socket"], "cannot serve on no/folder/socket: "),
        (["--unix", "x" * 300], "cannot serve on xxx"),
    ],
)
def test_bad_addresses(folder: Path, transport: str, options: list[str], message: str) -> None:
    options = ["--transport", transport, *options]
    assert message in error("serve", "chat", *options, cwd=folder, code=1)


def make_certificate(folder: Path) -> tuple[trustme.CA, list[str]]:
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return ca, ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("nowhere.pem", "key.pem", "cannot read --tls-cert nowhere.pem: No such file"),
        ("cert.pem", "nowhere.pem", "cannot read --tls-key nowhere.pem: No such file"),
        ("folder", "key.pem", "cannot read --tls-cert folder: Is a directory"),
        ("chat.py", "key.pem", "--tls-cert chat.py is not a certificate in PEM"),
        ("key.pem", "key.pem", "--tls-cert key.pem is not a certificate in PEM"),
        ("cert.pem", "chat.py", "--tls-key chat.py is not a private key in PEM"),
        ("cert.pem", "cert.pem", "--tls-key cert.pem is not a private key in PEM"),
        ("cert.pem", "other.pem", "--tls-key other.pem does not belong to --tls-cert cert.pem"),
        ("cert.pem", "locked.pem", "--tls-key locked.pem is encrypted"),
    ],
)
def test_bad_certificates(folder: Path, cert: str, key: str, message: str) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    make_certificate(folder)
    folder.joinpath("folder").mkdir()
    other = trustme.CA().issue_cert("localhost").private_key_pem
    other.write_to_path(folder / "other.pem")
    locked = load_pem_private_key(other.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    folder.joinpath("locked.pem").write_bytes(locked)
    options = ["--tls-cert", cert, "--tls-key", key]
    assert message in error("serve", "chat", *options, cwd=folder, code=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file(folder: Path) -> None:  # pragma: no cover
    folder.joinpath("chat.py").chmod(0)
    line = error("serve", "chat.py", cwd=folder, code=1)
    assert "cannot read chat.py: Permission denied" in line


# Transports that other packages bring

TRANSPORT = """
import errno, json, signal

def run(app, *, host, port, unix, config, ssl_context, started):
    if port < 1024:
        raise PermissionError(errno.EACCES, "Permission denied")
    if port == 5000:
        raise KeyboardInterrupt
    if port == 5001:
        raise BaseExceptionGroup("nursery", [KeyboardInterrupt()])
    if port == 6000:
        raise OSError(errno.ENOBUFS, "No buffer space available")
    print(json.dumps([type(app).__name__, host, port, unix, config.max_message_size]))
    started(["pigeon://a", "pigeon://b"])
"""


@pytest.fixture
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package of two more transports."""
    site = tmp_path_factory.mktemp("site")
    site.joinpath("pigeons.py").write_text(TRANSPORT)
    site.joinpath("wingless.py").write_text("import feathers\n")
    site.joinpath("empty.py").write_text("")
    info = site / "pigeons-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\nProvides-Extra: wingless\n"
    )
    info.joinpath("entry_points.txt").write_text(
        textwrap.dedent(
            """
            [windsock.transports]
            pigeon = pigeons
            wingless = wingless
            other = wingless
            empty = empty
            """
        )
    )
    return site


def test_another_package_brings_a_transport(folder: Path, plugin: Path) -> None:
    args = ["serve", "chat", "--transport", "pigeon", "--host", ""]
    code, stdout, stderr = outcome(*args, cwd=folder, pythonpath=plugin)
    assert (code, stderr) == (0, [])
    assert json.loads(stdout[0]) == ["App", None, 8765, None, 1024 * 1024]
    assert stdout[1] == "windsock serving chat on pigeon: pigeon://a, pigeon://b"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--transport", "wingless"], 2, "needs 'feathers', which is not installed: "),
        (["--transport", "wingless"], 2, "pip install 'pigeons[wingless]'"),
        (["--transport", "other"], 2, "'other' cannot be imported: No module named 'feathers'"),
        (["--transport", "empty"], 2, "'empty' is broken: empty has no function run"),
        (["--transport", "none"], 2, "there are: asyncio, empty, other, pigeon, threads, trio, "),
        (["--transport", "pigeon", "--port", "80"], 1, "port 80 of 127.0.0.1 is not permitted"),
        (
            ["--transport", "pigeon", "--port", "6000"],
            1,
            "cannot serve on port 6000 of 127.0.0.1: No buffer space available",
        ),
    ],
)
def test_transports_that_fail(
    folder: Path, plugin: Path, options: list[str], code: int, message: str
) -> None:
    line = error("serve", "chat", *options, cwd=folder, code=code, pythonpath=plugin)
    assert message in line


@pytest.mark.parametrize("port", ["5000", "5001"])
def test_an_interrupt_is_no_traceback(folder: Path, plugin: Path, port: str) -> None:
    args = ["serve", "chat", "--transport", "pigeon", "--port", port]
    assert outcome(*args, cwd=folder, pythonpath=plugin) == (130, [], [])


@pytest.mark.parametrize("name", ["trio", "twisted"])
@pytest.mark.parametrize("command", [["serve", "chat"], ["demo"]])
def test_what_it_runs_on_is_missing(folder: Path, name: str, command: list[str]) -> None:
    script = (
        "import sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Missing(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {name!r}:\n"
        f"            raise ModuleNotFoundError('No module named ' + repr(name), name={name!r})\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from windsock.cli import main\n"
        f"sys.exit(main({command!r} + ['--transport', {name!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=DEADLINE
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"windsock: error: transport {name!r} needs {name!r}, which is not installed: "
        f"pip install 'windsock[{name}]'\n"
    )


# The demo


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_demo(tmp_path: Path, transport: str) -> None:
    with running("demo", "--transport", transport, "--port", "0", cwd=tmp_path) as command:
        line = command.first_line()
        assert re.fullmatch(rf"windsock demo on {transport}: http://127\.0\.0\.1:\d+", line)
        with urlopen(line.rsplit(": ", 1)[1], timeout=DEADLINE) as response:
            assert response.status == 200
        assert command.end() == 0


def test_demo_runs_on_trio_where_that_is_installed(tmp_path: Path) -> None:
    with running("demo", "--port", "0", cwd=tmp_path) as command:
        assert command.first_line().startswith("windsock demo on trio: ")
