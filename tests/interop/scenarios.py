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
    "message right after the handshake",
    "compression",
    "compression without context takeover",
    "compression declined",
    "TLS",
    "Unix socket",
    "IPv6",
)

# (peer, scenario): why not. Peers are named as in clients/ and servers/.
CLIENTS_CANNOT: Final[dict[tuple[str, str], str]] = {
    ("trio-websocket", "peer sends fragments"): "its send_message sends whole messages only",
    ("trio-websocket", "compression"): "it has no extensions",
    ("trio-websocket", "compression without context takeover"): "it has no extensions",
    ("trio-websocket", "compression declined"): "it has no extensions",
    ("aiohttp", "peer sends fragments"): "its public API sends whole messages only",
    ("aiohttp", "rejection body"): "its WSServerHandshakeError has no body",
    ("websocket-client", "compression"): "it has no extensions",
    ("websocket-client", "compression without context takeover"): "it has no extensions",
    ("websocket-client", "compression declined"): "it has no extensions",
}

_ASGI_TAKEOVER: Final = "the ASGI server negotiates compression, and has no setting for this"

SERVERS_OF_OURS_CANNOT: Final[dict[tuple[str, str], str]] = {
    ("uvicorn-websockets", "windsock pings"): "ASGI has no Ping",
    ("uvicorn-wsproto", "windsock pings"): "ASGI has no Ping",
    ("uvicorn-websockets", "compression without context takeover"): _ASGI_TAKEOVER,
    ("uvicorn-wsproto", "compression without context takeover"): _ASGI_TAKEOVER,
}

SERVERS_CANNOT: Final[dict[tuple[str, str], str]] = {}

ScenarioT = TypeVar("ScenarioT", bound=Callable[..., None])


def scenario(name: str) -> Callable[[ScenarioT], ScenarioT]:
    """Mark a test as the one of a scenario."""
    if name not in SCENARIOS:
        raise ValueError(f"{name!r} is not in SCENARIOS")
    return pytest.mark.scenario(name)
