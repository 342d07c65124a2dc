"""windsock on plain threads: a blocking `serve` and `connect`, without an event loop."""

from ._client import connect
from ._run import run
from ._server import Server, serve

__all__ = ["Server", "connect", "run", "serve"]
