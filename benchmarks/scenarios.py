"""What is measured: the scenarios, by name."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Final

from .servers import Feature

KIB: Final = 1024
MIB: Final = 1024 * 1024


class Kind(enum.Enum):
    """How a scenario is run and what its figure is."""

    THROUGHPUT = "messages/s"
    HANDSHAKES = "handshakes/s"
    MEMORY = "KiB/connection"
    LATENCY = "µs (p99, flooded)"
    FANOUT = "deliveries/s"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return self not in {Kind.MEMORY, Kind.LATENCY}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: the same for every server that can take part."""

    name: str
    title: str
    kind: Kind = Kind.THROUGHPUT
    connections: int = 1
    window: int = 1
    """Messages in flight on each connection."""
    size: int = 32
    """Bytes of a message."""
    text: bool = True
    tls: bool = False
    deflate: bool = False
    """Payloads are JSON, compressed by the client one by one; answers must be compressed."""
    features: Feature = field(default=Feature.ECHO)
    """What a server must be able to do."""
    max_rounds: int | None = None
    """No more rounds than this, where repeating tells nothing new."""

    @property
    def in_flight(self) -> int:
        """Messages in flight on all connections together."""
        return self.connections * self.window

    def quick(self) -> Scenario:
        """Small enough for seeing in a moment that it works."""
        return replace(self, connections=min(self.connections, 100))


def _throughput(connections: int, window: int, size: int, *, tls: bool = False) -> Scenario:
    what = f"{size} B" if size < KIB else f"{size // KIB} KiB" if size < MIB else "1 MiB"
    name = f"{connections}x{window}x{what.replace(' ', '')}"
    return Scenario(
        f"tls-{name}" if tls else name,
        f"{connections} × {window} × {what}{' over TLS' if tls else ''}",
        connections=connections,
        window=window,
        size=size,
        text=size <= KIB,
        tls=tls,
        features=Feature.ECHO | Feature.TLS if tls else Feature.ECHO,
    )


_ALL: Final = [
    _throughput(1, 1, 32),
    _throughput(64, 1, 32),
    _throughput(8, 32, 32),
    _throughput(8, 32, KIB),
    _throughput(8, 4, 16 * KIB),
    _throughput(2, 2, MIB),
    _throughput(64, 1, 32, tls=True),
    _throughput(8, 4, 16 * KIB, tls=True),
    Scenario(
        "deflate-8x4x1KiB",
        "8 × 4 × 1 KiB of JSON, permessage-deflate",
        connections=8,
        window=4,
        size=KIB,
        deflate=True,
        features=Feature.ECHO | Feature.DEFLATE,
    ),
    Scenario(
        "handshakes",
        "connect, open, close 1000; 16 at a time",
        Kind.HANDSHAKES,
        connections=16,
    ),
    *(
        Scenario(
            f"memory-{count}",
            f"{count} idle connections after one echo on each",
            Kind.MEMORY,
            connections=count,
            max_rounds=2,
        )
        for count in (2000, 10000)
    ),
    Scenario(
        "flood",
        "63 connections with a message every 50 ms, while one floods with 32 B",
        Kind.LATENCY,
        connections=63,
    ),
    Scenario(
        "fanout-1000",
        "one message of 32 B to 1,000 connections, then the next",
        Kind.FANOUT,
        connections=1000,
        features=Feature.ECHO | Feature.FANOUT,
    ),
]

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
"""Every scenario by name, in the order of the tables. Text up to 1 KiB, binary above."""


def can_take_part(features: Feature, scenario: Scenario) -> bool:
    """Whether a server with these features can be measured in the scenario."""
    if features is Feature.RAW:
        return scenario.kind is Kind.THROUGHPUT and not scenario.tls and not scenario.deflate
    return features & scenario.features == scenario.features
