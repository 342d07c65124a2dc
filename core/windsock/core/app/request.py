"""The HTTP request that a WebSocket was opened with, or that a plain HTTP handler answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote

from windsock.core.protocol.events import RequestHead
from windsock.core.protocol.headers import Headers

from .address import Address


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


class Request:
    """A request, read-only; everything derived is computed when asked for."""

    __slots__ = ("body", "client", "head", "scheme", "server", "subprotocols")

    def __init__(
        self,
        head: RequestHead,
        *,
        subprotocols: tuple[str, ...] = (),
        body: bytes = b"",
        scheme: str = "ws",
        client: Address | None = None,
        server: Address | None = None,
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

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"

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
        """The path as sent, percent-encoded."""
        path = self.target.partition("?")[0]
        if path.startswith("/"):
            return path
        # The absolute form that proxies are sent (RFC 9112 §3.2.2), of whatever authority; the
        # other forms have no path.
        return "/" + path.partition("://")[2].partition("/")[2]

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
    def cookies(self) -> Mapping[str, str]:
        """The cookies, the first of each name."""
        # Imported here: werkzeug's package imports sockets and threads, which the core must not.
        from werkzeug.sansio.http import parse_cookie

        return dict(parse_cookie("; ".join(self.headers.get_all("cookie"))).items())
