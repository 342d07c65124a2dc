"""Log lines: what a peer sends cannot forge them."""

from __future__ import annotations

import logging

import pytest

from windsock.core import WebSocket

from .log import Log
from .sites import Site


@pytest.mark.behaviour("log-lines")
@pytest.mark.parametrize("target", ["/%1b[31m%0d%0aforged", "/caf%C3%A9?q=%0aforged"])
def test_a_target_with_encoded_control_characters_is_one_line(
    site: Site, log: Log, target: str
) -> None:
    async def handler(ws: WebSocket) -> None:
        assert ws.request.path != target

    with site.knock(handler, target) as peer:
        assert peer.answer.status == 403
    line = log.take(logging.WARNING, "returned without accept or reject").getMessage()
    assert line.isprintable()
    assert line.isascii()


@pytest.mark.behaviour("log-lines")
def test_the_log_says_which_request_failed(site: Site, log: Log) -> None:
    error = RuntimeError("in the handler")

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise error

    with site.connect(handler, "/room/7?q=1") as peer:
        peer.receive()
    assert "GET /room/7?q=1" in log.take_failure(error).getMessage()
