"""What every pair of a windsock and a peer must get through, and what a peer cannot do.

Each scenario is one test in test_our_servers.py and one in test_our_clients.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import pytest

SCENARIOS: Final = (
    "text",
    "binary",
    "empty messages",
    "unicode",
    "1 MiB",
    "peer sends fragments",
    "peer pings",
    "windsock pings",
    "subprotocol",
    "headers",
    "query string",
    "peer closes",
    "windsock closes",
    "rejection status",
    "rejection body",
    "peer sends at once",
    "windsock sends at once",
    "compression",
    "compression without context takeover",
    "compression declined",
    "TLS",
    "Unix socket",
    "IPv6",
)

_WAITS: Final = "it has no way to send together with its opening handshake"
_NO_EXTENSIONS: Final = "it has no extensions"
_ASGI_PING: Final = "ASGI has no Ping"
_ASGI_FRAGMENTS: Final = "ASGI has whole messages only"
_ASGI_TAKEOVER: Final = "the ASGI server negotiates compression, and has no setting for this"

_UVICORN_EARLY: Final = "uvicorn drops what comes together with the opening handshake"
_HYPERCORN_CLOSE: Final = "hypercorn tells the application 1006, whatever the Close frame says"

# (peer, scenario): why not. Peers are named as in clients/ and servers/.
CLIENTS_CANNOT: Final[dict[tuple[str, str], str]] = {
    ("trio-websocket", "peer sends fragments"): "its send_message sends whole messages only",
    ("trio-websocket", "compression"): _NO_EXTENSIONS,
    ("trio-websocket", "compression without context takeover"): _NO_EXTENSIONS,
    ("trio-websocket", "compression declined"): _NO_EXTENSIONS,
    ("websockets-asyncio", "peer sends at once"): _WAITS,
    ("websockets-trio", "peer sends at once"): _WAITS,
    ("websockets-threads", "peer sends at once"): _WAITS,
    ("trio-websocket", "peer sends at once"): _WAITS,
    ("aiohttp", "peer sends at once"): _WAITS,
    ("websocket-client", "peer sends at once"): _WAITS,
    ("node-ws", "peer sends at once"): _WAITS,
    ("aiohttp", "peer sends fragments"): "its public API sends whole messages only",
    ("aiohttp", "rejection body"): "its WSServerHandshakeError has no body",
    ("websocket-client", "compression"): _NO_EXTENSIONS,
    ("websocket-client", "compression without context takeover"): _NO_EXTENSIONS,
    ("websocket-client", "compression declined"): _NO_EXTENSIONS,
}

SERVERS_OF_OURS_CANNOT: Final[dict[tuple[str, str], str]] = {
    ("uvicorn-websockets", "peer sends at once"): _UVICORN_EARLY,
    ("uvicorn-wsproto", "peer sends at once"): _UVICORN_EARLY,
    ("uvicorn-websockets", "windsock pings"): _ASGI_PING,
    ("uvicorn-wsproto", "windsock pings"): _ASGI_PING,
    ("uvicorn-websockets", "compression without context takeover"): _ASGI_TAKEOVER,
    ("uvicorn-wsproto", "compression without context takeover"): _ASGI_TAKEOVER,
}

_ASGI_SERVERS: Final = (
    "uvicorn-websockets",
    "uvicorn-wsproto",
    "hypercorn-asyncio",
    "hypercorn-trio",
)

SERVERS_CANNOT: Final[dict[tuple[str, str], str]] = {
    ("trio-websocket", "peer sends fragments"): "its send_message sends whole messages only",
    ("trio-websocket", "compression"): _NO_EXTENSIONS,
    ("trio-websocket", "compression without context takeover"): _NO_EXTENSIONS,
    ("aiohttp", "peer sends fragments"): "its public API sends whole messages only",
    **{(server, "peer sends fragments"): _ASGI_FRAGMENTS for server in _ASGI_SERVERS},
    **{(server, "peer pings"): _ASGI_PING for server in _ASGI_SERVERS},
    ("trio-websocket", "Unix socket"): "its server fails at the name of a Unix listener",
    ("hypercorn-asyncio", "windsock closes"): _HYPERCORN_CLOSE,
    ("hypercorn-trio", "windsock closes"): _HYPERCORN_CLOSE,
    ("hypercorn-asyncio", "compression declined"): "it always accepts compression",
    ("hypercorn-trio", "compression declined"): "it always accepts compression",
}

ScenarioT = TypeVar("ScenarioT", bound=Callable[..., None])


def scenario(name: str) -> Callable[[ScenarioT], ScenarioT]:
    """Mark a test as the one of a scenario."""
    if name not in SCENARIOS:
        raise ValueError(f"{name!r} is not in SCENARIOS")
    return pytest.mark.scenario(name)
