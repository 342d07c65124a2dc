"""What a page shows as an excerpt is in the file that it names."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.docs.page import ROOT

_EXCERPT = re.compile(r"<!-- from (?P<file>\S+) -->\n\n```text\n(?P<text>.*?)```\n", re.DOTALL)

EXCERPTS = [
    (page, found["file"], found["text"])
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for found in _EXCERPT.finditer(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(
    ("page", "file", "text"), EXCERPTS, ids=[f"{p.stem}-{i}" for i, (p, *_) in enumerate(EXCERPTS)]
)
def test_an_excerpt_is_in_its_file(page: Path, file: str, text: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    shown = [textwrap.indent(text, " " * depth) for depth in (0, 4, 8)]
    assert any(block in source for block in shown), f"not in {file}:\n{text}"


def test_there_are_excerpts() -> None:
    assert len(EXCERPTS) >= 8
