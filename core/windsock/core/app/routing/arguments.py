"""What placeholder types are given in a pattern: values, or a regular expression."""

from __future__ import annotations

import re
from typing import Any

_ARGUMENT = re.compile(
    r"""\s*(?:(?P<key>[A-Za-z_]\w*)\s*=\s*)?
        (?:[rRuU]?(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|(?P<bare>[^,'"=\s](?:[^,'"=]*[^,'"=\s])?))
        \s*(?:,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""[rRuU]?(['"])(.*)\1""", re.DOTALL)
_BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]|\(\?\(")
_NEGATED_CLASS = re.compile(r"\[\^\]?(?:\\.|[^\]\\])*\]")


def unquoted(arguments: str) -> str:
    """The one argument of a type that takes it as it is written, quotes or not."""
    quoted = _QUOTED.fullmatch(arguments.strip())
    return arguments if quoted is None else quoted[2]


def parse_arguments(
    text: str | None, *, literally: bool = False
) -> tuple[list[Any], dict[str, Any]]:
    """`1, "a", min=2` as positional and named values; `literally` leaves numbers text.

    Raises:
        ValueError: they are malformed.
    """
    args: list[Any] = []
    options: dict[str, Any] = {}
    position = 0
    text = (text or "").strip()
    while position < len(text):
        found = _ARGUMENT.match(text, position)
        if found is None:
            raise ValueError(
                f"the arguments ({text}) are malformed at {text[position:]!r}: "
                'write them as in (1, min=2, "some text")'
            )
        value = found["bare"] if found["quote"] is None else found["quoted"]
        if found["quote"] is None and not literally:
            value = _value(value)
        if found["key"] is None:
            args.append(value)
        else:
            options[found["key"]] = value
        position = found.end()
    return args, options


def _value(text: str) -> Any:
    constants = {"None": None, "True": True, "False": False}
    if text in constants:
        return constants[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def check_types(kind: type | tuple[type, ...], **values: Any) -> None:
    """Raise ValueError where a value is neither None nor of `kind`, which is a number's."""
    for name, value in values.items():
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name}={value!r} is no number")


def check_regex(expression: str) -> None:
    """Raise ValueError where `expression` cannot be a part of another."""
    try:
        groups = re.compile(expression).groupindex
        # What stands around it in the end: it has to be an expression there, too.
        re.compile(f"(?:(?P<whole>{expression}))")
    except re.error as error:
        raise ValueError(f"{expression!r} is no regular expression here: {error}") from None
    if groups or _BACK_REFERENCE.search(expression):
        raise ValueError(
            f"the regular expression {expression!r} names a group or refers to one: "
            "its groups have to be anonymous, as in (?:…)"
        )


def may_span(expression: str) -> bool:
    """Whether what it matches may hold slashes, as far as it says."""
    return "/" in _NEGATED_CLASS.sub("", expression)
