"""What of windsock is compiled, where it is, and how Python is preferred all the same.

A wheel may hold a module twice: as Python, and compiled by mypyc beside it. The import system takes
what is compiled. `WINDSOCK_PURE=1` in the environment keeps to Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Final

_LOADERS: Final = (SourceFileLoader, SOURCE_SUFFIXES)


def is_unwanted() -> bool:
    """Whether the environment says that nothing compiled is to be used."""
    return os.environ.get("WINDSOCK_PURE", "0") not in {"", "0"}


class SourceFinder:
    """Finds windsock's own modules where they are Python, whatever is beside them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks `sys.meta_path`; None leaves it to the others there."""
        if name.startswith("windsock."):
            for folder in path or ():
                spec = FileFinder(folder, _LOADERS).find_spec(name)
                if spec is not None and spec.loader is not None:
                    return spec
        return None


def prefer_source() -> None:
    """From now on, if the environment says so."""
    if is_unwanted() and SourceFinder not in sys.meta_path:
        sys.meta_path.insert(0, SourceFinder)


if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**options):
        """Does nothing: only the compiler looks at it, and it is no dependency of what it makes."""
        return lambda decorated: decorated
