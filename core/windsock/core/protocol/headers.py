"""HTTP header fields: a read-only mapping and the grammar that the handshake needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, cast, overload

T = TypeVar("T")

# RFC 9110 §5.6.2
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TOKEN_RE = re.compile(TOKEN)
# RFC 9110 §5.5 without obs-text: what we write ourselves, and what the handshake's own fields hold.
_VISIBLE_ASCII_RE = re.compile(r"[\t\x20-\x7e]*")
_CONTROL_RE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 6455 §9.1: extension-param = token [ "=" (token | quoted-string) ]; a quoted value must be a
# token once unquoted.
_QUOTED = r'"((?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)"'
_PARAMETER_RE = re.compile(rf"[ \t]*({TOKEN})[ \t]*(?:=[ \t]*(?:({TOKEN})|{_QUOTED})[ \t]*)?")
# RFC 9110 §5.6.1: empty elements of a list are to be ignored.
_NO_ELEMENTS_RE = re.compile(r"[ \t,]*")
_QUOTED_PAIR_RE = re.compile(r"\\(.)")


class Headers(Mapping[str, str]):
    """Header fields in order, looked up without regard to case; the casing as sent is kept.

    `headers["name"]` and `get` give the field's values joined by ", " (RFC 9110 §5.3),
    `get_all` gives them apart, `items_as_sent` gives every line.
    """

    __slots__ = ("_index", "_lines")

    def __init__(self, lines: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        pairs: Iterable[tuple[str, str]]
        if isinstance(lines, (list, tuple)):  # to ask for a Mapping takes longer
            pairs = lines
        elif isinstance(lines, Headers):
            pairs = lines.items_as_sent()
        elif isinstance(lines, Mapping):
            pairs = cast("Mapping[str, str]", lines).items()
        else:
            pairs = lines
        self._lines: tuple[tuple[str, str], ...] = tuple(pairs)
        self._index: dict[str, str | list[str]] | None = None

    def find(self, name: str) -> str | list[str] | None:
        """The value of the field `name`, all of them where it was sent more than once, or None."""
        if self._index is None:
            self._index = _index(self._lines)
        return self._index.get(name.lower())

    def __getitem__(self, name: str) -> str:
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found if isinstance(found, str) else ", ".join(found)

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...
    def get(self, name: str, /, default: str | T | None = None) -> str | T | None:
        """The values of the field `name`, joined; `default` where there is none."""
        # Mapping's own raises and catches a KeyError for each that is missing.
        found = self.find(name)
        if found is None:
            return default
        return found if isinstance(found, str) else ", ".join(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._lines))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._lines})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def __repr__(self) -> str:
        return f"Headers({list(self._lines)!r})"

    def get_all(self, name: str) -> list[str]:
        """Every value of the field `name`, in order."""
        found = self.find(name)
        if found is None:
            return []
        return [found] if isinstance(found, str) else list(found)

    def items_as_sent(self) -> tuple[tuple[str, str], ...]:
        """Every (name, value) line, in order, names in the casing they were sent in."""
        return self._lines


def _index(lines: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    index: dict[str, str | list[str]] = {}
    for name, value in lines:
        key = name.lower()
        before = index.get(key)
        if before is None:
            index[key] = value
        elif isinstance(before, str):
            index[key] = [before, value]
        else:
            before.append(value)
    return index


HeaderFields = Mapping[str, str] | Iterable[tuple[str, str]]
"""What applications give for header fields: a mapping such as `Headers` or a dict, or pairs."""


def is_token(text: str) -> bool:
    """Whether `text` is a token (RFC 9110 §5.6.2): names of headers, subprotocols, extensions."""
    return _TOKEN_RE.fullmatch(text) is not None


def is_visible_ascii(text: str) -> bool:
    """Whether `text` is printable ASCII, space or tab: a header value that is safe to write."""
    return _VISIBLE_ASCII_RE.fullmatch(text) is not None


def has_control(text: str) -> bool:
    """Whether `text` holds a control character other than tab."""
    return _CONTROL_RE.search(text) is not None


def escape_controls(text: str) -> str:
    """`text` with everything but printable ASCII escaped, so that it is safe in a log line."""
    return text.encode("unicode_escape").decode("ascii")


def parse_tokens(values: Iterable[str]) -> list[str] | None:
    """The tokens of a comma-separated list field (RFC 9110 §5.6.1), or None if malformed."""
    tokens: list[str] = []
    for value in values:
        for element in value.split(","):
            token = element.strip(" \t")
            if not token:
                continue  # empty list elements are to be ignored
            if not is_token(token):
                return None
            tokens.append(token)
    return tokens


def parse_upgrade(values: Iterable[str]) -> list[str] | None:
    """The lower-case protocol names of an Upgrade field (RFC 9110 §7.8), versions left off."""
    protocols: list[str] = []
    for value in values:
        for element in value.split(","):
            name, _, version = element.strip(" \t").partition("/")
            if not name and not version:
                continue
            if not is_token(name) or (version and not is_token(version)):
                return None
            protocols.append(name.lower())
    return protocols


ExtensionOffer = tuple[str, tuple[tuple[str, str | None], ...]]
"""An extension's name and its parameters, in order; a parameter without value has None."""


def parse_extensions(values: Iterable[str]) -> list[ExtensionOffer] | None:
    """The offers of a Sec-WebSocket-Extensions field (RFC 6455 §9.1), or None if malformed."""
    offers: list[ExtensionOffer] = []
    for value in values:
        parsed = _parse_extension_list(value)
        if parsed is None:
            return None
        offers += parsed
    return offers


def _parse_extension_list(value: str) -> list[ExtensionOffer] | None:
    offers: list[ExtensionOffer] = []
    position, end = _skip_no_elements(value, 0), len(value)
    items: list[tuple[str, str | None]] = []
    while position < end or items:
        match = _PARAMETER_RE.match(value, position)
        if match is None:
            return None
        name, token, quoted = match.groups()
        if quoted is not None:
            token = _QUOTED_PAIR_RE.sub(r"\1", quoted)
            if not is_token(token):
                return None
        if not items and token is not None:
            return None  # the extension's own name takes no value
        items.append((name, token))
        position = match.end()
        separator = value[position : position + 1]
        if separator == ";":
            position += 1
        elif separator in {",", ""}:
            position = _skip_no_elements(value, position)
            offers.append((items[0][0], tuple(items[1:])))
            items = []
        else:
            return None
    return offers


def _skip_no_elements(value: str, position: int) -> int:
    match = _NO_ELEMENTS_RE.match(value, position)
    assert match is not None  # it matches nothing, too
    return match.end()
