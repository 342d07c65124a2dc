"""Text of URLs to Python values: what a number, a truth or a day looks like there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Converter:
    """A placeholder type of one's own, as in `{colour:hex}`.

    Args:
        regex: what the text must match as a whole; it is asked about decoded text. Groups have to
            be anonymous. With a slash in it that is not within `[^…]`, it may span segments.
        to_python: from the text to the value. A ValueError, LookupError or ArithmeticError says
            that the text is none, and the next route is tried.
        to_url: from a value to the text, which is percent-encoded afterwards.
    """

    regex: str
    to_python: Callable[[str], Any] = str
    to_url: Callable[[Any], str] = str


UNCONVERTIBLE: Final = (ValueError, LookupError, ArithmeticError)
"""What a converter raises for text that is none of its own."""

# Digits are the ten of ASCII, and as many as int() takes: more would be an error, and slow.
INTEGER: Final = r"-?[0-9]{1,4300}"
FLOAT: Final = r"-?[0-9]{1,1000}(?:\.[0-9]{1,1000})?(?:[eE][-+]?[0-9]{1,4})?"
DECIMAL: Final = r"-?[0-9]{1,1000}(?:\.[0-9]{1,1000})?"
BOOLEAN: Final = r"(?i:true|false|1|0)"
IDENTIFIER: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME: Final = r"[0-9]{2}:[0-9]{2}[0-9:.,Zz+-]{0,30}"
DATETIME: Final = rf"{DATE}(?:[T ]{TIME})?"

_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _text(value: Any) -> str:
    if value is None:
        raise TypeError("None has no text")
    return str(value)


def _iso(value: Any) -> str:
    return value if isinstance(value, str) else str(value.isoformat())


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type that text is converted to: which text, how there and back, and its description."""

    name: str
    regex: str
    to_python: Callable[[str], Any]
    to_url: Callable[[Any], str]
    described: str

    def parse(self, text: str) -> Any:
        """The value of any text whatsoever.

        Raises:
            ValueError, ArithmeticError: it has none.
        """
        if re.fullmatch(self.regex, text) is None:
            raise ValueError(f"not {self.described}")
        return self.to_python(text)


SCALARS: Final[Mapping[type, Scalar]] = {
    str: Scalar("str", r"(?s:.*)", str, _text, "text"),
    int: Scalar("int", INTEGER, int, _text, "a whole number, such as 12"),
    float: Scalar("float", FLOAT, _finite, _text, "a number, such as 1.5"),
    bool: Scalar(
        "bool",
        BOOLEAN,
        lambda text: _TRUTHS[text.lower()],
        lambda value: _text(value).lower(),
        "true or false",
    ),
    Decimal: Scalar(
        "decimal",
        DECIMAL,
        Decimal,
        lambda value: format(value, "f") if isinstance(value, Decimal) else _text(value),
        "a decimal number, such as 9.99",
    ),
    date: Scalar("date", DATE, date.fromisoformat, _iso, "a date, such as 2024-12-31"),
    time: Scalar("time", TIME, time.fromisoformat, _iso, "a time of day, such as 23:59"),
    datetime: Scalar(
        "datetime",
        DATETIME,
        datetime.fromisoformat,
        _iso,
        "a date and time, such as 2024-12-31T23:59",
    ),
    UUID: Scalar(
        "uuid",
        IDENTIFIER,
        UUID,
        _text,
        "a UUID, such as 123e4567-e89b-12d3-a456-426614174000",
    ),
}
"""What an annotation converts to, by the annotation."""
