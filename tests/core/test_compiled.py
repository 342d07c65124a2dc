"""Modules that are there twice, as Python and compiled: which of them is loaded."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

import pytest

from windsock.core.protocol import compiled
from windsock.core.protocol.compiled import SourceFinder, mypyc_attr

# Prints the files of all of windsock's modules that are loaded.
_LIST_FILES = """
import sys, {module}
for name, module in sys.modules.items():
    if name.startswith("windsock.") and getattr(module, "__file__", None):
        print(module.__file__)
"""


@pytest.fixture(autouse=True)
def meta_path(monkeypatch: pytest.MonkeyPatch) -> None:
    finders = [finder for finder in sys.meta_path if finder is not SourceFinder]
    monkeypatch.setattr(sys, "meta_path", finders)


@pytest.mark.parametrize("value", [None, "", "0"])
def test_the_import_system_decides_by_default(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("WINDSOCK_PURE", raising=False)
    else:
        monkeypatch.setenv("WINDSOCK_PURE", value)
    compiled.prefer_source()
    assert SourceFinder not in sys.meta_path


def test_the_finder_comes_first_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDSOCK_PURE", "1")
    compiled.prefer_source()
    compiled.prefer_source()
    assert sys.meta_path[0] is SourceFinder
    assert sys.meta_path.count(SourceFinder) == 1


def test_python_is_found_beside_what_is_compiled(tmp_path: Path) -> None:
    """And what is one of them only is left to the other finders, as is everybody else's."""
    (tmp_path / "both.py").touch()
    for name in ("both", "one"):
        (tmp_path / f"{name}{importlib.machinery.EXTENSION_SUFFIXES[0]}").touch()
    (tmp_path / "namespace").mkdir()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    path = [str(tmp_path / "nowhere"), str(tmp_path)]
    found = SourceFinder.find_spec("windsock.both", path)
    assert found is not None
    assert found.origin == str(tmp_path / "both.py")
    package = SourceFinder.find_spec("windsock.package", path)
    assert package is not None
    assert package.submodule_search_locations == [str(tmp_path / "package")]
    for name in ("windsock.one", "windsock.namespace", "windsock.none", "both", "windsock"):
        assert SourceFinder.find_spec(name, path) is None
    assert SourceFinder.find_spec("windsock.both", None) is None


def test_the_compilers_decorator_does_nothing() -> None:
    assert mypyc_attr(allow_interpreted_subclasses=True)(Path) is Path


@pytest.mark.parametrize(
    "module",
    [
        "windsock.core",
        "windsock.core.app.channel",
        "windsock.asyncio",
        "windsock.asyncio._link",
        "windsock.threads",
        "windsock.trio",
        "windsock.asgi",
    ],
)
def test_all_is_python_where_the_environment_says_so(module: str) -> None:
    """Whatever is imported first."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST_FILES.format(module=module)],
        env=os.environ | {"WINDSOCK_PURE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    files = done.stdout.split()
    assert any(Path(file).stem == "connection" for file in files)
    assert {Path(file).suffix for file in files} == {".py"}
