"""What a connection has to send, in pieces, and how much of it the kernel has not taken."""

from __future__ import annotations

from typing import Final

from .fast_lane import message_header

LARGE: Final = 128 * 1024
"""Bytes from which on a payload is not copied behind its header."""

# But for its beginning, so that no header travels alone.
_BEGINNING: Final = 16 * 1024


class Output:
    """The sending side of a connection."""

    __slots__ = (
        "_handed_over",
        "_large",
        "_more_out",
        "_out",
        "_taken",
        "_unsent",
        "_unsent_since",
        "pending_output",
    )

    def __init__(self) -> None:
        self.pending_output = 0
        """Bytes that wait for `data_to_send`."""
        self._out = b""  # the first piece of it, nearly always the only one
        self._more_out: list[bytes | memoryview] = []
        self._large = 0  # how many of those are rests of large payloads
        self._handed_over = self._taken = self._unsent = 0
        self._unsent_since: float | None = None

    def data_to_send(self) -> bytes:
        """Everything to be written now, in one piece; b"" if nothing."""
        if not self.pending_output:
            return b""
        data = self._out
        more = self._more_out
        if more:
            more.insert(0, data)
            data = b"".join(more)
            more.clear()
            self._large = 0
        self._out = b""
        self._handed_over += self.pending_output
        self.pending_output = 0
        return data

    def piece_to_send(self) -> bytes | memoryview:
        """What is to be written next, b"" if nothing: `data_to_send` without its copies.

        It is all there is, unless that is large.
        """
        if not self._large:
            return self.data_to_send()
        more = self._more_out
        data: bytes | memoryview = more[0]
        if not self._out and isinstance(data, memoryview):
            del more[0]
            self._large -= 1
        else:
            end = 0
            while isinstance(more[end], bytes):
                end += 1
            data = b"".join([self._out, *more[:end]])
            self._out = b""
            del more[:end]
        self.pending_output -= len(data)
        self._handed_over += len(data)
        return data

    @property
    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet, whether handed over or not."""
        return self.pending_output + self._unsent

    def _queue(self, data: bytes) -> None:
        if self.pending_output:
            self._more_out.append(data)
        else:
            self._out = data
        self.pending_output += len(data)

    def _queue_large(self, message: str | bytes) -> int:
        """The frame of a large message, its payload by reference; returns the `backlog` with it."""
        payload = message.encode() if isinstance(message, str) else message
        beginning, rest = payload[:_BEGINNING], memoryview(payload)[_BEGINNING:]
        self._queue(message_header(message, len(payload)) + beginning)
        self._more_out.append(rest)
        self._large += 1
        self.pending_output += len(rest)
        return self.backlog

    def _note_unsent(self, size: int, now: float) -> bool:
        """What `unsent` says; whether the write deadline runs from now on."""
        taken = self._handed_over - size
        starts = size > 0 and (self._unsent_since is None or taken > self._taken)
        if starts:
            self._unsent_since = now
        elif size == 0:
            self._unsent_since = None
        self._unsent = size
        self._taken = taken
        return starts

    def _drop_output(self) -> None:
        """Nothing more can be sent."""
        self._out = b""
        self._more_out.clear()
        self.pending_output = self._unsent = self._large = 0
        self._unsent_since = None
