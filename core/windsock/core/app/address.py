"""Socket addresses, as sockets give them and as people read them."""

from __future__ import annotations

from collections.abc import Sequence

Address = tuple[str, int] | str
"""Host and port of a TCP peer, or the path of a Unix socket ("" where it has none)."""


def address_of(name: Sequence[object] | str | bytes | None) -> Address | None:
    """What `getsockname` or `getpeername` gave; flow info and scope of IPv6 are left off."""
    if isinstance(name, tuple):
        return str(name[0]), int(str(name[1]))
    if isinstance(name, bytes):  # an abstract Unix socket (Linux)
        return name.decode("utf-8", "surrogateescape")
    return name if isinstance(name, str) else None


def address_url(address: Address, *, secure: bool) -> str:
    """The http(s) URL of a listening address; for a Unix socket, `unix:` and its path."""
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
