"""The `WebSocket` in an ASGI host: what nearly always happens, by a short cut."""

from __future__ import annotations

from typing import Any

from windsock.core import WebSocket
from windsock.core.app.steps import in_steps
from windsock.core.protocol.connection import Message

from . import _link as link


class HostedWebSocket(WebSocket):
    """A WebSocket whose host gives and takes one message at a time.

    A message goes from the host to the task that waits for it, and from the task that sends it to
    the host, past the inbox and the output, where there is nothing in them.
    """

    __slots__ = ()

    _READING = (link.begin_receive, link.note_receiver, link.end_receive)

    __anext__ = in_steps(*_READING, WebSocket.__anext__)
    receive = in_steps(*_READING, WebSocket.receive)

    async def _send_behind(self, data: Message) -> None:
        await link.link_of(self).send_behind(data)

    _send = in_steps(link.begin_send_untyped, None, link.end_send, _send_behind, least=2)

    async def _send_otherwise(self, data: Any) -> None:
        await (self._send_behind(data) if self._send_type is None else super().send(data))

    send = in_steps(link.begin_send, None, link.end_send, _send_otherwise, least=2)
