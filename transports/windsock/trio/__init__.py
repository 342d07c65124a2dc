"""windsock on trio: `serve` and `connect`, with structured concurrency respected."""

from ._client import connect, connect_stream
from ._run import run
from ._server import Server, serve, serve_listeners, serve_stream

__all__ = [
    "Server",
    "connect",
    "connect_stream",
    "run",
    "serve",
    "serve_listeners",
    "serve_stream",
]
