"""Builds the accelerator with the distribution, where there is a compiler; it is optional."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "windsock.core.protocol._accelerator"
SOURCE = "core/windsock/core/protocol/_accelerator.c"
ROOT = "core"


class AcceleratorBuildHook(BuildHookInterface[Any]):
    """Compiles the one extension module; without one the wheel is pure Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is made, be it a "standard" or an "editable" one."""
        reason = _reason_against() or self._compile(version == "editable", build_data)
        if reason is not None:
            self.app.display_warning(f"windsock is built without its accelerator: {reason}")

    def _compile(self, editable: bool, build_data: dict[str, Any]) -> str | None:
        """Why it could not be built, None where it was."""
        from setuptools import Distribution, Extension
        from setuptools.errors import BaseError, CompileError, LinkError

        extension = Extension(
            MODULE,
            [SOURCE],
            py_limited_api=True,
            extra_compile_args=[] if sys.platform == "win32" else ["-O3", *_flags()],
            extra_link_args=_flags(),
        )
        settings = {"name": "windsock", "ext_modules": [extension], "package_dir": {"": ROOT}}
        command = Distribution(settings).get_command_obj("build_ext")
        command.force = True
        command.inplace = editable  # where an editable install finds it
        command.build_lib = str(Path("build") / "lib")
        command.build_temp = str(Path("build") / "temp")
        before = Path.cwd()
        os.chdir(self.root)
        try:
            command.ensure_finalized()
            command.run()
            built = Path(*command.get_outputs()).resolve()
        except (BaseError, CompileError, LinkError, OSError) as error:
            return " ".join(str(error).split())
        finally:
            os.chdir(before)
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{_platform()}"
        if not editable:
            inside = "/".join([*MODULE.split(".")[:-1], built.name])
            build_data["force_include"][str(built)] = inside
        return None


def _reason_against() -> str | None:
    if os.environ.get("WINDSOCK_PURE", "0") not in {"", "0"}:
        return "WINDSOCK_PURE is set"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is faster without"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "free-threaded Python has no stable ABI yet"
    return None


def _flags() -> list[str]:
    """More flags for the compiler and the linker, such as sanitizers."""
    return os.environ.get("WINDSOCK_ACCELERATOR_FLAGS", "").split()


def _platform() -> str:
    from packaging.tags import sys_tags

    return next(sys_tags()).platform
