"""What compressed messages carry: JSON documents of 1 KiB, compressed as any client might."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_COUNT: Final = 64
_CITIES: Final = ("Amsterdam", "Bogotá", "Chennai", "Dakar", "Edinburgh", "Fukuoka", "Genève")


def documents(size: int, count: int = _COUNT) -> list[bytes]:
    """Different JSON documents of exactly `size` bytes each, at least 256; always the same ones."""
    numbers = random.Random(6455)
    found: list[bytes] = []
    for index in range(count):
        readings: list[dict[str, object]] = []
        document: dict[str, object] = {"id": index, "readings": readings, "note": ""}
        while len(text := _encode(document)) < size - 100:
            readings.append(
                {
                    "city": numbers.choice(_CITIES),
                    "temperature": round(numbers.uniform(-20, 40), 2),
                    "humidity": numbers.randrange(100),
                    "valid": numbers.random() < 0.9,
                }
            )
        document["note"] = "".join(numbers.choice("abcdefghij ") for _ in range(size - len(text)))
        found.append(_encode(document))
    return found


def _encode(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def compress(payload: bytes) -> bytes:
    """A compressed message (RFC 7692 §7.2.1) that needs no context.

    Its window of 512 bytes is allowed whatever `client_max_window_bits` the server asks for,
    unless it asks for 8.
    """
    compressor = zlib.compressobj(wbits=-9)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\x00\x00\xff\xff")
    return data[:-4]


def write(path: Path, payloads: Sequence[bytes]) -> None:
    """The file that `load.c` reads: each payload after its size as 32 bits in network order."""
    path.write_bytes(b"".join(struct.pack("!I", len(data)) + data for data in payloads))
