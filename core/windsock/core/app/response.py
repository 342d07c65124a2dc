"""HTTP responses: to plain requests, and in place of a WebSocket."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, cast

from windsock.core.protocol.errors import WindsockError
from windsock.core.protocol.headers import HeaderFields, Headers

if TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException


class Response:
    """A complete HTTP response, read-only.

    Args:
        body: text (sent as UTF-8) or bytes.
        status: 200 to 599.
        headers: further header fields; Content-Length and Connection are set on sending.
        content_type: by default text/plain for text and application/octet-stream for bytes.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: str | bytes = b"",
        status: int = 200,
        headers: HeaderFields = (),
        *,
        content_type: str | None = None,
    ) -> None:
        self.body = body.encode() if isinstance(body, str) else body
        self.status = status
        fields = Headers(headers)
        if "content-type" not in fields and (self.body or content_type):
            if content_type is None:
                text = isinstance(body, str)
                content_type = "text/plain; charset=utf-8" if text else "application/octet-stream"
            fields = Headers([("Content-Type", content_type), *fields.items_as_sent()])
        self.headers = fields

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"

    @classmethod
    def html(cls, body: str, status: int = 200) -> Response:
        """A page."""
        return cls(body, status, content_type="text/html; charset=utf-8")

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Response:
        """`value` as JSON. Raises TypeError for what JSON cannot say."""
        return cls(json.dumps(value), status, content_type="application/json")


class Reject(WindsockError):
    """Raise this before accepting to answer the opening handshake with a response.

    Attributes:
        response: what the client gets.
    """

    def __init__(
        self, response: Response | int = 403, body: str | bytes = b"", **options: Any
    ) -> None:
        """Either a whole Response, or a status and what else makes one."""
        if not isinstance(response, Response):
            response = Response(body, response, **options)
        super().__init__(f"rejected with {response.status}")
        self.response = response


def response_in(error: BaseException) -> Response | None:
    """The response that `error` asks for, None where it is an error like any other.

    It is that of a `Reject`, of a werkzeug `HTTPException`, or of a group of nothing else.
    """
    if isinstance(error, Reject):
        return error.response
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        found = [response_in(inner) for inner in group.exceptions]
        return found[0] if None not in found else None
    # Whoever raises one has imported it; the core does not, as it would bring sockets along.
    exceptions = sys.modules.get("werkzeug.exceptions")
    if exceptions is None or not isinstance(error, exceptions.HTTPException):
        return None
    asks = cast("HTTPException", error)
    if asks.code is None and asks.response is None:
        return None
    made = asks.get_response()
    fields = [field for field in made.headers if field[0].lower() != "content-length"]
    return Response(made.get_data(), made.status_code, fields)
