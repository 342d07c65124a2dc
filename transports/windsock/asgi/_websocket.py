"""The `WebSocket` in an ASGI host: what nearly always happens, by a short cut."""

from __future__ import annotations

from typing import Any

from windsock.core import WebSocket
from windsock.core.app.messages import UNSET
from windsock.core.protocol.connection import Message

from ._link import AsgiLink


class HostedWebSocket(WebSocket):
    """A WebSocket whose host gives and takes one message at a time.

    A message goes from the host to the task that waits for it, and from the task that sends it to
    the host, past the inbox and the output, where there is nothing in them.
    """

    __slots__ = ()

    _link: AsgiLink

    # These return the link's coroutines, since one inside the other is resumed with it each time.

    def __anext__(self) -> Any:
        if self._receive_type is None:
            return self._link.read(WebSocket.__anext__, self)
        return super().__anext__()

    def receive(self, default: Any = UNSET) -> Any:
        if self._receive_type is None:
            return self._link.read(WebSocket.receive, self, default)
        return super().receive(default)

    def send(self, data: Any) -> Any:
        return self._link.send(data) if self._send_type is None else super().send(data)

    def _send(self, data: Message) -> Any:
        return self._link.send(data)
