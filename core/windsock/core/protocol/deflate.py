"""permessage-deflate (RFC 7692): its negotiation, and a bounded codec for wsproto."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from .config import Deflate
from .headers import ExtensionOffer

NAME: Final = "permessage-deflate"

# §7.2.1: removed from the end of every compressed message, and put back to inflate it.
_TAIL: Final = b"\x00\x00\xff\xff"
# The most that comes out of zlib at once.
_SLICE: Final = 16 * 1024

_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}
# zlib's compressor cannot keep to a window of 2**8 bytes, though its decompressor can.
_SMALLEST_COMPRESSOR_WINDOW: Final = 9


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What both sides agreed on (RFC 7692 §7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15

    def header(self, *, client_window_negotiable: bool) -> str:
        """The value of Sec-WebSocket-Extensions that says so."""
        parts = [NAME]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits < 15:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        # §7.1.2.2: a server may not name it unless the client did.
        if client_window_negotiable and self.client_max_window_bits < 15:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """The parameters of one offer or answer, None for one that was not given."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None
    client_max_window_bits: int | None
    client_window_named: bool


def _parse(parameters: Iterable[tuple[str, str | None]]) -> _Parameters | None:
    """None where a parameter is unknown, given twice, or has a wrong value (§7)."""
    given: dict[str, str | None] = {}
    for name, value in parameters:
        if name in given:
            return None
        given[name] = value
    flags = {n: n in given for n in ("server_no_context_takeover", "client_no_context_takeover")}
    if any(given.pop(name, None) is not None for name in flags):
        return None
    bits: dict[str, int | None] = {}
    client_window_named = "client_max_window_bits" in given
    for name in ("server_max_window_bits", "client_max_window_bits"):
        value = given.get(name)
        if value is None:
            if name in given and name.startswith("server"):
                return None
            bits[name] = None
        elif value in _WINDOW_BITS:
            bits[name] = _WINDOW_BITS[value]
        else:
            return None
        given.pop(name, None)
    if given:
        return None
    return _Parameters(
        flags["server_no_context_takeover"],
        flags["client_no_context_takeover"],
        bits["server_max_window_bits"],
        bits["client_max_window_bits"],
        client_window_named,
    )


def answer_offers(
    offers: Iterable[ExtensionOffer], options: Deflate
) -> tuple[DeflateParameters, str] | None:
    """Server: the first acceptable offer's parameters and the answering header value, or None."""
    for name, parameters in offers:
        if name != NAME:
            continue
        offer = _parse(parameters)
        if offer is None:
            continue
        server_bits = min(options.server_max_window_bits, offer.server_max_window_bits or 15)
        if server_bits < _SMALLEST_COMPRESSOR_WINDOW:
            continue
        agreed = DeflateParameters(
            offer.server_no_context_takeover or options.server_no_context_takeover,
            offer.client_no_context_takeover or options.client_no_context_takeover,
            server_bits,
            min(options.client_max_window_bits, offer.client_max_window_bits or 15)
            if offer.client_window_named
            else 15,
        )
        return agreed, agreed.header(client_window_negotiable=offer.client_window_named)
    return None


def make_offer(options: Deflate) -> str:
    """Client: the header value that offers permessage-deflate (§7.1)."""
    parameters = DeflateParameters(
        options.server_no_context_takeover,
        options.client_no_context_takeover,
        options.server_max_window_bits,
        options.client_max_window_bits,
    )
    offer = parameters.header(client_window_negotiable=True)
    # Naming it without a value says that the server may choose (§7.1.2.2).
    return offer if options.client_max_window_bits < 15 else f"{offer}; client_max_window_bits"


def check_answer(answer: ExtensionOffer, options: Deflate) -> DeflateParameters | None:
    """Client: the parameters that the server chose, None if they do not fit our offer (§7.1)."""
    name, parameters = answer
    chosen = _parse(parameters) if name == NAME else None
    if chosen is None:
        return None
    server_bits = chosen.server_max_window_bits or 15
    client_bits = chosen.client_max_window_bits
    if chosen.client_window_named and client_bits is None:
        return None  # in an answer it needs a value
    if client_bits is not None and client_bits > options.client_max_window_bits:
        return None
    if server_bits > options.server_max_window_bits:
        return None
    if options.server_no_context_takeover and not chosen.server_no_context_takeover:
        return None
    client_bits = min(client_bits or 15, options.client_max_window_bits)
    if client_bits < _SMALLEST_COMPRESSOR_WINDOW:
        return None
    return DeflateParameters(
        chosen.server_no_context_takeover,
        chosen.client_no_context_takeover or options.client_no_context_takeover,
        server_bits,
        client_bits,
    )


def compressed_size_limit(message_limit: int) -> int:
    """The most bytes that an honest peer's DEFLATE makes of a message of `message_limit` bytes.

    zlib's own bound for any window and memory level, and a little more for an empty last block.
    """
    return message_limit + (message_limit >> 3) + (message_limit >> 6) + 64


class _Compressor(Protocol):
    """What `zlib.compressobj` makes; zlib has no public name for it."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


class _Decompressor(Protocol):
    """What `zlib.decompressobj` makes."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class InflateError(Exception):
    """A message cannot be inflated.

    Args:
        code: the close code that says so (RFC 6455 §7.4.1).
        reason: the close reason.
    """

    def __init__(self, code: CloseReason, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class BoundedDeflate(Extension):
    """Compresses and inflates messages; inflates no message beyond `max_message_size` bytes.

    There is one window for each direction, whether a message goes through wsproto, which calls
    the methods of its `Extension`, or past it. The windows are made when first used: a connection
    that sends nothing compressed has none.
    """

    name = NAME

    def __init__(
        self,
        parameters: DeflateParameters,
        options: Deflate,
        *,
        client: bool,
        max_message_size: int,
    ) -> None:
        p = parameters
        ours = (p.client_max_window_bits, p.client_no_context_takeover)
        theirs = (p.server_max_window_bits, p.server_no_context_takeover)
        if not client:
            ours, theirs = theirs, ours
        self._compressor_bits, self._forget_compressor = ours
        self._decompressor_bits, self._forget_decompressor = theirs
        self._options = options
        self._max_message_size = max_message_size
        self._compressor: _Compressor | None = None
        self._decompressor: _Decompressor | None = None
        self._message_compressed = False
        self._control_frame = False
        self._in_stream = False
        self._room = 0
        self.failure = ""
        """Why the last CloseReason was returned, as a close reason."""

    # Messages

    def start_message(self) -> None:
        """What is given to `inflate` next is the first of a message."""
        self._in_stream = False
        self._room = self._max_message_size

    def inflate(self, data: bytes) -> bytes:
        """What the next bytes of a message hold: a few KiB of them at most, for zlib copies what
        is left of its input again and again.

        Raises:
            InflateError: no DEFLATE stream, or the message is too big; nothing can be inflated
                after it.
        """
        parts: list[bytes] = []
        decompressor, room = self._decompressor, self._room
        more = bool(data)
        while more:
            if decompressor is None:
                decompressor = zlib.decompressobj(-self._decompressor_bits)
                self._decompressor = decompressor
            # One byte more than there is room for tells a full message from an overlong one.
            most = room + 1 if room < _SLICE else _SLICE
            try:
                part = decompressor.decompress(data, most)
            except zlib.error:
                raise InflateError(
                    CloseReason.INVALID_FRAME_PAYLOAD_DATA, "invalid compressed data"
                ) from None
            room -= len(part)
            if room < 0:
                raise InflateError(
                    CloseReason.MESSAGE_TOO_BIG, f"message over {self._max_message_size} bytes"
                )
            parts.append(part)
            if decompressor.eof:
                # §7.2.3.4: a block marked final ends the DEFLATE stream, not the message.
                data = decompressor.unused_data
                self._decompressor = decompressor = None
                self._in_stream = False
                more = bool(data)
            else:
                self._in_stream = True
                # A full part can leave more inside zlib though the input is used up.
                more = len(part) == most
                data = decompressor.unconsumed_tail
        self._room = room
        return b"".join(parts)

    def finish_message(self) -> bytes:
        """What is left of a message whose last byte was inflated.

        Raises:
            InflateError: as `inflate`.
        """
        # The tail ends an open block. There is none after a final one (§7.2.3.4), nor in a
        # message without a byte, which some peers send for an empty one.
        rest = self.inflate(_TAIL) if self._in_stream else b""
        if self._forget_decompressor:
            self._decompressor = None
        return rest

    def compress(self, data: bytes, *, fin: bool = True) -> bytes:
        """The next part of a message, compressed; the last, and by default the only one, if `fin`
        (§7.2.1)."""
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = zlib.compressobj(
                self._options.level,
                zlib.DEFLATED,
                -self._compressor_bits,
                self._options.memory_level,
            )
        compressed = compressor.compress(data)
        if not fin:
            return compressed
        if self._forget_compressor:
            self._compressor = None
        return (compressed + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)

    # As wsproto calls it

    def enabled(self) -> bool:
        return True

    def offer(self) -> str:
        return make_offer(self._options)

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        self._control_frame = opcode.iscontrol()
        if self._control_frame:
            return RsvBits(False, False, False)
        if opcode is Opcode.CONTINUATION:
            # §6.1: only the first frame of a message carries the bit.
            return RsvBits(False, False, False)
        self._message_compressed = rsv.rsv1
        self.start_message()
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if self._control_frame or not self._message_compressed:
            return data
        try:
            return self.inflate(data)
        except InflateError as error:
            self.failure = error.reason
            return error.code

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if self._control_frame or not (fin and self._message_compressed):
            return None
        try:
            return self.finish_message()
        except InflateError as error:
            self.failure = error.reason
            return error.code

    def frame_outbound(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        data: bytes,
        fin: bool,
    ) -> tuple[RsvBits, bytes]:
        if opcode.iscontrol():
            return rsv, data
        compressed = self.compress(data, fin=fin)
        if opcode is not Opcode.CONTINUATION:
            rsv = RsvBits(True, rsv.rsv2, rsv.rsv3)
        return rsv, compressed
