"""The parts of the pages that follow from the code are as docs/generate.py makes them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.behaviour.exceptions import BEHAVIOURS, EXCEPTIONS
from tests.behaviour.findings import FILE
from tests.behaviour.hosts import HOSTS
from tests.docs.page import ROOT
from windsock.core.protocol.state import CLIENT, SERVER, State

DOCS = ROOT / "docs"
MODULES = [
    "windsock.core",
    "windsock.trio",
    "windsock.asyncio",
    "windsock.threads",
    "windsock.twisted",
    "windsock.asgi",
]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = _load()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_pages_are_as_generated(page: Path) -> None:
    markdown = page.read_text(encoding="utf-8")
    assert generator.generate(markdown) == markdown, "run: python docs/generate.py"


def test_generated_parts_are_there() -> None:
    text = {page.name: page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")}
    assert text["architecture.md"].count("```mermaid") == 2
    assert "| `max_message_size` | 1024 KiB |" in text["limits.md"]
    assert "| `level` | `6` |" in text["compression.md"]
    assert "| yes |" in text["support-matrix.md"]


def test_the_recorded_findings_are_those_of_this_suite() -> None:
    found = json.loads(FILE.read_text(encoding="utf-8"))["behaviours"]
    remedy = "run: make matrix"
    assert found.keys() == BEHAVIOURS.keys(), remedy
    for behaviour, by_host in found.items():
        for host, outcome in by_host.items():
            assert outcome["failed"] == 0, (host, behaviour, remedy)
            assert ("instead" in outcome) == ((host, behaviour) in EXCEPTIONS), (host, behaviour)
    everywhere = set.intersection(*(set(by_host) for by_host in found.values()))
    assert everywhere == set(HOSTS), remedy


def test_a_drift_is_found() -> None:
    markdown = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert generator.generate(markdown.replace("OPEN --> CLOSING: close", "")) == markdown


@pytest.mark.parametrize(("role", "table"), [("server", SERVER), ("client", CLIENT)])
def test_diagrams_hold_every_step(role: str, table: dict[State, dict[object, State]]) -> None:
    arrows = re.findall(r"^    (\w+) --> (\w+): (.*)$", generator.states(role), re.MULTILINE)
    drawn = {(a, b, cause) for a, b, causes in arrows for cause in causes.split("<br>")}
    steps = {
        (source.name, target.name, given.value)  # type: ignore[attr-defined]  # an Input
        for source, ways in table.items()
        for given, target in ways.items()
        if source is not target
    }
    assert drawn == steps


def _documented(module: str) -> list[str]:
    """The names that the reference has a heading for."""
    markdown = (DOCS / "reference.md").read_text(encoding="utf-8")
    names: list[str] = []
    for part in re.findall(r"<!-- generated: api (.*?) -->", markdown):
        source, *chosen = part.split()
        if source == module:
            names += chosen or importlib.import_module(module).__all__
    return names


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_has_every_public_name_once(module: str) -> None:
    assert sorted(_documented(module)) == sorted(importlib.import_module(module).__all__)


def test_native_transports_have_no_exceptions() -> None:
    # docs/support-matrix.md says so.
    assert not {host for host, _ in EXCEPTIONS} & {"trio", "asyncio", "asyncio+uvloop"}
