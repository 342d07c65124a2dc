"""What the suite asserts, and every place where a host makes something else happen.

`BEHAVIOURS` has a line for everything that is the same on every transport; each test is marked
with one of them. `EXCEPTIONS` is the only place where a host may differ: the test asserts what
happens instead, unless there is nothing to assert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

BEHAVIOURS: Final[Mapping[str, str]] = {
    # the application's decision
    "undecided": "a handler that decides nothing: 403, and a warning in the log",
    "raise-before-accept": "a handler that raises before accept: 500, and a traceback in the log",
    "raise-reject": "raising Reject before accept sends its response",
    "close-before-accept": "close() before accept: 403",
    "reject": "reject() sends status, headers and body",
    "wrong-order": "what is not allowed now raises LocalProtocolError and changes nothing",
    "subprotocol": "accept() chooses one of the subprotocols that the client offers",
    "accept-headers": "accept() puts header fields on the 101, and refuses harmful ones",
    "gone-before-accept": "a client that leaves before accept is noticed; accept raises",
    "early-data": "messages sent along with the handshake, or before accept, are not lost",
    "return-after-accept": "a handler that returns after accept: close 1000",
    "raise-after-accept": "a handler that raises after accept: close 1011, and a traceback",
    # the request
    "request": "request: method, path, query, headers, cookies, scheme, version, subprotocols",
    "header-casing": "header names keep the casing they were sent in",
    "addresses": "request.client and request.server are the two ends of the connection",
    "path-params": "placeholders of the path are decoded arguments, and ws.path_params",
    "routes": "paths lead to handlers; no route: 404",
    "state": "ws.state belongs to one connection",
    "capabilities": "ws.capabilities says what the host cannot do",
    # plain HTTP
    "http": "plain HTTP handlers answer on the same port",
    "http-errors": "plain HTTP: 404, 405 with Allow, 426 where only WebSockets are served, 500",
}


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a host does instead."""

    instead: str
    why: str
    expect: Any = None
    """What the test asserts in place of the rule."""
    tested: bool = True
    """False where there is nothing to assert: the test is skipped, with all this for its reason."""


EXCEPTIONS: Final[Mapping[tuple[str, str], Deviation]] = {}

WITHOUT_WIRE: Final[Mapping[str, str]] = {
    "memory": "events go from hand to hand, so there are no bytes to send or to look at",
}
"""Hosts over which tests that look at bytes cannot run, and why."""
