"""WebSockets without I/O: the protocol as a state machine, and the API of every transport."""

# Before any module of which there may be two.
from .protocol.compiled import prefer_source

prefer_source()

# ruff: noqa: E402
from .app.application import App, Application, as_app
from .app.blocking import BlockingWebSocket
from .app.codec import JSONCodec, MessageType
from .app.guards import AllowOrigins, BasicAuth, BearerToken, ConnectionLimit
from .app.link import Capabilities
from .app.marks import route
from .app.middleware import Middleware, apply_middleware
from .app.options import Limits
from .app.request import Query, Request
from .app.response import Reject, Response
from .app.router import Router
from .app.routing.table import WEBSOCKET
from .app.routing.values import Converter
from .app.styles.four_arguments import FourArgumentsRequest, FourArgumentsWebSocket, four_arguments
from .app.styles.generator import generator_handler, ws_accept, ws_close, ws_send
from .app.styles.plain import WebSocketRequest
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
    "WEBSOCKET",
    "AllowOrigins",
    "App",
    "Application",
    "BasicAuth",
    "BearerToken",
    "BlockingWebSocket",
    "Capabilities",
    "ClientConnection",
    "Closed",
    "Config",
    "Connection",
    "ConnectionLimit",
    "Converter",
    "Deflate",
    "Disconnected",
    "Event",
    "FourArgumentsRequest",
    "FourArgumentsWebSocket",
    "HandshakeError",
    "HandshakeRequested",
    "Headers",
    "HttpRequested",
    "JSONCodec",
    "Limits",
    "LocalProtocolError",
    "MessageType",
    "MessageTypeError",
    "Middleware",
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
    "Router",
    "ServerConnection",
    "State",
    "Status",
    "WebSocket",
    "WebSocketRequest",
    "WindsockError",
    "apply_middleware",
    "as_app",
    "four_arguments",
    "generator_handler",
    "route",
    "ws_accept",
    "ws_close",
    "ws_send",
]
