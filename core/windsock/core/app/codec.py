"""What a message is made of: the types that a route can ask for, and JSON."""

from __future__ import annotations

import json
from typing import Any, Final, Literal, Protocol, get_args

MessageType = Literal["text", "bytes", "json", "event"]
"""What `receive` gives and `send` takes: str, bytes, whatever JSON can say, or ASGI's events."""

MESSAGE_TYPES: Final[tuple[str, ...]] = get_args(MessageType)


class JSONCodec(Protocol):
    """Anything that has both functions: the modules `json` and `orjson`, or an object with
    `msgspec.json.decode` and `encode` under these names."""

    def loads(self, data: Any, /) -> Any:
        """What a message, str or bytes, stands for."""

    def dumps(self, value: Any, /) -> str | bytes:
        """The message, which is sent as text."""
        ...


class _StdlibJSON:
    """The standard library's, without spaces and with characters as they are."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, /) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


STDLIB_JSON: Final[JSONCodec] = _StdlibJSON()
