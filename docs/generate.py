"""Writes the parts of these pages that follow from the code: `python docs/generate.py`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. The tests demand that
every page is as this script leaves it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.results import Run

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent

_PART: Final = re.compile(r"(<!-- generated: (?P<name>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write every page anew."""
    sys.path[:0] = [str(ROOT), str(ROOT / "core"), str(ROOT / "transports")]
    for page in sorted(DOCS.rglob("*.md")):
        found = page.read_text(encoding="utf-8")
        wanted = generate(found)
        if wanted != found:
            page.write_text(wanted, encoding="utf-8")
            print(f"{page.relative_to(ROOT)} is new")


def generate(markdown: str) -> str:
    """A page with its generated parts as they should be."""

    def fill(match: re.Match[str]) -> str:
        kind, *arguments = match["name"].split()
        return f"{match[1]}\n{PARTS[kind](*arguments).strip()}\n\n{match[3]}"

    return _PART.sub(fill, markdown)


# The state diagrams


def states(role: str) -> str:
    """The transition table of a role as a diagram; what causes the same step shares an arrow."""
    from windsock.core.protocol import state

    table = {"server": state.SERVER, "client": state.CLIENT}[role]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table)).name}"]
    for source, steps in table.items():
        causes: dict[state.State, list[str]] = {}
        for given, target in steps.items():
            if source is not target:
                causes.setdefault(target, []).append(given.value)
        for target, names in causes.items():
            lines.append(f"    {source.name} --> {target.name}: {'<br>'.join(names)}")
    return "\n".join([*lines, "    CLOSED --> [*]", "```"])


# Tables of settings


def settings(name: str) -> str:
    """The fields of a dataclass: name, default, meaning."""
    from windsock.core.protocol import config

    lines = ["| field | default | meaning |", "|---|---|---|"]
    cls = getattr(config, name)
    for field, documentation in _attributes(cls):
        default = inspect.signature(cls).parameters[field].default
        lines.append(f"| `{field}` | {_number(default)} | {_one_line(documentation)} |")
    return "\n".join(lines)


def _number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1024:
        return f"{value // 1024} KiB" if value % 1024 == 0 and value != 4096 else str(value)
    return f"`{value!r}`"


# The public API


def api(module_name: str, *names: str) -> str:
    """The public names of a module, or those that are given, with their documentation."""
    module = importlib.import_module(module_name)
    return "\n\n".join(_describe(module, name) for name in names or sorted(module.__all__))


_MADE_BY_WINDSOCK: Final = frozenset(
    {
        "BlockingWebSocket",
        "Connection",
        "FourArgumentsRequest",
        "FourArgumentsWebSocket",
        "HandshakeError",
        "JSONCodec",
        "Query",
        "Request",
        "Server",
        "WebSocket",
        "WebSocketRequest",
    }
)
"""Classes that users get, but do not make."""

_NO_KINDS: Final = frozenset({"ABC", "Enum", "Exception", "Protocol", "dict"})
"""Base classes that say nothing to a reader."""

_PARTS_OF_CLASSES: Final = frozenset({"Messages", "Output"})
"""Base classes that a reader need not know."""

_EXPLAIN_CONSTRUCTION: Final = frozenset({"ClientConnection", "Reject"})
"""Classes whose constructor has a docstring of its own."""


def _describe(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    heading = f"### `{name}`"
    if inspect.isclass(value) and value.__doc__ is not None:
        return "\n\n".join([heading, *_describe_class(value)])
    if inspect.isfunction(value):
        return "\n\n".join([heading, _signature(name, value), _docstring(value)])
    return "\n\n".join([heading, _constant_docstring(value, name)])


def _describe_class(cls: type[Any]) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__bases__ if base.__module__ != "builtins"]
    bases = [name for name in bases if name not in _PARTS_OF_CLASSES]
    bases += [base.__name__ for base in cls.__bases__ if issubclass(base, Exception)]
    kinds = [name for name in dict.fromkeys(bases) if name not in _NO_KINDS]
    if kinds:
        yield f"A kind of {', '.join(f'`{name}`' for name in kinds)}."
    constructor = vars(cls).get("__init__")
    if constructor is not None and cls.__name__ not in _MADE_BY_WINDSOCK:
        yield _signature(cls.__name__, constructor)
    yield _docstring(cls)
    if constructor is not None and cls.__name__ in _EXPLAIN_CONSTRUCTION:
        yield _docstring(constructor)
    parts = [base for base in cls.__bases__ if base.__name__ in _PARTS_OF_CLASSES]
    items: list[str] = []
    for name, documentation in [pair for part in [cls, *parts] for pair in _attributes(part)]:
        items.append(f"- `{name}`: {_one_line(documentation)}")
    methods: list[str] = []
    for name, member in [pair for part in [*parts, cls] for pair in vars(part).items()]:
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            items.append(f"- `{name}`: {_one_line(inspect.getdoc(member) or '')}")
        elif isinstance(member, (classmethod, staticmethod)) or inspect.isfunction(member):
            function = getattr(cls, name)
            methods += [f"#### `{cls.__name__}.{name}`", _signature(name, function)]
            methods.append(_docstring(function))
    if items:
        yield "\n".join(items)
    yield from methods


def _is_generated(function: Callable[..., Any]) -> bool:
    return function.__code__.co_filename.startswith("<")


def _signature(name: str, function: Callable[..., Any]) -> str:
    """As the source has it, one line where that fits."""
    function = inspect.unwrap(function)
    if _is_generated(function):  # a dataclass: its fields say it all
        return f"```text\n{name}(…)\n```"
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    context_manager = any("contextmanager" in ast.unparse(d) for d in node.decorator_list)
    arguments = node.args
    for leading in (arguments.posonlyargs, arguments.args):
        if leading and leading[0].arg in {"self", "cls"}:
            del leading[0]
    for argument in [*arguments.args, *arguments.kwonlyargs]:
        match argument.annotation:
            case ast.Subscript(value=ast.Name(id="Checked"), slice=declared):
                argument.annotation = declared
        if argument.annotation is not None and ast.unparse(argument.annotation) == "Any":
            argument.annotation = None
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) and not context_manager else ""
    prefix = "async with " if context_manager else prefix
    returns = "" if node.returns is None or context_manager else f" -> {ast.unparse(node.returns)}"
    returns = "" if node.name == "__init__" else returns
    line = f"{prefix}{name}({ast.unparse(arguments)}){returns}"
    line = line.replace("=UNSET", "=…")
    if len(line) > 96:
        line = f"{prefix}{name}(\n    {_split(ast.unparse(arguments))}\n){returns}"
    return f"```text\n{line}\n```"


def _split(arguments: str) -> str:
    """One argument a line."""
    depth, parts, part = 0, [], ""
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return ",\n    ".join([*parts, part.strip()])


def _docstring(value: object) -> str:
    """A docstring as Markdown: the sections Args, Returns, Raises and Attributes become lists."""
    text = inspect.getdoc(value)
    assert text, f"{value!r} has no docstring"
    blocks: list[str] = []
    for block in text.split("\n\n"):
        first, _, rest = block.partition("\n")
        if first in {"Args:", "Returns:", "Raises:", "Attributes:"}:
            blocks.append(f"{first}\n\n{_items(textwrap.dedent(rest), first)}")
        else:
            blocks.append(block)
    return "\n\n".join(blocks)


def _items(text: str, section: str) -> str:
    items = re.sub(r"\n +", " ", text).split("\n")
    if section == "Returns:":
        return " ".join(items)
    return "\n".join(re.sub(r"^([\w, ]+?)( \(.*?\))?: ", r"- `\1`\2: ", item) for item in items)


def _constant_docstring(value: object, name: str) -> str:
    from windsock.core import Status

    if isinstance(value, Status):
        return f"What `next_event` returns: {dict(_attributes(Status))[name]}"
    explained = {
        "Event": "Whatever `next_event` returns that is not a `Status`: `str` and `bytes` are the "
        "peer's messages, the others are the classes below and above.",
        "Application": "What servers serve: an `App`, or a handler in any style that takes every "
        "`WebSocket`.",
        "MessageType": 'What `receive` gives and `send` takes: `"text"`, `"bytes"`, `"json"`, or '
        '`"event"` for the dicts of ASGI.',
        "Middleware": "`async def middleware(request_or_ws, call_next)`: for plain HTTP it returns "
        "a `Response`, its own or what `await call_next(request_or_ws)` gave; for a WebSocket a "
        "`Response` rejects it.",
        "WEBSOCKET": "The method of WebSockets in routes, beside those of HTTP; `WS` stands for "
        "the same.",
    }
    return explained[name]


def _attributes(cls: type[Any]) -> list[tuple[str, str]]:
    """Attributes with a docstring after them, of the class or of `self` in its constructor."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = list(_documented(tree.body))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found += _documented(node.body)
    return found


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign):
            target: ast.expr = statement.target
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
        else:
            continue
        name = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
        if name.startswith("_"):
            continue
        match following:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# The support matrix


class _Notes:
    """Footnotes, each but once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The mark that leads to the note."""
        return f"({self._numbers.setdefault(text, len(self._numbers) + 1)})"

    def lines(self) -> list[str]:
        """The notes."""
        return [f"{number}. {text}" for text, number in self._numbers.items()]


def matrix() -> str:
    """What the last recorded run of the behaviour suite found, by transport."""
    findings = importlib.import_module("tests.behaviour.findings")
    found = json.loads(findings.FILE.read_text())
    behaviours = importlib.import_module("tests.behaviour.exceptions").BEHAVIOURS
    hosts = list(importlib.import_module("tests.behaviour.hosts").HOSTS)
    hosts.remove("memory")  # it is no host that anybody runs
    notes = _Notes()
    head = f" | {' | '.join(hosts)} |\n" + "|---" * (len(hosts) + 1) + "|"
    lines = [f"| behaviour{head}"]
    for behaviour, rule in behaviours.items():
        cells = [_cell(found["behaviours"].get(behaviour, {}).get(host), notes) for host in hosts]
        lines.append(f"| {_one_line(rule)} | {' | '.join(cells)} |")
    lines += ["", "And by the style of the handler:", "", f"| style{head}"]
    for style, by_host in found["styles"].items():
        cells = [_cell(by_host.get(host), notes) for host in hosts]
        lines.append(f"| {style} | {' | '.join(cells)} |")
    lines += ["", "Where it says a number, this was found instead:", "", *notes.lines()]
    return "\n".join(lines)


def _cell(found: dict[str, Any] | None, notes: _Notes) -> str:
    if found is None:
        return ""
    if found["failed"]:
        return "**no**"
    if "instead" in found:
        instead, why = found["instead"]
        return notes.mark(f"{instead[0].upper()}{instead[1:]}: {why}.")
    if found["passed"]:
        return "yes"
    return notes.mark(f"Not tried: {'; '.join(found['skipped'])}.")


# What the benchmarks have measured


def measured(part: str, *scenarios: str) -> str:
    """Of the published run: where it was made, what was promised, or the figures of scenarios."""
    from benchmarks import floors, results

    run = results.read(results.PUBLISHED)
    match part:
        case "setup":
            lines = [f"- {run.date}: `{run.command}`, {run.rounds} rounds of {run.seconds:g} s"]
            lines += [f"- {key}: {value}" for key, value in run.machine.items()]
            lines.append("- " + ", ".join(f"{name} {it}" for name, it in run.versions.items()))
            lines += [f"- left out: {name}: {reason}" for name, reason in run.skipped.items()]
            return "\n".join(lines)
        case "promises":
            return _markdown([floors.HEADING, *floors.judged(run)])
        case "core":
            cases = list(dict.fromkeys(key.partition("/")[2] for key in run.core))
            names = dict.fromkeys(key.partition("/")[0] for key in run.core)
            rows = [
                [name, *(f"{run.core[f'{name}/{case}']:.2f}" for case in cases)] for name in names
            ]
            return _markdown([["µs", *cases], *rows])
        case _:  # "figures"
            return _figures(run, scenarios)


def _figures(run: Run, scenarios: Sequence[str]) -> str:
    from benchmarks.table import number

    rows = [["", *scenarios]]
    for server in dict.fromkeys(result.server for result in run.results):
        results = [run.find(server, scenario) for scenario in scenarios]
        cells = [
            "" if result is None or result.value is None
            else number(result.value) + (" ᶜ" if result.client_bound else "")
            for result in results
        ]  # fmt: skip
        if any(cells):
            rows.append([f"`{server}`", *cells])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


PARTS: Final[dict[str, Callable[..., str]]] = {
    "states": states,
    "settings": settings,
    "api": api,
    "matrix": matrix,
    "measured": measured,
}

if __name__ == "__main__":
    main()
