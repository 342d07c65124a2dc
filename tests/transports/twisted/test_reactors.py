"""Other reactors, each in a process of its own, in which every warning is an error."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import gc
import sys
import threading
import warnings
from twisted.internet import {name}
{name}.install()
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from windsock import twisted
from windsock.core import BlockingWebSocket, Disconnected

# Twisted keeps a spare file descriptor all its life.
warnings.filterwarnings("ignore", message=".*/dev/null")

async def echo(ws):
    async with ws:
        async for message in ws:
            await ws.send(message)

def block(ws):
    try:
        BlockingWebSocket(ws, ws.link).receive()
    except Disconnected as end:
        print("told", end.code)

async def main(reactor):
    print(type(reactor).__name__)
    async with twisted.serve(echo, unix=sys.argv[1]):
        async with twisted.connect("ws://localhost/", unix=sys.argv[1]) as ws:
            await ws.send("near")
            print(await ws.receive())
    async with twisted.serve(echo) as server:
        host, port = server.addresses[0]
        async with twisted.connect(f"ws://{{host}}:{{port}}/") as ws:
            for message in ("hello", bytes(900_000)):
                await ws.send(message)
                assert await ws.receive() == message
            assert await ws.ping() > 0
            assert await ws.link.to_thread(lambda: BlockingWebSocket(ws, ws.link).ping()) > 0
        print(ws.code)
    global serving, connecting, thread  # what is left open when the reactor stops
    serving = twisted.serve(echo)
    host, port = (await serving.__aenter__()).addresses[0]
    connecting = twisted.connect(f"ws://{{host}}:{{port}}/")
    ws = await connecting.__aenter__()
    thread = threading.Thread(target=block, args=(ws,))
    thread.start()

try:
    react(lambda reactor: ensureDeferred(main(reactor)))
finally:
    thread.join(10)
    gc.collect()
"""


@pytest.mark.parametrize(
    ("name", "reactor"),
    [
        ("asyncioreactor", "AsyncioSelectorReactor"),
        ("selectreactor", "SelectReactor"),
        ("pollreactor", "PollReactor"),
    ],
)
def test_another_reactor(name: str, reactor: str, socket_path: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(name=name), socket_path],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout.splitlines() == [reactor, "near", "1000", "told 1006"], done.stderr
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "/dev/null" not in line] == []
