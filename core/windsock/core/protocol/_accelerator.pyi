from collections import deque
from typing import Any

from typing_extensions import Buffer

from .payload import Payload as Payload

def apply_mask(data: Buffer, key: Buffer, /) -> bytes: ...
def decode_message(frame: Buffer, masked: bool, /) -> str | bytes | None: ...
def decode_messages(
    buffer: Buffer,
    position: int,
    masked: bool,
    max_message_size: int,
    messages: deque[Any],
    room: int,
    /,
) -> tuple[int, int]: ...
def encode_message(message: str | Buffer, /) -> bytes: ...
def encode_masked_message(message: str | Buffer, /) -> bytes: ...
def forget_keys() -> None: ...
