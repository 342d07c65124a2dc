"""Is the installed package whole? Run by an interpreter that has windsock from a wheel.

    python -I smoke.py

Looks at what was installed, runs both commands, and sends one message through a server and a
client of each native transport. Exits non-zero, with a traceback, at the first thing amiss.
"""

import asyncio
import os
import socket
import subprocess
import sys
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path

import trio

import windsock
import windsock.asyncio
import windsock.threads
import windsock.trio
from windsock.core import App, WebSocket
from windsock.core.protocol import accelerator

HOST = "127.0.0.1"
TIMEOUT = 20.0  # seconds, for each transport
MESSAGE = "hello, wheel"

app = App()


@app.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send(message)


def check_files() -> None:
    """The package comes from this environment, as a namespace, with its data files."""
    assert getattr(windsock, "__file__", None) is None, "a stray windsock/__init__.py"
    roots = [Path(p) for p in windsock.__path__]
    for root in roots:
        assert root.is_relative_to(sys.prefix), f"windsock was imported from {root}"
    [root] = roots
    for package in ("core", "trio", "asyncio", "threads", "asgi"):
        import_module(f"windsock.{package}")
        assert (root / package / "py.typed").is_file(), f"{package}/py.typed is missing"
    assert list((root / "demo").glob("*.html")), "the demo's page is missing"
    names = {entry.name for entry in entry_points(group="windsock.transports")}
    assert names >= {"trio", "asyncio", "threads"}, names


def check_implementation() -> str:
    """Nothing compiled is used where the environment says so; what is used."""
    kinds = {"mypyc": accelerator.COMPILED, "a C compiler": accelerator.ACCELERATED}
    used = [kind for kind, is_used in kinds.items() if is_used]
    loaded = [module for name, module in sys.modules.items() if name.startswith("windsock")]
    files = [str(getattr(module, "__file__", None)) for module in loaded]
    compiled = [file for file in files if file.endswith((".so", ".pyd"))]
    assert bool(used) == bool(compiled), (used, compiled)
    assert not (used and os.environ.get("WINDSOCK_PURE")), compiled
    return f"compiled by {' and '.join(used)}" if used else "in Python"


def check_commands() -> None:
    script = str(Path(sys.executable).with_name("windsock"))
    for command in ([script], [sys.executable, "-I", "-m", "windsock"]):
        done = subprocess.run(
            [*command, "--help"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        assert "serve" in done.stdout, done.stdout


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


async def echo_on_trio(port: int) -> None:
    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(windsock.trio.serve, app, HOST, port))
            async with windsock.trio.connect(f"ws://{HOST}:{port}/echo") as ws:
                await ws.send(MESSAGE)
                assert await ws.receive() == MESSAGE
            nursery.cancel_scope.cancel()


async def echo_on_asyncio(port: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        async with windsock.asyncio.serve(app, HOST, port):
            async with windsock.asyncio.connect(f"ws://{HOST}:{port}/echo") as ws:
                await ws.send(MESSAGE)
                assert await ws.receive() == MESSAGE


def echo_on_threads(port: int) -> None:
    with windsock.threads.serve(app, HOST, port):
        with windsock.threads.connect(f"ws://{HOST}:{port}/echo") as ws:
            ws.send(MESSAGE, TIMEOUT)
            assert ws.receive(TIMEOUT) == MESSAGE


def main() -> None:
    check_files()
    implementation = check_implementation()
    check_commands()
    trio.run(echo_on_trio, free_port())
    asyncio.run(echo_on_asyncio(free_port()))
    echo_on_threads(free_port())
    name = f"windsock {version('windsock')} {implementation}"
    print(f"smoke: {name} echoes on trio, on asyncio and on threads")


if __name__ == "__main__":
    main()
