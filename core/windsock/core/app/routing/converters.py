"""The placeholder types: what text each takes, the value it gives, and the way back.

| type | takes | gives |
|---|---|---|
| `str`, `string` (`minlength`, `maxlength`, `length`) | text without a slash | `str` |
| `path` | text with slashes, the first character none | `str` |
| `int` (`fixed_digits`, `min`, `max`, `signed`) | `12`, `007`, `-3` unless `signed=False` | `int` |
| `float` (`min`, `max`, `signed`) | `1.5`, `-2`, `1e3`; nothing infinite | `float` |
| `decimal` | `9.99`, `-2` | `Decimal` |
| `bool` | `true`, `false`, `1`, `0`, in any case | `bool` |
| `uuid` | 32 hexadecimal digits, with hyphens | `UUID` |
| `date`, `time`, `datetime` (a format of strptime) | by the format, or ISO 8601 | the same |
| `any` (the alternatives) | one of them | `str` |
| `regex` (a regular expression) | what matches it | `str` |
| `port` | nothing, or a colon and a port, as after a host name | `int`, or None |

Werkzeug's converters of the same names take the same arguments.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote
from uuid import UUID

from .arguments import check_regex, check_types, may_span, parse_arguments, unquoted
from .values import INTEGER, SCALARS, Converter

if TYPE_CHECKING:
    from werkzeug.routing import BaseConverter

Converters: TypeAlias = "Mapping[str, Converter | type[BaseConverter]]"
"""Placeholder types of one's own, by name."""

_SAFE: Final = "!$&'()*+,:;=@"  # RFC 3986 §3.3: what a segment may hold besides the unreserved


@dataclass(frozen=True, slots=True)
class Conversion:
    """One placeholder's type, with its arguments."""

    key: tuple[str, str]
    """What tells it from others: its name and its arguments."""
    regex: str
    to_python: Callable[[str], Any] = field(compare=False, default=str)
    to_url: Callable[[Any], str] = field(compare=False, default=str)
    """To percent-encoded text."""
    rank: int = 100
    """Of two that take the same text, the one with the lower rank goes first."""
    spans: bool = False
    """Whether the text may hold slashes."""


def conversion(
    name: str | None,
    arguments: str | None = None,
    *,
    formatted: bool = False,
    custom: Converters | None = None,
) -> Conversion:
    """The conversion that a placeholder asks for.

    Args:
        name: of the type; None for text.
        arguments: as they were written, None for none.
        formatted: the arguments are one format, as after a second colon.
        custom: further types, which go before those of the same name here.

    Raises:
        ValueError: there is no such type, or the arguments are none of its own.
    """
    name = {None: "str", "string": "str", "default": "str"}.get(name, name) or "str"
    made = (custom or {}).get(name)
    if formatted and (made is not None or name not in _FORMATTED):
        raise ValueError(f"the type {name!r} takes no format: only datetime, date and time do")
    if made is not None:
        return _custom(name, made, arguments)
    if name in _FORMATTED:
        return _FORMATTED[name](name, None if arguments is None else unquoted(arguments))
    if name not in _BUILT_IN:
        known = sorted({*_BUILT_IN, *_FORMATTED, "string", *(custom or ())})
        raise ValueError(f"there is no type {name!r}: the types are {', '.join(known)}")
    make = _BUILT_IN[name]
    args, options = parse_arguments(arguments, literally=name == "any")
    try:
        bound = inspect.signature(make).bind(*args, **options)
    except TypeError as error:
        raise ValueError(f"the type {name!r} does not take ({arguments}): {error}") from None
    return make(*bound.args, **bound.kwargs)


def check_converters(custom: Converters) -> None:
    """See whether these can be converters at all.

    Raises:
        TypeError: one of them is neither a `Converter` nor a class like werkzeug's.
        ValueError: the name or the regular expression of one is unusable.
    """
    for name, made in custom.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"the converter name {name!r} is not a name: write letters and digits")
        if isinstance(made, Converter):
            check_regex(made.regex)
        elif not (isinstance(made, type) and hasattr(made, "part_isolating")):
            raise TypeError(
                f"the converter {name!r} must be a Converter, or a subclass of "
                f"werkzeug.routing.BaseConverter, not {made!r}"
            )


def _custom(name: str, made: Any, arguments: str | None) -> Conversion:
    if isinstance(made, Converter):
        if arguments is not None:
            raise ValueError(f"the type {name!r} takes no arguments, such as ({arguments})")
        check_regex(made.regex)
        to_url, spans = made.to_url, may_span(made.regex)
        return Conversion(
            (name, ""),
            made.regex,
            made.to_python,
            lambda value: _quoted(to_url(value), spans=spans),
            rank=80,
            spans=spans,
        )
    # Imported here: werkzeug's package imports sockets and threads, which the core must not.
    from werkzeug.routing import Map

    args, options = parse_arguments(arguments)
    try:
        instance = made(Map(), *args, **options)
    except TypeError as error:
        raise ValueError(f"the type {name!r} does not take ({arguments}): {error}") from None
    check_regex(instance.regex)
    return Conversion(
        (name, arguments or ""),
        instance.regex,
        instance.to_python,
        instance.to_url,
        rank=instance.weight,
        spans=not instance.part_isolating,
    )


# The types, whose parameters are named as werkzeug names them


def _string(
    minlength: int = 1, maxlength: int | None = None, length: int | None = None
) -> Conversion:
    if (minlength, maxlength, length) == (1, None, None):
        return TEXT
    if length is not None:
        minlength = maxlength = length
    check_types(int, minlength=minlength, maxlength=maxlength)
    most = "" if maxlength is None else maxlength
    if minlength < 0 or (maxlength is not None and maxlength < minlength):
        raise ValueError(f"no text has a length of {minlength} to {maxlength}")
    regex = f"[^/]{{{minlength},{most}}}"
    return Conversion(("str", regex), regex, str, _text_to_url, rank=90)


def _path() -> Conversion:
    return Conversion(
        ("path", ""),
        r"[^/](?s:.)*?",
        str,
        lambda value: _quoted(SCALARS[str].to_url(value), spans=True),
        rank=200,
        spans=True,
    )


def _integer(
    fixed_digits: int = 0,
    min: int | None = None,  # noqa: A002
    max: int | None = None,  # noqa: A002
    signed: bool = True,
) -> Conversion:
    check_types(int, fixed_digits=fixed_digits, min=min, max=max)
    if not 0 <= fixed_digits <= 4300:
        raise ValueError(f"no number has {fixed_digits} digits")
    regex = INTEGER if signed else INTEGER.removeprefix("-?")
    if fixed_digits:
        regex = regex.replace("{1,4300}", f"{{{fixed_digits}}}")

    def to_url(value: Any) -> str:
        text = SCALARS[int].to_url(value)
        return text.zfill(fixed_digits + text.startswith("-"))

    key = ("int", f"{fixed_digits},{min},{max},{signed}")
    return Conversion(key, regex, _within(int, min, max), to_url, rank=50)


def _float(
    min: float | None = None,  # noqa: A002
    max: float | None = None,  # noqa: A002
    signed: bool = True,
) -> Conversion:
    check_types((int, float), min=min, max=max)
    scalar = SCALARS[float]
    regex = scalar.regex if signed else scalar.regex.removeprefix("-?")
    key = ("float", f"{min},{max},{signed}")
    to_python = _within(scalar.to_python, min, max)
    return Conversion(key, regex, to_python, _scalar_to_url(float), rank=60)


def _within(convert: Callable[[str], Any], least: Any, most: Any) -> Callable[[str], Any]:
    if least is None and most is None:
        return convert

    def checked(text: str) -> Any:
        value = convert(text)
        if (least is not None and value < least) or (most is not None and value > most):
            raise ValueError(f"{value} is not from {least} to {most}")
        return value

    return checked


def _boolean() -> Conversion:
    return _scalar(bool, rank=40)


def _decimal() -> Conversion:
    return _scalar(Decimal, rank=65)


def _uuid() -> Conversion:
    return _scalar(UUID, rank=40)


def _scalar(kind: type, *, rank: int) -> Conversion:
    scalar = SCALARS[kind]
    key = (scalar.name, "")
    return Conversion(key, scalar.regex, scalar.to_python, _scalar_to_url(kind), rank=rank)


def _any(*alternatives: str) -> Conversion:
    if not alternatives:
        raise ValueError("the type 'any' needs its alternatives: write any(a,b)")
    regex = "|".join(re.escape(text) for text in alternatives)
    spans = any("/" in text for text in alternatives)
    return Conversion(
        ("any", "\0".join(sorted(alternatives))),
        f"(?:{regex})",
        str,
        lambda value: _quoted(str(value), spans=spans),
        rank=30,
        spans=spans,
    )


def _port() -> Conversion:
    def to_python(text: str) -> int | None:
        if not text:
            return None
        port = int(text[1:])
        if port > 65535:
            raise ValueError(f"there is no port {port}")
        return port

    return Conversion(
        ("port", ""),
        r"(?::[0-9]{1,5})?",
        to_python,
        lambda value: "" if value is None else f":{value}",
        rank=50,
    )


def _regex(_: str, expression: str | None) -> Conversion:
    if not expression:
        raise ValueError("the type 'regex' needs its expression: write regex([a-z]+)")
    check_regex(expression)
    spans = may_span(expression)
    return Conversion(
        ("regex", expression),
        expression,
        str,
        lambda value: _quoted(SCALARS[str].to_url(value), spans=spans),
        rank=70,
        spans=spans,
    )


_MOMENTS: Final[Mapping[str, tuple[type, Callable[[datetime], Any]]]] = {
    "date": (date, lambda moment: moment.date()),
    "time": (time, lambda moment: moment.timetz()),
    "datetime": (datetime, lambda moment: moment),
}


def _moment(name: str, form: str | None) -> Conversion:
    kind, part = _MOMENTS[name]
    if form is None:
        return _scalar(kind, rank=40)
    sample = datetime(2001, 2, 13, 16, 15, 16, 17, tzinfo=UTC)
    try:
        if "%" not in form:
            raise ValueError("it has no directive")
        datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007
    except (ValueError, LookupError, re.error) as error:
        raise ValueError(
            f"{form!r} is no format that strptime knows ({error}): "
            f"write one such as {{when:{name}:%Y-%m-%d}}"
        ) from None

    def to_python(text: str) -> Any:
        return part(datetime.strptime(text, form))  # noqa: DTZ007

    spans = "/" in form
    return Conversion(
        (name, form),
        "/".join(["[^/]{1,255}"] * (form.count("/") + 1)),
        to_python,
        lambda value: _quoted(value.strftime(form), spans=spans),
        rank=45,
        spans=spans,
    )


def _quoted(text: str, *, spans: bool) -> str:
    return quote(text, safe=_SAFE + "/" * spans)


def _text_to_url(value: Any) -> str:
    return _quoted(SCALARS[str].to_url(value), spans=False)


def _scalar_to_url(kind: type) -> Callable[[Any], str]:
    to_url = SCALARS[kind].to_url
    return lambda value: _quoted(to_url(value), spans=False)


TEXT: Final = Conversion(("str", ""), "[^/]+", str, _text_to_url)
"""What a placeholder without a type takes."""

_BUILT_IN: Final[Mapping[str, Callable[..., Conversion]]] = {
    "any": _any,
    "bool": _boolean,
    "decimal": _decimal,
    "float": _float,
    "int": _integer,
    "path": _path,
    "port": _port,
    "str": _string,
    "uuid": _uuid,
}
# Those whose one argument is taken as it is written.
_FORMATTED: Final[Mapping[str, Callable[[str, str | None], Conversion]]] = {
    "date": _moment,
    "datetime": _moment,
    "regex": _regex,
    "time": _moment,
}
