"""The HTTP request that a WebSocket was opened with, or that a plain HTTP handler answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from windsock.core.protocol.events import RequestHead
from windsock.core.protocol.headers import Headers

from .address import Address

if TYPE_CHECKING:
    from windsock.core.protocol.config import Config

    from .application import App
    from .link import Link


class Query(Mapping[str, str]):
    """The query string's parameters: `query["name"]` is the first value, `get_all` gives all."""

    __slots__ = ("_pairs",)

    def __init__(self, query_string: str) -> None:
        self._pairs = tuple(parse_qsl(query_string, keep_blank_values=True))

    def __getitem__(self, name: str) -> str:
        for key, value in self._pairs:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __repr__(self) -> str:
        return f"Query({list(self._pairs)!r})"

    def get_all(self, name: str) -> list[str]:
        """Every value of the parameter `name`, in order."""
        return [value for key, value in self._pairs if key == name]


@dataclass(frozen=True, slots=True)
class Served:
    """Where a plain HTTP request is served."""

    link: Link
    """Its transport."""
    config: Config
    """The server's limits and timeouts."""


class Request:
    """A request, read-only; everything derived is computed when asked for."""

    __slots__ = (
        "_scope",
        "_state",
        "app",
        "body",
        "client",
        "head",
        "origin_allowed",
        "path_params",
        "root_path",
        "scheme",
        "served",
        "server",
        "subprotocols",
    )

    def __init__(
        self,
        head: RequestHead,
        *,
        subprotocols: tuple[str, ...] = (),
        body: bytes = b"",
        scheme: str = "ws",
        client: Address | None = None,
        server: Address | None = None,
        scope: dict[str, Any] | None = None,
        served: Served | None = None,
    ) -> None:
        self.head = head
        """The request line and header fields."""
        self.subprotocols = subprotocols
        """What the client offers, in its order of preference."""
        self.body = body
        """The body of a plain HTTP request."""
        self.scheme = scheme
        """`ws` or `wss` for a WebSocket, `http` or `https` else."""
        self.client = client
        """The peer's address."""
        self.server = server
        """The address it connected to."""
        self.served = served
        """Plain HTTP on servers: where; a WebSocket knows itself."""
        self.origin_allowed = True
        """WebSockets on servers: whether `Config.origins` lets in the page that opens it."""
        self.app: App | None = None
        """Servers: the application that handles it, the innermost where one is mounted."""
        self.path_params: dict[str, Any] = {}
        """What the route's placeholders stand for."""
        self.root_path = ""
        """Where in the server the application is mounted, percent-encoded; "" at its root."""
        self._state: dict[str, Any] | None = None
        self._scope = scope

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"

    @property
    def request(self) -> Request:
        """Itself, as `WebSocket.request`: a middleware need not ask which of both it has."""
        return self

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.head.method

    @property
    def target(self) -> str:
        """The request target as sent."""
        return self.head.target

    @property
    def http_version(self) -> str:
        """The HTTP version, such as "1.1"."""
        return self.head.http_version

    @property
    def headers(self) -> Headers:
        """The header fields, looked up without regard to case."""
        return self.head.headers

    @property
    def raw_path(self) -> str:
        """The path as sent, percent-encoded; below `root_path`."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):
            # The absolute form that proxies are sent (RFC 9112 §3.2.2), of whatever authority; the
            # other forms have no path.
            path = "/" + path.partition("://")[2].partition("/")[2]
        return path[len(self.root_path) :] or "/"

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.raw_path)

    @property
    def query_string(self) -> str:
        """What follows the first "?" of the target, percent-encoded."""
        return self.target.partition("?")[2]

    @property
    def query(self) -> Query:
        """The parameters of the query string, decoded."""
        return Query(self.query_string)

    @property
    def url(self) -> str:
        """The whole URL as the client sees it, by its Host field."""
        if not self.target.startswith("/"):
            return self.target
        return f"{self.scheme}://{self.headers.get('host', '')}{self.target}"

    @property
    def state(self) -> dict[str, Any]:
        """Free for the application's own use; begins with what its lifespan gave."""
        if self._state is None:
            self._state = {} if self.app is None else dict(self.app.state)
        return self._state

    @property
    def scope(self) -> dict[str, Any]:
        """The request as ASGI describes it. In an ASGI host it is a copy of the host's own.

        What is changed or added here stays.
        """
        if self._scope is None:
            self._scope = self._make_scope()
        return self._scope

    def enter(self, prefix: str) -> None:
        """Go on below `prefix`, percent-encoded, where an application is mounted."""
        self.root_path += prefix
        if self._scope is not None:
            self._scope["root_path"] = self._scope.get("root_path", "") + unquote(prefix)

    def _make_scope(self) -> dict[str, Any]:
        websocket = self.scheme in {"ws", "wss"}
        scope: dict[str, Any] = {
            "type": "websocket" if websocket else "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self.http_version,
            "scheme": self.scheme,
            "path": unquote(self.root_path) + self.path,
            "raw_path": (self.root_path + self.raw_path).encode("latin-1"),
            "query_string": self.query_string.encode("latin-1"),
            "root_path": unquote(self.root_path),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in self.headers.items_as_sent()
            ],
            "client": _scope_address(self.client),
            "server": _scope_address(self.server),
            "extensions": {},
            "state": self.state,
        }
        if websocket:
            scope["subprotocols"] = list(self.subprotocols)
        else:
            scope["method"] = self.method
        return scope

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, the first of each name."""
        # Imported here: werkzeug's package imports sockets and threads, which the core must not.
        from werkzeug.sansio.http import parse_cookie

        return dict(parse_cookie("; ".join(self.headers.get_all("cookie"))).items())


def _scope_address(address: Address | None) -> tuple[str, int | None] | None:
    if not isinstance(address, str):
        return address
    return (address, None) if address else None  # most clients' sockets have no name
