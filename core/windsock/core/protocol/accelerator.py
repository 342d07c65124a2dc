"""The fast lane and masking: in C where that was built, in Python else.

Both give the same results. `WINDSOCK_PURE=1` in the environment keeps to Python, here and for the
modules that mypyc has compiled.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from . import fast_lane, masking, payload
from .compiled import is_unwanted

try:
    if is_unwanted():
        raise ImportError("WINDSOCK_PURE is set")
    from . import _accelerator
except ImportError:
    _accelerator = None  # type: ignore[assignment]  # which has no such type

ACCELERATED: Final = _accelerator is not None
"""Whether it is C."""

_SPEC: Final = find_spec("windsock.core.protocol.connection")
COMPILED: Final = _SPEC is not None and not str(_SPEC.origin).endswith(".py")
"""Whether the modules around it are compiled."""

decode_message: Callable[[bytes, bool], str | bytes | None]
decode_messages: Callable[[bytes | bytearray, int, bool, int, deque[Any], int], tuple[int, int]]
apply_mask: Callable[[bytes | bytearray | memoryview, bytes | bytearray], bytes]
encode_message: Callable[[str | bytes], bytes]
encode_masked_message: Callable[[str | bytes], bytes]
Payload: type[payload.Payload]

if _accelerator is None:
    apply_mask = masking.apply_mask
    decode_message = fast_lane.decode_message
    decode_messages = fast_lane.decode_messages
    encode_message = fast_lane.encode_message
    encode_masked_message = fast_lane.encode_masked_message
    Payload = payload.Payload
else:
    apply_mask = _accelerator.apply_mask
    decode_message = _accelerator.decode_message
    decode_messages = _accelerator.decode_messages
    encode_message = _accelerator.encode_message
    encode_masked_message = _accelerator.encode_masked_message
    Payload = _accelerator.Payload
    if hasattr(os, "register_at_fork"):  # pragma: no branch
        os.register_at_fork(after_in_child=_accelerator.forget_keys)
