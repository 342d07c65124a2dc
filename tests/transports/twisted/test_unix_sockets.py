"""Unix sockets: what lies at the path before and after, and who may use it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

import windsock.twisted
from tests.transports.handlers import echo
from windsock.core import WebSocket


def exists(path: str) -> bool:
    return os.path.exists(path)


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def assert_echo(path: str) -> None:
    async with windsock.twisted.connect("ws://localhost/", unix=path) as ws:
        await ws.send("near")
        assert await ws.receive() == "near"


async def test_serve_and_clean_up(socket_path: str) -> None:
    async with windsock.twisted.serve(echo, unix=socket_path) as server:
        assert server.addresses == [socket_path]
        await assert_echo(socket_path)
    assert not exists(socket_path)


async def test_who_may_connect_is_the_umasks_to_say(socket_path: str) -> None:
    before = os.umask(0o077)
    try:
        async with windsock.twisted.serve(echo, unix=socket_path):
            assert mode(socket_path) == 0o700
            await assert_echo(socket_path)
    finally:
        os.umask(before)


async def test_a_path_that_somebody_else_has_removed(socket_path: str) -> None:
    async with windsock.twisted.serve(echo, unix=socket_path):
        await assert_echo(socket_path)
        os.unlink(socket_path)


async def test_a_stale_socket_is_replaced(socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(socket_path)
        gone.listen()
    async with windsock.twisted.serve(echo, unix=socket_path):
        await assert_echo(socket_path)


async def test_a_socket_that_lives_is_left_alone(socket_path: str) -> None:
    async with windsock.twisted.serve(echo, unix=socket_path):
        with pytest.raises(OSError) as taken:
            async with windsock.twisted.serve(echo, unix=socket_path):
                pass
        assert taken.value.errno == errno.EADDRINUSE
        await assert_echo(socket_path)


async def test_a_file_is_left_alone(socket_path: str) -> None:
    Path(socket_path).write_text("precious")  # noqa: ASYNC240  # it is small
    with pytest.raises(OSError) as taken:
        async with windsock.twisted.serve(echo, unix=socket_path):
            pass
    assert taken.value.errno == errno.EADDRINUSE
    assert Path(socket_path).read_text() == "precious"  # noqa: ASYNC240


async def test_the_path_is_the_server_s_address(socket_path: str) -> None:
    async def report(ws: WebSocket) -> None:
        async with ws:
            await ws.send_json([ws.request.client, ws.request.server])

    async with windsock.twisted.serve(report, unix=socket_path):
        async with windsock.twisted.connect("ws://localhost/", unix=socket_path) as ws:
            assert await ws.receive_json() == ["", socket_path]


async def test_tls_on_a_unix_socket(socket_path: str, server_tls: Any, trusted: None) -> None:
    async with windsock.twisted.serve(echo, unix=socket_path, tls=server_tls):
        async with windsock.twisted.connect("wss://localhost/", unix=socket_path) as ws:
            await ws.send("near")
            assert await ws.receive() == "near"


async def test_nobody_is_there(socket_path: str) -> None:
    with pytest.raises(FileNotFoundError):
        await assert_echo(socket_path)


async def test_too_many_open_files_are_no_end(
    socket_path: str, reactor: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """It tries again a second later."""
    adopt, failed = reactor.adoptStreamConnection, []

    def fail_once(*args: Any) -> Any:
        if failed:
            return adopt(*args)
        failed.append(args)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(reactor, "adoptStreamConnection", fail_once)
    async with windsock.twisted.serve(echo, unix=socket_path):
        with pytest.raises((windsock.core.HandshakeError, OSError)):
            await assert_echo(socket_path)
        await assert_echo(socket_path)
    assert "Too many open files" in caplog.text
    caplog.clear()
