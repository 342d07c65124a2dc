"""The fast lane and masking: in C where that was built, in Python else.

Both give the same results. `WINDSOCK_PURE=1` in the environment keeps to Python.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from . import fast_lane, masking

try:
    if os.environ.get("WINDSOCK_PURE", "0") not in {"", "0"}:
        raise ImportError("WINDSOCK_PURE is set")
    from . import _accelerator
except ImportError:
    _accelerator = None  # type: ignore[assignment]  # which has no such type

ACCELERATED: Final = _accelerator is not None
"""Whether it is C."""

decode_messages: Callable[[bytes | bytearray, int, bool, int, deque[Any], int], tuple[int, int]]
apply_mask: Callable[[bytes | bytearray | memoryview, bytes | bytearray], bytes]
encode_message: Callable[[str | bytes], bytes]
encode_masked_message: Callable[[str | bytes], bytes]

if _accelerator is None:
    apply_mask = masking.apply_mask
    decode_messages = fast_lane.decode_messages
    encode_message = fast_lane.encode_message
    encode_masked_message = fast_lane.encode_masked_message
else:
    apply_mask = _accelerator.apply_mask
    decode_messages = _accelerator.decode_messages
    encode_message = _accelerator.encode_message
    encode_masked_message = _accelerator.encode_masked_message
    if hasattr(os, "register_at_fork"):  # pragma: no branch
        os.register_at_fork(after_in_child=_accelerator.forget_keys)
