"""What is asked of the allocator."""

from __future__ import annotations

from functools import cache
from typing import Final

# As much as twice this is kept, in bytes.
_KEPT: Final = 8 * 1024 * 1024


@cache
def keep_memory() -> None:
    """Have what is freed be kept for what is allocated next, in all of the process.

    glibc maps what is large, and unmaps what is free at the end of its heap; what is large for it
    is more than the largest block that it ever unmapped. Up to then each large message, and each
    read into a buffer that is larger than what comes, costs system calls and a fault for each of
    its pages, which takes longer than to copy them. So one block is mapped and unmapped here,
    untouched. Other allocators do not mind.
    """
    bytes(_KEPT)
