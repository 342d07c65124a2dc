"""Unix sockets: what lies at the path before and after."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

import windsock.asyncio
from tests.transports.handlers import echo
from windsock.core import WebSocket


def exists(path: str) -> bool:
    return os.path.exists(path)


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def read(path: str) -> str:
    return Path(path).read_text()


async def assert_echo(path: str) -> None:
    async with windsock.asyncio.connect("ws://localhost/", unix=path) as ws:
        await ws.send("near")
        assert await ws.receive() == "near"


async def test_serve_and_clean_up(socket_path: str) -> None:
    async with windsock.asyncio.serve(echo, unix=socket_path) as server:
        assert server.addresses == [socket_path]
        assert stat.S_ISSOCK(os.stat(socket_path).st_mode)
        await assert_echo(socket_path)
    assert not exists(socket_path)


async def test_clean_up_after_cancellation(socket_path: str) -> None:
    async def serve() -> None:
        async with windsock.asyncio.serve(echo, unix=socket_path) as server:
            started.set()
            await server.serve_forever()

    started = asyncio.Event()
    task = asyncio.create_task(serve())
    await started.wait()
    await assert_echo(socket_path)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not exists(socket_path)


async def test_a_stale_socket_is_replaced(socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(socket_path)
        gone.listen()
    async with windsock.asyncio.serve(echo, unix=socket_path):
        await assert_echo(socket_path)


async def test_a_socket_that_lives_is_left_alone(socket_path: str) -> None:
    async with windsock.asyncio.serve(echo, unix=socket_path):
        with pytest.raises(OSError) as taken:
            async with windsock.asyncio.serve(echo, unix=socket_path):
                pass
        assert taken.value.errno == errno.EADDRINUSE
        await assert_echo(socket_path)


async def test_a_file_is_left_alone(socket_path: str) -> None:
    write(socket_path, "precious")
    with pytest.raises(OSError) as taken:
        async with windsock.asyncio.serve(echo, unix=socket_path):
            pass
    assert taken.value.errno == errno.EADDRINUSE
    assert read(socket_path) == "precious"


async def test_the_path_is_the_server_s_address(socket_path: str) -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    async with windsock.asyncio.serve(report, unix=socket_path):
        async with windsock.asyncio.connect("ws://localhost/", unix=socket_path) as ws:
            assert await ws.receive_json() == ["", socket_path]


async def test_nobody_is_there(socket_path: str) -> None:
    with pytest.raises(FileNotFoundError):
        await assert_echo(socket_path)
