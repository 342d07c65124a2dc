"""The patterns of routes, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windsock.core.app.routing.patterns import (
    Placeholder,
    parse_host,
    parse_path,
    placeholder_names,
)


@pytest.mark.parametrize(
    ("text", "placeholder"),
    [
        ("{name}", Placeholder("{name}", "name")),
        ("<name>", Placeholder("<name>", "name")),
        ("{}", Placeholder("{}")),
        ("{_a1}", Placeholder("{_a1}", "_a1")),
        ("{n:int}", Placeholder("{n:int}", "n", "int")),
        ("<int:n>", Placeholder("<int:n>", "n", "int")),
        ("{n:int(min=1, max=2)}", Placeholder("{n:int(min=1, max=2)}", "n", "int", "min=1, max=2")),
        ("<int(min=1):n>", Placeholder("<int(min=1):n>", "n", "int", "min=1")),
        ("{x:any()}", Placeholder("{x:any()}", "x", "any", "")),
        ("<any():x>", Placeholder("<any():x>", "x", "any", "")),
        ("{w:datetime:%H:%M}", Placeholder("{w:datetime:%H:%M}", "w", "datetime", "%H:%M", True)),
        ("{x:regex([a-z]{2,3})}", Placeholder("{x:regex([a-z]{2,3})}", "x", "regex", "[a-z]{2,3}")),
        (r"{x:regex(\{)}", Placeholder(r"{x:regex(\{)}", "x", "regex", r"\{")),
        (r"{x:regex(\{\}\\)}", Placeholder(r"{x:regex(\{\}\\)}", "x", "regex", r"\{\}\\")),
        ("{x:regex(a>b<c)}", Placeholder("{x:regex(a>b<c)}", "x", "regex", "a>b<c")),
        ("{x:regex((a)(b))}", Placeholder("{x:regex((a)(b))}", "x", "regex", "(a)(b)")),
        ("<regex('[a-z]{2}'):x>", Placeholder("<regex('[a-z]{2}'):x>", "x", "regex", "'[a-z]{2}'")),
        ("<regex('a>(b):c'):x>", Placeholder("<regex('a>(b):c'):x>", "x", "regex", "'a>(b):c'")),
    ],
)
def test_placeholders(text: str, placeholder: Placeholder) -> None:
    assert parse_path(f"/{text}").elements == ("/", placeholder)
    assert parse_path(f"/a-{text}.b/").elements == ("/a-", placeholder, ".b/")
    assert parse_host(f"A-{text}.B").elements == ("a-", placeholder, ".b")


def test_names_are_in_order() -> None:
    pattern = parse_path("/{b}/x/<int:a>-{}/{c:path}")
    assert pattern.names == ("b", "a", "c")
    assert [placeholder.text for placeholder in pattern.placeholders] == [
        "{b}", "<int:a>", "{}", "{c:path}",
    ]  # fmt: skip
    assert placeholder_names("/{b}/{a}") == ("b", "a")
    assert placeholder_names("/{b}/{a}", "{d}.{c}") == ("b", "a", "d", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a path begins with a slash: write '/' instead of ''"),
        ("chat", r"a path begins with a slash: write '/chat' instead of 'chat'"),
        ("{room}", r"a path begins with a slash"),
        ("//a", r"'//a' begins with more than one slash: write '/a' instead"),
        ("/a>b", r"malformed placeholder in the path '/a>b', at '>b': write it as \{name\}"),
        ("/a<b", r"malformed placeholder in the path '/a<b', at '<b'"),
        ("/<>", r"malformed placeholder in the path '/<>'"),
        ("/<a b>", r"malformed placeholder in the path"),
        ("/<int>:x", None),
        ("/<1:x>", r"malformed placeholder"),
        ("/{1a}", r"placeholder \{1a\} in the path '/\{1a\}' is not a name: write letters"),
        ("/{a b}", r"is not a name"),
        ("/{ a}", r"is not a name"),
        ("/{:int}", r"placeholder \{:int\} .* is not a name"),
        ("/{a}\n{b }", r"is not a name"),
        ("/{a:}", r"placeholder \{a:\} in the path '/\{a:\}' has no proper type: write it as"),
        ("/{a:int(1}", r"has no proper type"),
        ("/{a:int(1)2}", r"has no proper type"),
        ("/{a:1}", r"has no proper type"),
        ("/{a}/{a}", r"\{a\} stands twice in the path '/\{a\}/\{a\}': give one of them another"),
        ("/{a}/<int:a>", r"\{a\} stands twice"),
        ("/{a", r"a brace without its partner in the path '/\{a', at '\{a': close it"),
        ("/{a:regex(\\", r"a brace without its partner"),
        ("/{a:regex({)}", r"a brace without its partner .* or write \\\{ where a regular"),
        ("/a}", r"a brace without its partner in the path '/a\}', at '\}': write a placeholder"),
        ("/{{a}}", r"\{\{a\}\} .* is not a name"),
    ],
)
def test_a_malformed_path(text: str, message: str | None) -> None:
    if message is None:
        assert parse_path(text).names == ("int",)
        return
    with pytest.raises(ValueError, match=message):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the host '' is none: write a name such as 'api.example.org'"),
        ("https://example.org", r"the host 'https://example.org' is none: .* without scheme"),
        ("a b", r"is none"),
        ("a@b", r"is none"),
        ("bücher.org", r"the host 'bücher.org' never comes like that: write it in ASCII"),
        ("{a}.{a}", r"\{a\} stands twice in the host '\{a\}.\{a\}'"),
        ("{a", r"a brace without its partner in the host '\{a'"),
    ],
)
def test_a_malformed_host(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_host(text)


def test_a_name_in_host_and_path() -> None:
    with pytest.raises(ValueError, match=r"\{a\} stands in the host '\{a\}.x' and in the path '/"):
        placeholder_names("/{a}", "{a}.x")


@given(st.text("/{}<>:()'\\ab1%-") | st.text())
def test_whatever_is_written_is_a_pattern_or_a_value_error(text: str) -> None:
    try:
        pattern = parse_path(text)
    except ValueError:
        return
    written = [e.text if isinstance(e, Placeholder) else e for e in pattern.elements]
    assert "".join(written) == text
