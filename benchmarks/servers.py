"""The list of servers: what runs them, what they need and what they can do."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from .programs.options import Options


class Feature(enum.Flag):
    """What a scenario may ask of a server."""

    ECHO = enum.auto()
    """WebSocket messages come back."""
    RAW = enum.auto()
    """Bytes come back: no WebSocket at all."""
    TLS = enum.auto()
    DEFLATE = enum.auto()
    FANOUT = enum.auto()
    """One message goes to all connections."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server program of the list."""

    name: str
    program: str
    """`module:function` in `benchmarks.programs`."""
    variant: str = ""
    """See `Options.variant`."""
    needs: tuple[str, ...] = ()
    """Modules without which it cannot run."""
    features: Feature = Feature.ECHO

    def missing(self) -> list[str]:
        """Which of `needs` are not installed."""
        return [module for module in self.needs if not _is_installed(module)]

    def load(self) -> Callable[[Options], None]:
        """The function that serves."""
        module, _, function = self.program.partition(":")
        found: Callable[[Options], None] = getattr(
            import_module(f"benchmarks.programs.{module}"), function
        )
        return found


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


_PLAIN: Final = Feature.ECHO | Feature.TLS | Feature.FANOUT
_FULL: Final = _PLAIN | Feature.DEFLATE


def _servers() -> list[Server]:
    own = "windsock_servers"
    found = [
        Server("windsock-trio", f"{own}:serve", "trio", ("windsock.trio", "trio"), _FULL),
        Server("windsock-asyncio", f"{own}:serve", "asyncio", ("windsock.asyncio",), _FULL),
    ]
    for loop in ("uvloop", "aiofastnet", "uvloop-aiofastnet"):
        needs = ("windsock.asyncio", *loop.split("-"))
        found.append(Server(f"windsock-{loop}", f"{own}:serve_on_loop", loop, needs, _FULL))
    found.append(
        Server("windsock-threads", f"{own}:serve_on_threads", "", ("windsock.threads",), _FULL)
    )
    found += _peers()
    found += _asgi()
    found += [
        Server("raw-asyncio", "raw:serve_asyncio", "asyncio", (), Feature.RAW),
        Server("raw-uvloop", "raw:serve_asyncio", "uvloop", ("uvloop",), Feature.RAW),
        Server("raw-trio", "raw:serve_trio", "stream", ("trio",), Feature.RAW),
        Server("raw-trio-socket", "raw:serve_trio", "socket", ("trio",), Feature.RAW),
    ]
    return found


def _peers() -> list[Server]:
    found: list[Server] = []
    for name, program, features in (
        ("picows-listener", "picows_servers:serve_listener", _PLAIN),
        ("picows-websockets", "picows_servers:serve_websockets", _FULL),
        ("websockets", "websockets_servers:serve_asyncio", _FULL),
        ("aiohttp", "aiohttp_server:serve", _FULL),
    ):
        package = name.partition("-")[0]
        for loop in ("asyncio", "uvloop"):
            needs = (package, loop)
            found.append(Server(f"{name}-{loop}", program, loop, needs, features))
    found += [
        Server(
            "websockets-trio",
            "websockets_servers:serve_trio",
            needs=("websockets.trio", "trio"),
            features=_FULL,
        ),
        Server(
            "trio-websocket",
            "trio_websocket_server:serve",
            needs=("trio_websocket",),
            features=_PLAIN,
        ),
    ]
    return found


HOSTS: Final = {
    "uvicorn-wsproto": ("uvicorn", "wsproto", ("uvicorn", "wsproto"), _FULL),
    "uvicorn-websockets": ("uvicorn", "websockets-sansio", ("uvicorn", "websockets"), _FULL),
    "hypercorn-asyncio": ("hypercorn", "asyncio", ("hypercorn",), _FULL),
    "hypercorn-trio": ("hypercorn", "trio", ("hypercorn", "trio"), _FULL),
    "granian": ("granian", "asyncio", ("granian",), _PLAIN),
}
"""ASGI servers by name: program, variant, what they need and what they can do."""


def _asgi() -> list[Server]:
    """Every host with the bare echo and with windsock; one with Starlette."""
    found: list[Server] = []
    for host, (program, variant, needs, features) in HOSTS.items():
        own_needs = (*needs, "windsock.asgi", "anyio")
        found += [
            Server(
                f"{application}-{host}",
                f"asgi_hosts:serve_{program}",
                f"{application}/{variant}",
                all_needs,
                features,
            )
            for application, all_needs in (("bare", needs), ("windsock", own_needs))
        ]
    found.append(
        Server(
            "starlette-uvicorn-websockets",
            "asgi_hosts:serve_uvicorn",
            "starlette/websockets-sansio",
            ("uvicorn", "websockets", "starlette"),
            _FULL,
        )
    )
    return found


SERVERS: Final = {server.name: server for server in _servers()}
"""Every server by name, in the order of the tables."""
