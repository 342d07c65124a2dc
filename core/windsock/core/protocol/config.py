"""Limits and timeouts. Every default is finite; sizes are in bytes, times in seconds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import cast

from .headers import is_visible_ascii


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflate:
    """How this side uses permessage-deflate (RFC 7692). Compression is off unless configured.

    The defaults compress well, not best, and spare memory: a connection that has sent and received
    something compressed holds about 50 KiB for it, where zlib's largest windows take 300 and make
    JSON about a tenth smaller. One that has not holds nothing.

    Compressing secrets together with data that a peer chooses leaks the secrets by size
    (CRIME, BREACH): leave it off where both meet in one message.
    """

    server_max_window_bits: int = 12
    """Base-2 logarithm of the server's LZ77 window, 9 to 15 (§7.1.2.1)."""
    client_max_window_bits: int = 12
    """The same for the client (§7.1.2.2)."""
    server_no_context_takeover: bool = False
    """Whether the server forgets its window after each message (§7.1.1.1)."""
    client_no_context_takeover: bool = False
    """The same for the client (§7.1.1.2)."""
    level: int = 6
    """zlib's compression level, 0 to 9."""
    memory_level: int = 5
    """zlib's memLevel, 1 to 9: memory of the compressor."""

    def __post_init__(self) -> None:
        _check_range(self, "server_max_window_bits", 9, 15)
        _check_range(self, "client_max_window_bits", 9, 15)
        _check_range(self, "level", 0, 9)
        _check_range(self, "memory_level", 1, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Limits and timeouts of one connection.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    max_head_size: int = 16 * 1024
    """Request or status line and header fields together, in bytes; more is refused with 431."""
    max_header_count: int = 100
    """Header fields of one request or response; more are refused with 431."""
    max_body_size: int = 64 * 1024
    """Body of a plain HTTP request, in bytes; more is refused with 413."""
    max_message_size: int = 1024 * 1024
    """One message, in bytes, after decompression; more closes 1009."""
    max_fragments: int = 4096
    """Frames of one message; more close 1009."""
    inbox_high_water: int = 256 * 1024
    """Bytes of unread messages from which on nothing more is read from the peer. Each message
    counts its size plus a small constant, so a flood of empty ones is bounded too."""
    write_high_water: int = 64 * 1024
    """Bytes waiting to be written from which on `send` waits."""
    open_timeout: float = 10.0
    """Seconds from the start of the connection to the end of the opening handshake."""
    close_timeout: float = 10.0
    """Seconds from the first Close frame to the end of the connection."""
    write_timeout: float = 30.0
    """Seconds for which the peer may take nothing of what waits to be written."""
    ping_interval: float = 20.0
    """Seconds of silence after which the peer is sent a Ping."""
    ping_timeout: float = 20.0
    """Seconds after that Ping in which something must arrive, else the connection fails 1011."""
    message_timeout: float = 60.0
    """Seconds from the first byte of a message's first incomplete frame to its last, else 1008."""
    max_worker_threads: int = 512
    """Handlers that block and run at a time, each in a thread: plain functions, and on threads all
    of them. More are refused with 503."""
    shutdown_timeout: float = 10.0
    """Seconds that a server's graceful shutdown waits for its open connections."""
    origins: tuple[str, ...] = ()
    """Origins that may open a WebSocket besides the server's own, such as
    `"https://app.example"`; `"*"` allows all. Requests without Origin are not from browsers and
    pass (RFC 6455 §10.2)."""
    compression: Deflate | None = None
    """permessage-deflate, None for off."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {"origins", "compression"}:
                continue
            kind = int if field.name.startswith("max_") or "water" in field.name else (int, float)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"Config.{field.name} must be a number, not {value!r}")
            if not 0 < value < float("inf"):
                raise ValueError(
                    f"Config.{field.name} must be finite and greater than 0, not {value!r}"
                )
            if value > sys.maxsize:
                raise ValueError(f"Config.{field.name} must be at most {sys.maxsize}")
        if not _are_origins(self.origins):
            raise ValueError(
                "Config.origins must be a tuple of origins such as "
                f'("https://app.example",), not {self.origins!r}'
            )


def _are_origins(origins: object) -> bool:
    return isinstance(origins, tuple) and all(
        isinstance(origin, str) and is_visible_ascii(origin)
        for origin in cast("tuple[object, ...]", origins)
    )


def _check_range(owner: Deflate, name: str, low: int, high: int) -> None:
    value = getattr(owner, name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"Deflate.{name} must be from {low} to {high}, not {value!r}")
