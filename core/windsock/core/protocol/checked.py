"""The mark of arguments that windsock checks itself.

mypyc has compiled functions raise a TypeError for arguments of other types than they declare, in
words of its own. It is kept from reading this module, so that to it these types are unknown.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

T = TypeVar("T")

Checked = Annotated[T, "checked by windsock"]
