"""Masking of frame payloads (RFC 6455 §5.3), in plain Python."""

from __future__ import annotations

# From about this size on, four strided translations overtake one big-integer xor.
_TRANSLATE_FROM = 8 * 1024

_XOR_TABLES: list[bytes] = []


def apply_mask(data: bytes | bytearray | memoryview, key: bytes | bytearray) -> bytes:
    """`data` xor the 4-byte `key`, repeated. Masking and unmasking are the same operation."""
    size = len(data)
    if size < _TRANSLATE_FROM:
        repeated = (bytes(key) * (size // 4 + 1))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
            size, "little"
        )
    if not _XOR_TABLES:
        _XOR_TABLES.extend(bytes(a ^ b for a in range(256)) for b in range(256))
    masked = bytearray(data)
    for offset in range(4):
        masked[offset::4] = masked[offset::4].translate(_XOR_TABLES[key[offset]])
    return bytes(masked)
