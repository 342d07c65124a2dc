"""Patterns and the conversions of their placeholders, made ready to match and to build."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

from .converters import TEXT, Conversion
from .patterns import Pattern, Placeholder
from .values import UNCONVERTIBLE

Element: TypeAlias = "str | Field"

# Stands for a slash that came as %2F, lest it separate segments. No text holds it otherwise: what
# comes in has lone surrogates replaced.
_SLASH: Final = "\udc2f"

# With strict slashes every path gets this as its last segment, and none ends in a slash then.
_END: Final = "/$"

_LONGEST_HOST: Final = 253 + len(":65535")  # RFC 1035 §2.3.4
_PATH: Final = ("path", "")  # the key of the conversion of {name:path}
_PORT = re.compile(r":[0-9]*\Z")
_SAFE: Final = "!$&'()*+,:;=@"


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder and what it converts by."""

    name: str | None
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class Part:
    """A segment with placeholders, or the rest of a path from one that may span segments."""

    elements: tuple[Element, ...]
    fields: tuple[Field, ...]
    """The placeholders among them."""
    regex: str
    grouped: bool
    """Whether the regex has groups for the placeholders; else it is that of the only one."""
    rank: int
    """Of two that match the same text, the one with the lower rank goes first."""
    spans: bool

    def split(self, text: str) -> tuple[str, ...]:
        """What each placeholder stands for in a text that `regex` matches."""
        if not self.grouped:
            return (text,)
        matched = re.fullmatch(self.regex, text)
        assert matched is not None
        return _texts(matched, self.fields)


def decode_path(raw_path: str) -> str:
    """A percent-encoded path, decoded segment by segment: an encoded slash separates nothing."""
    if not raw_path.isascii():
        raw_path = raw_path.encode("utf-8", "replace").decode()
    if "%" not in raw_path:
        return raw_path
    # "%2F" is found before anything is decoded, so that "%252F" is left to be "%2F".
    pieces = re.split("%2[Ff]", raw_path)
    return _SLASH.join(unquote(piece, errors="replace") for piece in pieces)


class PathShape:
    """A path pattern, ready.

    Attributes:
        segments: literal text or a `Part`, for each.
        parts: those among them.
        key: equal for the patterns that match the same paths.
    """

    def __init__(
        self, pattern: Pattern, conversions: Sequence[Conversion], *, strict_slashes: bool
    ) -> None:
        elements = _join(pattern, conversions)
        self._elements = elements
        self._whole = _regex(_bounded(elements))
        if sum(conversion.key == _PATH for conversion in conversions) > 1:
            raise ValueError(
                "only one {name:path} may stand in a path: "
                "what two of them share could be parted in too many ways"
            )
        self.segments = tuple(_segments(_trimmed(elements, strict_slashes), strict_slashes))
        self.parts = tuple(s for s in self.segments if isinstance(s, Part))
        self.key = tuple(
            segment if isinstance(segment, str) else _key(segment.elements)
            for segment in self.segments
        )

    def build(self, values: Mapping[str, Any]) -> str:
        """The percent-encoded path. Raises ValueError where a value does not fit."""
        return _build(self._elements, self._whole, values, quoted=True)


def request_path(raw_path: str, *, strict_slashes: bool) -> str | None:
    """What to look up for a path as it was sent; None for what is none."""
    if raw_path and not raw_path.startswith("/"):
        return None
    # Of slashes at the beginning the map makes one.
    path = decode_path(raw_path) or "/"
    return path + _END if strict_slashes else path


def _trimmed(elements: tuple[Element, ...], strict_slashes: bool) -> tuple[Element, ...]:
    if strict_slashes:
        return (_END,) if elements == ("/",) else (*elements, _END)
    last = elements[-1]
    if elements == ("/",) or not (isinstance(last, str) and last.endswith("/")):
        return elements
    return (*elements[:-1], last[:-1]) if len(last) > 1 else elements[:-1]


def _segments(elements: Sequence[Element], strict_slashes: bool) -> list[str | Part]:
    segments: list[list[Element]] = [[]]
    spans = False
    for element in elements:
        if isinstance(element, Field):
            spans = spans or element.conversion.spans
            segments[-1].append(element)
        elif spans:
            segments[-1].append(element)
        else:
            first, *others = element.split("/")
            segments[-1].append(first)
            for other in others:
                segments.append([other])  # noqa: PERF401
    made: list[str | Part] = []
    for segment in segments[1:]:
        filled = tuple(element for element in segment if element != "")
        if any(isinstance(element, Field) for element in filled):
            made.append(_part(filled, strict_slashes))
        else:
            made.append("".join(segment for segment in filled if isinstance(segment, str)))
    return made


def _part(elements: tuple[Element, ...], strict_slashes: bool) -> Part:
    elements = tuple(_bounded(elements))
    fields = tuple(element for element in elements if isinstance(element, Field))
    spans = any(field.conversion.spans for field in fields)
    literal = sum(len(element) for element in elements if isinstance(element, str))
    # What spans segments goes last; else what has literal text goes first, the more the earlier.
    kind = 2 if spans else 0 if literal else 1
    rank = max(field.conversion.rank for field in fields)
    rank += kind * 10_000_000 + (9_999 - min(literal, 9_999)) * 1_000
    regex = _regex(elements)
    # The map minds a slash at the end of whole segments only.
    slash = spans and not strict_slashes and not _takes_slash(elements[-1])
    if slash:
        regex = (regex if len(elements) > 1 else f"(?P<f0>{regex})") + "/?"
    return Part(elements, fields, regex, slash or len(elements) > 1, rank, spans)


def _takes_slash(element: Element) -> bool:
    """Whether a slash at the end may be part of what stands here."""
    return (
        isinstance(element, Field)
        and element.conversion.spans
        and element.conversion.key[0] not in {"any", "date", "time", "datetime"}
    )


def _bounded(elements: tuple[Element, ...]) -> list[Element]:
    """See to it that plain text among other placeholders cannot be parted in too many ways.

    Where only text follows in its segment, it ends where it can end first and is tried with no
    other end, which loses no match. Else, and after what spans segments, its length has a limit.
    """
    made: list[Element] = []
    for index, element in enumerate(elements):
        if isinstance(element, Field) and element.conversion is TEXT:
            before = _in_segment(elements[:index][::-1])
            after = _in_segment(elements[index + 1 :])
            later = [other.conversion for other in after if isinstance(other, Field)]
            plain = all(other is TEXT or other.key == _PATH for other in later)
            spanned = any(isinstance(e, Field) and e.conversion.spans for e in before)
            regex = TEXT.regex if plain and not spanned else "[^/]{1,255}"
            if later and plain:
                literal = after[0] if isinstance(after[0], str) else ""
                regex = f"(?>{regex}?(?={re.escape(literal)}[^/]))"
            element = replace(element, conversion=replace(TEXT, regex=regex))
        made.append(element)
    return made


def _in_segment(elements: Sequence[Element]) -> list[Element]:
    """The elements up to the next slash."""
    for index, element in enumerate(elements):
        if isinstance(element, str) and "/" in element:
            return list(elements[:index])
    return list(elements)


def _regex(elements: Sequence[Element]) -> str:
    if len(elements) == 1 and isinstance(elements[0], Field):
        return elements[0].conversion.regex
    regex = ""
    number = 0
    for element in elements:
        if isinstance(element, str):
            regex += re.escape(element)
        else:
            regex += f"(?P<f{number}>{element.conversion.regex})"
            number += 1
    return regex


def _texts(matched: re.Match[str], fields: Sequence[Field]) -> tuple[str, ...]:
    return tuple(matched[f"f{number}"] for number in range(len(fields)))


class HostShape:
    """A host pattern, ready.

    The port of a request's Host field is looked at only where the pattern has a literal colon, or
    a placeholder of the type or the name `port`.

    Attributes:
        key: equal for the patterns that match the same hosts.
        order: what sorts host patterns, those first that go first.
    """

    def __init__(self, pattern: Pattern, conversions: Sequence[Conversion]) -> None:
        self._elements = _join(pattern, conversions)
        self.fields = tuple(e for e in self._elements if isinstance(e, Field))
        literal = "".join(e for e in self._elements if isinstance(e, str))
        self._with_port = ":" in literal or any(
            field.name == "port" or field.conversion.key == ("port", "") for field in self.fields
        )
        self._pattern = re.compile(_regex(_bounded(self._elements)))
        self.key = _key(self._elements)
        self.order = (bool(self.fields), -len(literal))

    def match(self, host: str) -> tuple[str, ...] | None:
        """What each placeholder stands for in a Host field, None if it does not match."""
        if len(host) > _LONGEST_HOST:
            return None
        host = host.lower()
        matched = self._pattern.fullmatch(host if self._with_port else _PORT.sub("", host))
        if matched is None:
            return None
        if len(self._elements) == 1:
            return (matched[0],) * len(self.fields)
        return _texts(matched, self.fields)

    def build(self, values: Mapping[str, Any]) -> str:
        """The host. Raises ValueError where a value does not fit."""
        return _build(self._elements, self._pattern.pattern, values, quoted=False)


def read_values(fields: Sequence[Field], texts: Sequence[str], found: dict[str, Any]) -> bool:
    """Convert `texts` and add them to `found`; False where one does not convert."""
    for field, text in zip(fields, texts, strict=True):
        try:
            value = field.conversion.to_python(text.replace(_SLASH, "/"))
        except UNCONVERTIBLE:
            return False
        if field.name is not None:
            found[field.name] = value
    return True


def _join(pattern: Pattern, conversions: Sequence[Conversion]) -> tuple[Element, ...]:
    rest = iter(conversions)
    return tuple(
        Field(element.name, next(rest)) if isinstance(element, Placeholder) else element
        for element in pattern.elements
    )


def _key(elements: Sequence[Element]) -> tuple[object, ...]:
    return tuple(e.conversion.key if isinstance(e, Field) else e for e in elements)


def _build(
    elements: Sequence[Element], regex: str, values: Mapping[str, Any], *, quoted: bool
) -> str:
    built = ""
    texts: list[str] = []
    for element in elements:
        if isinstance(element, str):
            built += quote(element, safe=_SAFE + "/") if quoted else element
            continue
        if element.name is None:
            raise ValueError("an anonymous placeholder, {}, has no value: give it a name")
        text = _build_value(element, values[element.name])
        texts.append(decode_path(text))
        built += text
    matched = re.fullmatch(regex, decode_path(built))
    fields = [element for element in elements if isinstance(element, Field)]
    if len(elements) > 1 and (matched is None or list(_texts(matched, fields)) != texts):
        raise ValueError("these values would be parted in another way when they come back")
    return built


def _build_value(field: Field, value: Any) -> str:
    try:
        text = field.conversion.to_url(value)
        decoded = decode_path(text)
        fits = re.fullmatch(field.conversion.regex, decoded) is not None
        if fits:
            field.conversion.to_python(decoded.replace(_SLASH, "/"))
    except (*UNCONVERTIBLE, TypeError, AttributeError) as error:
        raise ValueError(f"the value of {{{field.name}}}, {value!r}, is none: {error}") from error
    if not fits:
        raise ValueError(f"the value of {{{field.name}}}, {value!r}, would not match")
    return text
