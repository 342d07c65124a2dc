"""WebSockets without I/O: the protocol as a state machine, and the API of every transport."""

from .app.application import App, Application, as_app
from .app.blocking import BlockingWebSocket
from .app.link import Capabilities
from .app.request import Query, Request
from .app.response import Reject, Response
from .app.websocket import WebSocket
from .protocol.client import ClientConnection
from .protocol.config import Config, Deflate
from .protocol.connection import Connection
from .protocol.errors import (
    Disconnected,
    HandshakeError,
    LocalProtocolError,
    MessageTypeError,
    ProtocolError,
    RemoteProtocolError,
    WindsockError,
)
from .protocol.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Event,
    HandshakeRequested,
    HttpRequested,
    Opened,
    Ping,
    Pong,
    Refused,
    RequestHead,
    RequestRefused,
    Status,
)
from .protocol.headers import Headers
from .protocol.server import ServerConnection
from .protocol.state import State

__all__ = [
    "NEED_DATA",
    "PAUSED",
    "App",
    "Application",
    "BlockingWebSocket",
    "Capabilities",
    "ClientConnection",
    "Closed",
    "Config",
    "Connection",
    "Deflate",
    "Disconnected",
    "Event",
    "HandshakeError",
    "HandshakeRequested",
    "Headers",
    "HttpRequested",
    "LocalProtocolError",
    "MessageTypeError",
    "Opened",
    "Ping",
    "Pong",
    "ProtocolError",
    "Query",
    "Refused",
    "Reject",
    "RemoteProtocolError",
    "Request",
    "RequestHead",
    "RequestRefused",
    "Response",
    "ServerConnection",
    "State",
    "Status",
    "WebSocket",
    "WindsockError",
    "as_app",
]
