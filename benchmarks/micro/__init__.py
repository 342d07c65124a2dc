"""Microbenchmarks of the core, without any socket."""

from typing import Final

BASE: Final = "wsproto"
"""What all are compared with, in each round: a machine's speed changes within seconds."""
