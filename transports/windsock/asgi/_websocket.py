"""The `WebSocket` in an ASGI host: what nearly always happens, by a short cut."""

from __future__ import annotations

from typing import Any

from windsock.core import WebSocket
from windsock.core.app.steps import in_steps
from windsock.core.protocol.connection import Message

from ._exchange import (
    begin_receive,
    begin_send,
    begin_send_untyped,
    end_receive,
    end_send,
    link_of,
    note_receiver,
)

_receiving = in_steps(begin_receive, note_receiver, end_receive)


class HostedWebSocket(WebSocket):
    """A WebSocket whose host gives and takes one message at a time.

    A message goes from the host to the task that waits for it, and from the task that sends it to
    the host, past the inbox and the output, where there is nothing in them.
    """

    __slots__ = ()

    __anext__ = _receiving(WebSocket.__anext__)
    receive = _receiving(WebSocket.receive)

    @in_steps(begin_send_untyped, None, end_send, least=2)
    async def _send(self, data: Message) -> None:
        await link_of(self).send_behind(data)

    @in_steps(begin_send, None, end_send, least=2)
    async def send(self, data: Any) -> None:
        """As `WebSocket.send`."""
        if self._send_type is None:
            await link_of(self).send_behind(data)
        else:
            await super().send(data)
