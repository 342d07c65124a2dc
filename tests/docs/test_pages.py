"""Every code block of the README and of docs/ does what the page says; links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.docs.page import ROOT, PageError, Runner, parse

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _certificates(folder: Path) -> None:
    """What the reader of the page on TLS has: a certificate for localhost."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)


PROVIDED: dict[str, Callable[[Path], None]] = {"docs/how-to/tls.md": _certificates}


@pytest.mark.timeout(60, method="signal")
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_code_blocks_run(page: Path, tmp_path: Path) -> None:
    provide = PROVIDED.get(_name(page))
    if provide is not None:
        provide(tmp_path)
    Runner(page, tmp_path).run()


def _without_code(markdown: str) -> str:
    for block in parse(markdown):
        markdown = markdown.replace(block.text, "")
    return re.sub(r"`[^`\n]*`", "", markdown)


def _anchor(heading: str) -> str:
    """As code hosts make them."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    markdown = page.read_text(encoding="utf-8")
    for block in parse(markdown):
        markdown = markdown.replace(block.text, "")
    return {_anchor(heading) for heading in _HEADING.findall(markdown)}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in _anchors(target), f"{link}: there is no such heading"


def test_only_what_the_tests_do_not_have_is_not_run() -> None:
    locked = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").lower()
    for page in PAGES:
        for block in parse(page.read_text(encoding="utf-8")):
            assert f"\n{block.missing}==" not in locked.replace("_", "-"), f"{page.name}"


def test_the_index_knows_every_page() -> None:
    index = DOCS / "README.md"
    links = _LINK.findall(index.read_text(encoding="utf-8"))
    listed = {(DOCS / link.partition("#")[0]).resolve() for link in links if "://" not in link}
    assert set(DOCS.rglob("*.md")) - {index} <= listed


def test_every_example_is_on_a_page() -> None:
    shown = {block.file for page in PAGES for block in parse(page.read_text(encoding="utf-8"))}
    assert {path.name for path in (DOCS / "examples").glob("*.py")} <= shown


# The runner itself: a block that cannot fail is no test.


def _run(folder: Path, markdown: str) -> None:
    page = folder / "page.md"
    page.write_text(markdown, encoding="utf-8")
    Runner(page, folder).run()


def test_a_page_whose_blocks_are_right(tmp_path: Path) -> None:
    _run(
        tmp_path,
        "```python file=greet.py\nWORD = 'hello'\n```\n"
        "```python\nfrom greet import WORD\n```\n"
        "```python\nprint(WORD)\n```\n```output\nhello\n```\n"
        "```python no-run=no_such_package\nimport no_such_package\n```\n"
        "```console\n$ python greet.py\n$ pip install windsock[trio]\n$ make demo PORT=1\n```\n",
    )


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("```python\nprint(1)\n```\n```output\n2\n```\n", "line 4"),
        ("```python\nprint(1)\n```\n", "nothing shows"),
        ("```output\n1\n```\n", "no python block"),
        ("```python\n1\n", "does not end"),
        ("```python file=x.py\n1\n```\n", "nothing uses"),
        ("```python file=selectors_server.py\n1\n```\n", "not what selectors_server.py holds"),
        ("```json\n1\n```\n", "what is a block"),
        ("```console\n$ rm x\n```\n", "not known"),
        ("```console\n$ make nonsense\n```\n", "knows no nonsense"),
        ("```console\n$ pip install windsock[nonsense]\n```\n", "no extra 'nonsense'"),
        ("```console\n$ pip install no_such_package\n```\n", "not what the tests use"),
        ("```console\n$ python -c 'print(1)'\n2\n```\n", "but it prints"),
        ("```console\n$ windsock serve nowhere:app --port 8765\n```\n", "did not start"),
        ("```console\n$ windsock demo --port 8765\nhello\n```\n", "but it prints"),
    ],
)
def test_a_page_with_a_wrong_block(tmp_path: Path, markdown: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        _run(tmp_path, markdown)


def test_a_block_that_is_not_run_is_python(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError):
        _run(tmp_path, "```python no-run=no_such_package\nimport import\n```\n")


def test_a_block_that_raises_is_found_on_its_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _run(tmp_path, "text\n\n```python\n1 / 0\n```\n")
    assert caught.traceback[-1].lineno + 1 == 4


def test_page_errors_fail_tests() -> None:
    assert issubclass(PageError, AssertionError)
