"""Close codes (RFC 6455 §7.4) and what may be said in a Close frame."""

from __future__ import annotations

from typing import Final

from .errors import LocalProtocolError

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011

# §7.4.1 and the registry it founded; 1004 to 1006 and 1015 are never in a frame.
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1014)})
# A control frame's payload has at most 125 bytes (§5.5), two of which are the code.
MAX_REASON: Final = 123


def is_sendable(code: int) -> bool:
    """Whether a Close frame may say `code`."""
    return code in _SENDABLE or 3000 <= code <= 4999


def check_close(code: int, reason: str) -> None:
    """Whether a Close frame can say this.

    Raises:
        LocalProtocolError: a code that must not be sent (§7.4), or a reason that is no text of at
            most 123 bytes in UTF-8 (§5.5.1).
    """
    if isinstance(code, bool) or not isinstance(code, int):
        raise LocalProtocolError(f"a close code is an int, not {code!r}")
    if not is_sendable(code):
        raise LocalProtocolError(
            f"close code {code} must not be sent; use 1000 to 1003, 1007 to 1013 or 3000 to 4999"
        )
    if not isinstance(reason, str):
        raise LocalProtocolError(f"a close reason is a str, not {reason!r}")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise LocalProtocolError("a close reason must be encodable as UTF-8") from None
    if size > MAX_REASON:
        raise LocalProtocolError(
            f"a close reason has at most {MAX_REASON} bytes in UTF-8, not {size}"
        )
