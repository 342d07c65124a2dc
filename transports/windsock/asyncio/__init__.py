"""windsock on asyncio: `serve` and `connect`, on any event loop that has transports."""

from ._client import connect
from ._run import run
from ._server import Server, serve

__all__ = ["Server", "connect", "run", "serve"]
