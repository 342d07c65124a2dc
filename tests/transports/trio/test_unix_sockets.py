"""Unix sockets: what lies at the path before and after."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest
import trio

import windsock.trio
from tests.transports.handlers import echo
from windsock.core import WebSocket

from .running import serving


def exists(path: str) -> bool:
    return os.path.exists(path)


async def assert_echo(path: str) -> None:
    async with windsock.trio.connect("ws://localhost/", unix=path) as ws:
        await ws.send("near")
        assert await ws.receive() == "near"


async def test_serve_and_clean_up(socket_path: str) -> None:
    async with serving(echo, unix=socket_path) as server:
        assert server.addresses == [socket_path]
        assert stat.S_ISSOCK(os.stat(socket_path).st_mode)
        await assert_echo(socket_path)
    assert not exists(socket_path)


async def test_clean_up_after_cancellation(socket_path: str) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: _serve(socket_path, task_status))
        await assert_echo(socket_path)
        nursery.cancel_scope.cancel()
    assert not exists(socket_path)


async def _serve(path: str, task_status: trio.TaskStatus[windsock.trio.Server]) -> None:
    await windsock.trio.serve(echo, unix=path, task_status=task_status)


async def test_a_stale_socket_is_replaced(socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(socket_path)
        gone.listen()
    async with serving(echo, unix=socket_path):
        await assert_echo(socket_path)


async def test_a_socket_that_lives_is_left_alone(socket_path: str) -> None:
    async with serving(echo, unix=socket_path):
        with pytest.raises(OSError) as taken:
            await windsock.trio.serve(echo, unix=socket_path)
        assert taken.value.errno == errno.EADDRINUSE
        await assert_echo(socket_path)


async def test_a_file_is_left_alone(socket_path: str) -> None:
    with open(socket_path, "w") as file:  # noqa: ASYNC230  # a test may wait for its disk
        file.write("precious")
    with pytest.raises(OSError) as taken:
        await windsock.trio.serve(echo, unix=socket_path)
    assert taken.value.errno == errno.EADDRINUSE
    with open(socket_path) as file:  # noqa: ASYNC230
        assert file.read() == "precious"


async def test_the_path_is_the_server_s_address(socket_path: str) -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    async with serving(report, unix=socket_path):
        async with windsock.trio.connect("ws://localhost/", unix=socket_path) as ws:
            assert await ws.receive_json() == ["", socket_path]


async def test_nobody_is_there(socket_path: str) -> None:
    with pytest.raises(FileNotFoundError):
        await assert_echo(socket_path)
