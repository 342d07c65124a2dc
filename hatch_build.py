"""Compiles what can be compiled of the distribution; all of it is optional.

The accelerators are C. The modules that `compile` lists beside this hook in pyproject.toml are
Python, and stay so: mypyc makes an extension module of each, which the import system prefers. Where
there is no compiler, or anything else is amiss, the wheel has less, and a warning says why.

`WINDSOCK_PURE=1` in the environment leaves out all of it, `WINDSOCK_COMPILE=0` the modules, and
with `WINDSOCK_COMPILE=1` it is an error if they cannot be compiled.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ACCELERATORS = {
    "windsock.core.app._steps": "core/windsock/core/app/_steps.c",
    "windsock.core.protocol._accelerator": "core/windsock/core/protocol/_accelerator.c",
}
ROOTS = ("core", "transports")
BUILD = Path("build")
# The code of all modules, which share it, is in one library with this name and "__mypyc" after it.
GROUP = "windsock.core._compiled"

# For the compiler's sake only. Types of what need not be installed for a build are no reason to
# fail, and those of arguments that are marked as checked are none of its business.
MYPY = """\
[mypy]
mypy_path = {roots}
cache_dir = build/mypy
explicit_package_bases = True
ignore_missing_imports = True

[mypy-windsock.core.protocol.checked]
follow_imports = skip
"""


class NotBuiltError(Exception):
    """Why something could not be compiled."""


class CompilingBuildHook(BuildHookInterface[Any]):
    """Compiles the accelerator and, for others than developers, the modules that gain by it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is made, be it a "standard" or an "editable" one."""
        editable = version == "editable"
        with chdir(self.root):
            try:
                _check_platform()
                self._build_accelerators(editable, build_data)
            except NotBuiltError as error:
                self.app.display_warning(f"windsock is built without its accelerators: {error}")
            if editable:
                return  # what is compiled would hide what is edited
            wanted = os.environ.get("WINDSOCK_COMPILE", "")
            try:
                _check_platform()
                if wanted == "0":
                    raise NotBuiltError("WINDSOCK_COMPILE is 0")
                self._compile_modules(build_data)
            except NotBuiltError as error:
                if wanted not in {"", "0"}:
                    raise
                self.app.display_warning(f"windsock is built without compiled modules: {error}")

    def _build_accelerators(self, editable: bool, build_data: dict[str, Any]) -> None:
        from setuptools import Extension

        extensions = [
            Extension(
                module,
                [source],
                py_limited_api=True,
                extra_compile_args=[] if sys.platform == "win32" else ["-O3", *_flags()],
                extra_link_args=_flags(),
            )
            for module, source in ACCELERATORS.items()
        ]
        built = _build(extensions, inplace=editable)
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{_tag().platform}"
        if not editable:
            _include(built, build_data)

    def _compile_modules(self, build_data: dict[str, Any]) -> None:
        try:
            from mypyc.build import mypycify
        except ImportError as error:
            raise NotBuiltError(f"mypyc cannot be imported: {error}") from None
        with _failures_named():
            BUILD.mkdir(exist_ok=True)
            configuration = BUILD / "mypyc.ini"
            configuration.write_text(MYPY.format(roots=":".join(ROOTS)), encoding="utf-8")
            extensions = mypycify(
                [f"--config-file={configuration}", *self.config["compile"]],
                opt_level="3",
                debug_level="0",
                group_name=GROUP,
                target_dir=str(BUILD / "mypyc"),
            )
        if sys.platform != "win32":
            for extension in extensions:
                # Calls within the library need not go through a table that others could change.
                extension.extra_compile_args.append("-fvisibility=hidden")
        _include(_build(extensions), build_data)
        build_data["pure_python"] = False
        build_data["tag"] = str(_tag())


def _check_platform() -> None:
    if os.environ.get("WINDSOCK_PURE", "0") not in {"", "0"}:
        raise NotBuiltError("WINDSOCK_PURE is set")
    if sys.implementation.name != "cpython":
        raise NotBuiltError(f"{sys.implementation.name} is faster without")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotBuiltError("free-threaded Python has no stable ABI yet")


def _build(extensions: list[Any], *, inplace: bool = False) -> list[Path]:
    """What the compiler made of them, below build/lib or, `inplace`, beside their sources."""
    from setuptools import Distribution

    settings = {"name": "windsock", "ext_modules": extensions, "package_dir": {"": ROOTS[0]}}
    command = Distribution(settings).get_command_obj("build_ext")
    command.force = True
    command.inplace = inplace  # where an editable install finds it
    command.build_lib = str(BUILD / "lib")
    command.build_temp = str(BUILD / "temp")
    with _failures_named():
        command.ensure_finalized()
        command.run()
    return [Path(output) for output in command.get_outputs()]


@contextmanager
def _failures_named() -> Iterator[None]:
    from setuptools.errors import BaseError, CompileError, LinkError

    try:
        yield
    except (BaseError, CompileError, LinkError, OSError) as error:
        raise NotBuiltError(" ".join(str(error).split())) from error
    except SystemExit as error:  # mypy has said why on its way
        raise NotBuiltError("mypyc cannot compile them") from error


def _include(built: list[Path], build_data: dict[str, Any]) -> None:
    for path in built:
        inside = path.relative_to(BUILD / "lib").as_posix()
        build_data["force_include"][str(path.resolve())] = inside


def _flags() -> list[str]:
    """More flags for the compiler and the linker, such as sanitizers."""
    return os.environ.get("WINDSOCK_ACCELERATOR_FLAGS", "").split()


def _tag() -> Any:
    from packaging.tags import sys_tags

    return next(sys_tags())
