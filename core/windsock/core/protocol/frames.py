"""Frames and messages (RFC 6455 §5, §6): wsproto's engine, guarded, with a lane around it.

Everything goes through wsproto, but for two things. Limits are enforced here, at the frame's
header, before wsproto sees the payload. And an unfragmented data frame at a frame boundary takes
the *fast lane*: it is decoded (or encoded) directly, whole or as it comes; so does a whole control
frame between messages. The lane is a shortcut, never a second opinion: whatever is not plainly
right goes to wsproto, of which a connection has none until then, and which then judges it; only
what turns out when a payload is inflated is judged here, in the same words.
"""

from __future__ import annotations

import enum
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Event as WsprotoEvent
from wsproto.events import Ping as WsprotoPing
from wsproto.events import Pong as WsprotoPong
from wsproto.frame_protocol import CloseReason

from .accelerator import apply_mask, decode_messages, encode_masked_message, encode_message
from .compressed_lane import COMPRESSED_PIECE, CompressedLane
from .config import Config
from .control import (
    CLOSE,
    PING,
    PONG,
    decode_control,
    encode_control,
    read_close,
    write_close,
)
from .deflate import BoundedDeflate, DeflateParameters, InflateError, compressed_size_limit
from .events import Ping
from .partial import PartialMessage, start_partial
from .pieces import Pieces

# A payload is handed to wsproto in pieces of at most this size, so that its copies stay small.
_PIECE: Final = 64 * 1024
# The shortest buffer worth compacting before more is appended to it.
_COMPACT_FROM: Final = 64 * 1024

# How much `next_event` has decoded ahead at the most, in lengths of messages with their overhead.
_BATCH: Final = 64 * 1024

NOT_UTF_8: Final = "text that is not UTF-8"

_RSV1: Final = 0x40
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_MASKED: Final = 0x80

# Bytes of the extended payload length, by what stands in for the length (§5.2).
_LENGTH_SIZES: Final = {126: 2, 127: 8}


class Role(enum.Enum):
    """Which side of the connection this is."""

    CLIENT = enum.auto()
    SERVER = enum.auto()


@dataclass(frozen=True, slots=True)
class PongFrame:
    """A Pong came in."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The peer's Close frame: 1005 and no reason where it was empty (§7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer broke the protocol or a limit: the connection must be failed with this code."""

    code: int
    reason: str


def _violation(error: InflateError | UnicodeDecodeError) -> Violation:
    if isinstance(error, InflateError):
        return Violation(int(error.code), error.reason)
    return Violation(1007, NOT_UTF_8)


FrameEvent = str | bytes | Ping | PongFrame | CloseFrame | Violation


class FrameEngine:
    """Turns bytes into messages and control frames, and back.

    After a `CloseFrame` or a `Violation` nothing more comes out of it.
    """

    __slots__ = (
        "_buffer",
        "_client",
        "_close_payload",
        "_compressed",
        "_compressed_limit",
        "_deflate",
        "_ended",
        "_events",
        "_fast_lane",
        "_fragments",
        "_header_forwarded",
        "_lane",
        "_max_fragments",
        "_max_message_size",
        "_message_size",
        "_opcode",
        "_partial",
        "_pieces",
        "_position",
        "_remaining",
        "_wsproto",
        "decode_messages",
        "encode_message",
        "leaves_payload",
        "message_in_progress",
    )

    def __init__(
        self,
        role: Role,
        config: Config,
        deflate: DeflateParameters | None = None,
        *,
        fast_lane: bool = True,
    ) -> None:
        self._client = role is Role.CLIENT
        self._max_message_size = config.max_message_size
        self._compressed_limit = compressed_size_limit(config.max_message_size)
        self._max_fragments = config.max_fragments
        self._deflate: BoundedDeflate | None = None
        if deflate is not None:
            assert config.compression is not None
            self._deflate = BoundedDeflate(
                deflate,
                config.compression,
                client=self._client,
                max_message_size=config.max_message_size,
            )
        self._wsproto: Connection | None = None
        self._fast_lane = fast_lane
        self._lane: CompressedLane | None = None
        self.decode_messages = decode_messages
        """`fast_lane.decode_messages`, or what takes compressed ones besides."""
        self.encode_message: Callable[[str | bytes], bytes]
        """One complete message as one frame; UnicodeEncodeError for text with surrogates."""
        self.leaves_payload = fast_lane and deflate is None and not self._client
        """Whether such a frame is a header, and then the payload as it is."""
        if not fast_lane:
            self.encode_message = self._encode_message
        elif self._deflate is not None:
            self._lane = CompressedLane(
                self._deflate, masks=self._client, max_frame_size=self._compressed_limit
            )
            self.decode_messages = self._lane.decode_messages
            self.encode_message = self._lane.encode_message
        elif self._client:
            self.encode_message = encode_masked_message
        else:
            self.encode_message = encode_message
        self._buffer: bytes | bytearray = b""
        self._position = 0
        # No deque: an empty one takes more than half a KiB.
        self._events: list[FrameEvent] = []
        self._ended = False
        # The message in the lane whose frame has not come whole yet.
        self._partial: PartialMessage | None = None
        # The frame that is going through wsproto.
        self._header_forwarded = 0
        self._opcode = 0
        self._remaining = 0
        self._close_payload: bytearray = bytearray()
        # The message that is going through wsproto.
        self.message_in_progress = False
        """Whether the first byte of a message has come and its last has not."""
        self._compressed = False
        self._message_size = 0
        self._fragments = 0
        self._pieces: Pieces[Any] | None = None

    def _get_wsproto(self) -> Connection:
        if self._wsproto is None:
            self._wsproto = Connection(
                ConnectionType.CLIENT if self._client else ConnectionType.SERVER,
                [self._deflate] if self._deflate is not None else [],
            )
        return self._wsproto

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """More bytes of the peer."""
        if self._ended:
            return
        if self._position == len(self._buffer):
            self._buffer = bytes(data)  # no copy: it is looked at where it is
            self._position = 0
            return
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(self._buffer[self._position :])
            self._position = 0
        elif self._position > _COMPACT_FROM:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def room(self) -> memoryview | None:
        """Where the next bytes can be received, None for anywhere."""
        partial = self._partial
        return None if partial is None or self.buffered else partial.room()

    def received(self, count: int) -> None:
        """So many have been received there."""
        assert self._partial is not None
        self._end_partial(self._partial.received(count))

    @property
    def at_rest(self) -> bool:
        """Whether all that came was seen, up to the end of a message, and the lane is open."""
        return self._fast_lane and not (
            self.message_in_progress
            or self._header_forwarded
            or self._remaining
            or self._events
            or self._ended
            or self.buffered
        )

    @property
    def buffered(self) -> int:
        """How many received bytes have not been looked at."""
        return len(self._buffer) - self._position

    def next_event(self) -> FrameEvent | None:
        """The next message, control frame or violation; None until more bytes come."""
        while True:
            if self._events:
                event = self._events.pop(0)
                if isinstance(event, (CloseFrame, Violation)):
                    self._end()
                return event
            if self._ended or (self._position == len(self._buffer) and self._partial is None):
                return None
            if self._partial is not None:
                if not self._take_partial(self._partial):
                    return None
            elif self._remaining and not self._header_forwarded:
                self._forward_payload()
            else:
                if self._take_control() or self._decode_ahead() or self._start_partial():
                    continue
                if not self._forward_header():
                    return None

    def take_messages(self, messages: deque[Any], room: int) -> int:
        """The fast lane in: append what it can to `messages`; how much room that took.

        See `fast_lane.decode_messages`. 0 also where a control frame, or part of a message, must
        come out of `next_event` first.
        """
        if (
            self.message_in_progress
            or self._header_forwarded
            or self._remaining
            or self._partial is not None
            or self._events
            or not self._fast_lane
        ):
            return 0
        self._position, used = self.decode_messages(
            self._buffer, self._position, not self._client, self._max_message_size, messages, room
        )
        if self._lane is not None and self._lane.failure is not None:
            self._events.append(_violation(self._lane.failure))
        return used

    def _decode_ahead(self) -> bool:
        """`take_messages` for `next_event`; whether there were any, or what has failed."""
        messages: deque[Any] = deque()
        self.take_messages(messages, _BATCH)
        self._events[:0] = messages  # a violation came after them
        return bool(self._events)

    def _start_partial(self) -> bool:
        """Take the beginning of a message into the lane; whether it is one for it."""
        if self.message_in_progress or self._header_forwarded or not self._fast_lane:
            return False
        buffer, position, masked = self._buffer, self._position, not self._client
        found = start_partial(buffer, position, masked, self._max_message_size)
        if found is None and self._deflate is not None:
            found = start_partial(buffer, position, masked, self._compressed_limit, self._deflate)
        if found is None:
            return False
        self._partial, self._position = found
        self.message_in_progress = True
        return True

    def _take_partial(self, partial: PartialMessage) -> bool:
        """Take what is there of such a message; whether there was anything."""
        end = self._position + min(partial.most, self.buffered)
        with memoryview(self._buffer)[self._position : end] as data:
            if not data and partial.remaining:
                return False
            self._position = end
            try:
                message = partial.feed(data)
            except (InflateError, UnicodeDecodeError) as error:
                self._events.append(_violation(error))
                return True
        self._end_partial(message)
        return True

    def _end_partial(self, message: str | bytes | None) -> None:
        if message is not None:
            self._partial = None
            self._finish_message(message)

    def _take_control(self) -> bool:
        """Take a control frame by the lane; whether there is one for it."""
        if self.message_in_progress or self._header_forwarded or not self._fast_lane:
            return False
        found = decode_control(self._buffer, self._position, not self._client)
        if found is None:
            return False
        opcode, payload, end = found
        event: FrameEvent
        if opcode == CLOSE:
            close = read_close(payload)
            if close is None:
                return False
            event = CloseFrame(*close)
        else:
            event = Ping(payload) if opcode == PING else PongFrame(payload)
        self._events.append(event)
        self._position = end
        return True

    def _forward_header(self) -> bool:
        """Pass what is there of a frame's header to wsproto; whether there was anything."""
        buffer, start = self._buffer, self._position
        available = len(buffer) - start
        if available < 2:
            return False
        second = buffer[start + 1]
        length_end = 2 + _LENGTH_SIZES.get(second & 0x7F, 0)
        header_size = length_end + (4 if second & _MASKED else 0)
        if self._header_forwarded < length_end <= available:
            # Before wsproto sees the length, so that the outcome does not depend on how the
            # stream is cut.
            size = second & 0x7F
            if length_end > 2:
                size = int.from_bytes(buffer[start + 2 : start + length_end], "big")
            violation = self._start_frame(buffer[start], size)
            if violation is not None:
                self._events.append(violation)
                return True
        complete = available >= header_size
        end = start + min(available, header_size)
        fresh = bytes(buffer[start + self._header_forwarded : end])
        if not fresh:
            return False
        self._header_forwarded += len(fresh)
        if complete:
            self._position = end
            self._header_forwarded = 0
            if second & _MASKED and self._opcode == CLOSE:
                self._close_payload += buffer[end - 4 : end]
        self._feed(fresh)
        return True

    def _start_frame(self, first: int, size: int) -> Violation | None:
        """Note a frame whose length is known, and hold it to the limits."""
        opcode = first & 0x0F
        self._opcode = opcode
        self._remaining = size
        if opcode > _BINARY:
            self._close_payload.clear()
            return None
        if bool(opcode) is self.message_in_progress:
            # §5.4; wsproto would wait for the first byte of the payload.
            return Violation(
                1002, "new message inside another" if opcode else "nothing to continue"
            )
        if opcode:
            self._message_size = self._fragments = 0
            self._compressed = self._deflate is not None and bool(first & _RSV1)
        self._message_size += size
        self._fragments += 1
        self.message_in_progress = True
        limit = self._compressed_limit if self._compressed else self._max_message_size
        # A length with its top bit set is no size but a violation, which wsproto finds (§5.2).
        if self._message_size > limit and size < 1 << 63:
            return Violation(1009, f"message over {self._max_message_size} bytes")
        if self._fragments > self._max_fragments:
            return Violation(1009, f"message of over {self._max_fragments} frames")
        return None

    def _forward_payload(self) -> None:
        """Pass what is there of a frame's payload to wsproto."""
        most = COMPRESSED_PIECE if self._compressed else _PIECE
        end = self._position + min(self._remaining, self.buffered, most)
        piece = bytes(self._buffer[self._position : end])
        self._position = end
        self._remaining -= len(piece)
        if self._opcode == CLOSE:
            self._close_payload += piece
        self._feed(piece)

    def _feed(self, data: bytes) -> None:
        wsproto = self._get_wsproto()
        wsproto.receive_data(data)
        for event in wsproto.events():
            if isinstance(event, TextMessage):
                self._take_data(event.data, event.message_finished)
            elif isinstance(event, BytesMessage):
                self._take_data(bytes(event.data), event.message_finished)
            elif isinstance(event, WsprotoPing):
                self._events.append(Ping(bytes(event.payload)))
            elif isinstance(event, WsprotoPong):
                self._events.append(PongFrame(bytes(event.payload)))
            else:
                assert isinstance(event, CloseConnection)
                self._events.append(self._judge_close(int(event.code), event.reason or ""))
                # Nothing but a Close frame could be sent through it any more, though ours may wait
                # until the application has answered what came before the peer's.
                self._wsproto = None

    def _judge_close(self, code: int, reason: str) -> CloseFrame | Violation:
        """wsproto reports the peer's Close frame and its own parse errors in the same words."""
        if self._opcode == CLOSE and self._remaining == 0 and not self._header_forwarded:
            key, payload = bytes(4), bytes(self._close_payload)
            if not self._client:
                key, payload = payload[:4], payload[4:]
            expected = b"" if code == 1005 else struct.pack("!H", code) + reason.encode()
            # Without a whole key it was not masked, as it must have been.
            if len(key) == 4 and apply_mask(payload, key) == expected:
                return CloseFrame(code, reason)
        if self._deflate is not None and self._deflate.failure:
            reason = self._deflate.failure
        elif code == 1007:
            reason = NOT_UTF_8  # where in it depends on how the stream was cut
        return Violation(code, reason)

    def _take_data(self, data: Any, finished: bool) -> None:
        pieces = self._pieces
        if finished:
            self._finish_message(data if pieces is None else pieces.join(data))
        else:
            if pieces is None:
                pieces = self._pieces = Pieces()
            pieces.add(data)

    def _finish_message(self, message: str | bytes) -> None:
        self._events.append(message)
        self._pieces = None
        self.message_in_progress = False

    def _end(self) -> None:
        self._ended = True
        self.message_in_progress = False
        self._events.clear()
        self._buffer = b""
        self._position = 0
        self._partial = None
        self._lane = None
        self._pieces = None

    # Sending

    def _encode_message(self, message: str | bytes) -> bytes:
        if isinstance(message, str):
            return self._encode(TextMessage(data=message))
        return self._encode(BytesMessage(data=message))

    def encode_ping(self, payload: bytes) -> bytes:
        """A Ping frame; `payload` has at most 125 bytes."""
        if self._fast_lane:
            return encode_control(PING, payload, self._client)
        return self._encode(WsprotoPing(payload=payload))

    def encode_pong(self, payload: bytes) -> bytes:
        """A Pong frame; `payload` has at most 125 bytes."""
        if self._fast_lane:
            return encode_control(PONG, payload, self._client)
        return self._encode(WsprotoPong(payload=payload))

    def encode_close(self, code: int, reason: str) -> bytes:
        """A Close frame, empty for 1005; nothing can be sent after it."""
        payload = write_close(code, reason) if self._fast_lane else None
        if payload is not None:
            return encode_control(CLOSE, payload, self._client)
        if code == 1005:
            return self._encode(CloseConnection(code=CloseReason.NO_STATUS_RCVD))
        return self._encode(CloseConnection(code=code, reason=reason))

    def _encode(self, event: WsprotoEvent) -> bytes:
        return bytes(self._get_wsproto().send(event))
