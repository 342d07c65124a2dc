"""Who may import whom, and what the core must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "windsock" / "core"
PROTOCOL = CORE / "protocol"
APP = CORE / "app"
TRANSPORTS = ROOT / "transports" / "windsock"

# Modules of the standard library that do I/O, wait, or start what does.
IO = {
    "asyncio",
    "concurrent",
    "http.client",
    "http.server",
    "multiprocessing",
    "os",
    "queue",
    "sched",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
# Python's own, from some version on; imported only there.
NEWER = {"annotationlib"}
# Only type checkers and the compiler see it.
TYPING_ONLY = {"mypy_extensions"}
# One variable of the environment says which implementation these load.
LOADING = {"accelerator", "compiled"}
# Imported by werkzeug or logging at the latest, and only when a name of theirs is needed.
LAZY_IN_APP = {"werkzeug", "logging"}


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, folder
    return found


def name_of(path: Path) -> str:
    root = CORE.parents[1] if CORE in path.parents or path.parent == CORE else TRANSPORTS.parent
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """The absolute names that a module imports; with `at_import`, when it is itself imported."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in _statements(ast.parse(path.read_text()), skip_functions=at_import):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _statements(tree: ast.AST, *, skip_functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if skip_functions and (
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_type_checking(node)
        ):
            continue
        yield node
        yield from _statements(node, skip_functions=skip_functions)


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", modules(PROTOCOL), ids=name_of)
def test_the_protocol_layer_imports_h11_wsproto_itself_and_no_io(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        if top == "windsock":
            assert within(name, "windsock.core.protocol"), name
        else:
            assert top in {"h11", "wsproto"} | TYPING_ONLY | sys.stdlib_module_names, name
            assert not within(name, *IO) or (name == "os" and path.stem in LOADING), name
    for name in imports(path, at_import=True):
        assert name.partition(".")[0] not in TYPING_ONLY, name


@pytest.mark.parametrize("path", [CORE / "__init__.py", *modules(APP)], ids=name_of)
def test_the_app_layer_imports_the_protocol_layer_and_no_io(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        if top == "windsock":
            assert within(name, "windsock.core"), name
        else:
            assert top in {"werkzeug"} | NEWER | sys.stdlib_module_names, name
            assert not within(name, *IO), name
        if top == "werkzeug":
            fine = ("werkzeug.sansio", "werkzeug.routing", "werkzeug.datastructures")
            assert name == "werkzeug" or within(name, *fine, "werkzeug.exceptions"), name
    for name in imports(path, at_import=True):
        assert name.partition(".")[0] not in LAZY_IN_APP, name


def adapters() -> list[str]:
    return sorted(path.name for path in TRANSPORTS.iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("path", sorted(TRANSPORTS.rglob("*.py")), ids=name_of)
def test_adapters_never_import_one_another(path: Path) -> None:
    own = path.relative_to(TRANSPORTS).parts[0]
    if own not in adapters():
        return  # what picks an adapter may import any
    for name in imports(path):
        others = [f"windsock.{adapter}" for adapter in adapters() if adapter != own]
        assert not within(name, *others, "windsock.cli"), name


def test_the_core_never_imports_an_adapter() -> None:
    for path in modules(CORE):
        for name in imports(path):
            assert not within(name, *(f"windsock.{adapter}" for adapter in adapters())), name


def test_windsock_is_a_namespace() -> None:
    """An `__init__.py` in one source root would hide all that is in the other."""
    assert not (CORE.parent / "__init__.py").exists()
    assert not (TRANSPORTS / "__init__.py").exists()
    for stray in ("__init__.py", "__init__.pyi", "__init__.pyc"):
        assert not list(ROOT.glob(f"*/windsock/{stray}"))


@pytest.mark.parametrize("module", ["windsock.core", *map(name_of, modules(PROTOCOL))])
def test_what_importing_the_core_loads(module: str) -> None:
    forbidden = ["asyncio", "socket", "ssl", "threading", "selectors", "trio", "werkzeug"]
    program = (
        "import sys\n"
        f"sys.path[:0] = [{str(CORE.parents[1])!r}, {str(TRANSPORTS.parent)!r}]\n"
        f"before = set(sys.modules)\n"
        f"import {module}\n"
        f"print(*sorted((set(sys.modules) - before) & {set(forbidden)!r}))\n"
    )
    # Without `site`, whose .pth files may load anything; but with what it would add to the path.
    program = f"import sys\nsys.path += {sys.path!r}\n" + program
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.strip() == ""


def test_the_tests_of_imports_see_imports(tmp_path: Path) -> None:
    source = TRANSPORTS / "x" / "y.py"
    tree = "import a.b\nfrom . import c\nfrom ..d import e\nfrom f import g\ndef h():\n import i\n"
    names = {
        name
        for node in _statements(ast.parse(tree), skip_functions=True)
        if isinstance(node, ast.Import)
        for name in [alias.name for alias in node.names]
    }
    assert names == {"a.b"}
    assert name_of(source) == "windsock.x.y"
    assert within("a.b", "a")
    assert not within("ab", "a")
