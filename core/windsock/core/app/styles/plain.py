"""Plain functions: `def handler(request, **path_params)`, which may block."""

from __future__ import annotations

from typing import Any

from windsock.core.app.blocking import BlockingWebSocket
from windsock.core.app.request import Query, Request
from windsock.core.app.response import Response
from windsock.core.protocol.headers import HeaderFields


class WebSocketRequest(Request):
    """The opening handshake, for a function that accepts or rejects it and blocks meanwhile."""

    __slots__ = ("_accepted", "_rejected", "_websocket")

    def __init__(self, websocket: BlockingWebSocket) -> None:
        asked = websocket.request
        for name in Request.__slots__:
            setattr(self, name, getattr(asked, name))
        self._websocket = websocket
        self._accepted = False
        self._rejected = False

    @property
    def method(self) -> str:
        """The method that routes know WebSockets by."""
        return "WEBSOCKET"

    @property
    def state(self) -> dict[str, Any]:
        """Free for the application's own use; that of the WebSocket, too."""
        return self._websocket.state

    @property
    def scope(self) -> dict[str, Any]:
        """The request as ASGI describes it; that of the WebSocket, too."""
        return self._websocket.request.scope

    @property
    def websocket(self) -> BlockingWebSocket:
        """The WebSocket, accepted or not: for `receive_event` and `send_event`, say."""
        return self._websocket

    @property
    def args(self) -> Query:
        """The parameters of the query string."""
        return self.query

    @property
    def remote_addr(self) -> str | None:
        """The peer's address without its port."""
        return self.client[0] if isinstance(self.client, tuple) else self.client

    def accept(
        self,
        subprotocol: str | None = None,
        headers: HeaderFields | None = None,
        timeout: float | None = None,
    ) -> BlockingWebSocket:
        """Open the WebSocket; `with request.accept() as websocket:` closes it at the end.

        Args:
            subprotocol: one of `subprotocols`, or None.
            headers: further fields for the 101 response.
            timeout: seconds to wait at most.

        Raises:
            LocalProtocolError: accepted or rejected already; a subprotocol that was not offered;
                a header field that cannot be sent.
            Disconnected: the client has gone.
            TimeoutError: the time is over.
        """
        self._websocket.accept(subprotocol, headers or (), timeout)
        self._accepted = True
        return self._websocket

    def reject(
        self,
        status: int | Response = 403,
        headers: HeaderFields = (),
        body: str | bytes = b"",
        timeout: float | None = None,
    ) -> None:
        """Answer with an HTTP response instead, by default 403.

        Raises:
            LocalProtocolError: accepted or rejected already; a response that cannot be sent.
            Disconnected: the client has gone.
            TimeoutError: the time is over.
        """
        self._websocket.reject(status, headers, body, timeout)
        self._rejected = True

    def is_upgraded(self) -> bool:
        """Whether it was accepted."""
        return self._accepted

    def is_rejected(self) -> bool:
        """Whether it was rejected."""
        return self._rejected

    def close(self) -> None:
        """Reject with 403, unless it is accepted or rejected already."""
        if not (self._accepted or self._rejected):
            self.reject()
