"""What every server program is told."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
MAX_MESSAGE: Final = 2 * 1024 * 1024
"""Bytes that every server takes in one message, where it can be told."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve. Every program echoes; none logs accesses or compresses unless told."""

    port: int
    """Where to listen, on 127.0.0.1."""
    variant: str = ""
    """Which of a program's variants: an event loop, a host, a framework."""
    fanout: bool = False
    """Send every message to all connections instead of echoing it."""
    deflate: bool = False
    """Take permessage-deflate when it is offered."""
    certificate: Path | None = None
    """Certificate chain in PEM: serve TLS."""
    key: Path | None = None
    """Its private key in PEM."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """The context to serve TLS with, if that is wanted."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context
