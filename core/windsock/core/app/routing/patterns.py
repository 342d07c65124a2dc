"""The patterns of routes, taken apart: literal text and placeholders.

A path pattern begins with a slash; a host pattern is a host name, with a port or without. In both,
placeholders are written in any of these ways:

| spelling | stands for |
|---|---|
| `{name}`, `<name>` | text without a slash |
| `{name:type}`, `<type:name>` | what the converter `type` takes |
| `{name:type(arguments)}`, `<type(arguments):name>` | the same, with arguments |
| `{name:datetime:%Y-%m-%d}` | the same, with all that follows as the one argument |
| `{}` | text without a slash, which is passed to nobody |

They may be parts of a segment: `/v{major}.{minor}`. Of several in one segment, one without a type
takes as little as it can, so that "/{a}-{b}" finds "1" and "2-3" in "/1-2-3".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL = re.compile(r"[^{}<>]+")
_ANGLED = re.compile(
    r"<(?:(?P<type>[A-Za-z_][A-Za-z0-9_]*)(?:\((?P<arguments>.*?)\))?:)?"
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)>",
    re.DOTALL,
)
_BRACED = re.compile(
    r"(?P<name>[^:]*)"
    r"(?::(?P<type>[A-Za-z_][A-Za-z0-9_]*)"
    r"(?:\((?P<arguments>.*)\)|:(?P<format>.*))?)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What stands between the literal text of a pattern."""

    text: str
    """As written, brackets included."""
    name: str | None = None
    """None for an anonymous one."""
    converter: str | None = None
    """The name of its type, None where it has none."""
    arguments: str | None = None
    """What the type is given, as written."""
    formatted: bool = False
    """Whether the arguments follow a colon, which makes them one format."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern taken apart, its literal text and placeholders in order."""

    text: str
    elements: tuple[str | Placeholder, ...]

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """All placeholders, in order."""
        return tuple(e for e in self.elements if isinstance(e, Placeholder))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the placeholders that have one, in order."""
        return tuple(p.name for p in self.placeholders if p.name is not None)


def parse_path(text: str) -> Pattern:
    """Take a path pattern apart.

    Raises:
        ValueError: it is malformed; the message shows it and says what to write.
    """
    if not text.startswith("/"):
        raise ValueError(f"a path begins with a slash: write {'/' + text!r} instead of {text!r}")
    if text.startswith("//"):
        raise ValueError(
            f"the path {text!r} begins with more than one slash: "
            f"write {'/' + text.lstrip('/')!r} instead"
        )
    return _parse(text, "path")


def parse_host(text: str) -> Pattern:
    """Take a host pattern apart; its literal text comes out in lower case.

    Raises:
        ValueError: it is malformed; the message shows it and says what to write.
    """
    pattern = _parse(text, "host")
    literals = "".join(e for e in pattern.elements if isinstance(e, str))
    if not text or re.search(r"[/\s@?#]", literals):
        raise ValueError(
            f"the host {text!r} is none: write a name such as 'api.example.org', "
            "'{tenant}.example.org' or 'example.org:8080', without scheme and path"
        )
    if not literals.isascii():
        raise ValueError(
            f"the host {text!r} never comes like that: write it in ASCII, as in 'xn--bcher-kva.org'"
        )
    elements = tuple(e.lower() if isinstance(e, str) else e for e in pattern.elements)
    return Pattern(text, elements)


def placeholder_names(path: str, host: str | None = None) -> tuple[str, ...]:
    """The names of a route's placeholders: the path's in order, then the host's.

    Raises:
        ValueError: a pattern is malformed, or a name stands in both.
    """
    names = parse_path(path).names
    if host is None:
        return names
    both = parse_host(host).names
    for name in both:
        if name in names:
            raise ValueError(
                f"the placeholder {{{name}}} stands in the host {host!r} and in the path {path!r}: "
                "give one of them another name"
            )
    return names + both


def _parse(text: str, kind: str) -> Pattern:
    elements = tuple(_elements(text, kind))
    pattern = Pattern(text, elements)
    for number, name in enumerate(pattern.names):
        if name in pattern.names[:number]:
            raise ValueError(
                f"the placeholder {{{name}}} stands twice in the {kind} {text!r}: "
                "give one of them another name"
            )
    return pattern


def _elements(text: str, kind: str) -> Iterator[str | Placeholder]:
    position = 0
    while position < len(text):
        if literal := _LITERAL.match(text, position):
            yield literal.group()
            position = literal.end()
        elif text[position] == "{":
            end = _closing(text, position, kind)
            yield _braced(text, position, end, kind)
            position = end
        elif angled := _ANGLED.match(text, position):
            arguments = angled["arguments"]
            yield Placeholder(angled.group(), angled["name"], angled["type"], arguments)
            position = angled.end()
        elif text[position] == "}":
            raise ValueError(
                f"a brace without its partner in the {kind} {text!r}, at {text[position:]!r}: "
                "write a placeholder as {name}"
            )
        else:
            raise ValueError(
                f"a malformed placeholder in the {kind} {text!r}, at {text[position:]!r}: "
                "write it as {name} or {name:type}, or as <name> or <type:name>"
            )


def _closing(text: str, start: int, kind: str) -> int:
    """Where the placeholder ends whose brace opens at `start`."""
    depth = 0
    position = start
    while position < len(text):
        if text[position] == "\\":
            position += 1  # what follows is a regular expression's, and no brace
        elif text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    raise ValueError(
        f"a brace without its partner in the {kind} {text!r}, at {text[start:]!r}: "
        r"close it, or write \{ where a regular expression means the brace itself"
    )


def _braced(text: str, start: int, end: int, kind: str) -> Placeholder:
    whole = text[start:end]
    if whole == "{}":
        return Placeholder(whole)
    parsed = _BRACED.fullmatch(whole, 1, len(whole) - 1)
    if parsed is None:
        raise ValueError(
            f"the placeholder {whole} in the {kind} {text!r} has no proper type: write it as "
            "{name}, {name:type}, {name:type(arguments)} or {name:datetime:%Y-%m-%d}"
        )
    if not _NAME.fullmatch(parsed["name"]):
        raise ValueError(
            f"the placeholder {whole} in the {kind} {text!r} is not a name: "
            "write letters, digits and underscores only, as in {name}"
        )
    formatted = parsed["format"] is not None
    arguments = parsed["format"] if formatted else parsed["arguments"]
    return Placeholder(whole, parsed["name"], parsed["type"], arguments, formatted)
