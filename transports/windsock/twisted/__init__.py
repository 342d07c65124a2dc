"""windsock on Twisted: `serve`, `connect`, and `WebSocketFactory` for any endpoint.

The reactor is imported, and so chosen, only when it is first needed.
"""

from ._client import connect
from ._run import make_tls_context, run
from ._server import Server, WebSocketFactory, serve

__all__ = ["Server", "WebSocketFactory", "connect", "make_tls_context", "run", "serve"]
