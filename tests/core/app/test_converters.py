"""The placeholder types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from werkzeug.routing import BaseConverter, IntegerConverter, Map, PathConverter, ValidationError

from windsock.core.app.routing.converters import TEXT, check_converters, conversion
from windsock.core.app.routing.patterns import parse_path
from windsock.core.app.routing.table import WEBSOCKET, Match, Route, RouteTable
from windsock.core.app.routing.values import Converter

HEX = "12345678-1234-1234-1234-123456789abc"
NONE: Mapping[str, Any] = {}


def table(placeholder: str, converters: Mapping[str, Any] = NONE) -> RouteTable:
    made = RouteTable(converters=converters)
    made.add(Route(f"/{placeholder}", print, name="it"), [WEBSOCKET])
    return made


def value(placeholder: str, text: str, converters: Mapping[str, Any] = NONE) -> Any:
    """What a placeholder `x` gives for a path; ... for no match."""
    match = table(placeholder, converters).match(f"/{text}", WEBSOCKET)
    return match.path_params["x"] if isinstance(match, Match) else ...


@pytest.mark.parametrize(
    ("placeholder", "text", "expected"),
    [
        ("{x:str}", "a", "a"),
        ("{x:string}", "a", "a"),
        ("<string(length=2):x>", "ab", "ab"),
        ("<string(length=2):x>", "abc", ...),
        ("{x:string(minlength=2)}", "a", ...),
        ("{x:string(minlength=2)}", "abc", "abc"),
        ("{x:string(2, 3)}", "abcd", ...),
        ("{x:string(minlength=0, maxlength=2)}-y", "-y", ""),
        ("{x:path}", "a/b", "a/b"),
        ("{x:int}", "12", 12),
        ("{x:int}", "007", 7),
        ("{x:int}", "-3", -3),
        ("{x:int}", "--3", ...),
        ("{x:int}", "+3", ...),
        ("{x:int}", "1_0", ...),
        ("{x:int}", "1.0", ...),
        ("{x:int}", "9" * 4300, int("9" * 4300)),
        ("{x:int}", "9" * 4301, ...),
        ("<int(signed=False):x>", "-3", ...),
        ("<int(signed=True):x>", "-3", -3),
        ("<int(fixed_digits=4):x>", "0012", 12),
        ("<int(fixed_digits=4):x>", "012", ...),
        ("<int(4):x>", "0012", 12),
        ("<int(min=2, max=3):x>", "1", ...),
        ("<int(min=2, max=3):x>", "2", 2),
        ("<int(min=2, max=3):x>", "4", ...),
        ("<int(min=-2, max=None):x>", "-3", ...),
        ("{x:float}", "1.5", 1.5),
        ("{x:float}", "-3", -3.0),
        ("{x:float}", "1e3", 1000.0),
        ("{x:float}", "1e999", ...),
        ("{x:float}", "nan", ...),
        ("{x:float}", "inf", ...),
        ("{x:float(signed=False)}", "-3", ...),
        ("{x:float(min=0.5)}", "0.4", ...),
        ("{x:float(max=1)}", "0.4", 0.4),
        ("{x:decimal}", "-9.90", Decimal("-9.90")),
        ("{x:decimal}", "1e5", ...),
        ("{x:bool}", "True", True),
        ("{x:bool}", "0", False),
        ("{x:bool}", "yes", ...),
        ("{x:uuid}", HEX, UUID(HEX)),
        ("{x:uuid}", HEX.upper(), UUID(HEX)),
        ("{x:uuid}", HEX.replace("-", ""), ...),
        ("{x:date}", "2024-02-29", date(2024, 2, 29)),
        ("{x:date}", "2023-02-29", ...),
        ("{x:date:%d.%m.%y}", "29.02.24", date(2024, 2, 29)),
        ("{x:time}", "23:59:58.5", time(23, 59, 58, 500_000)),
        ("{x:time}", "23:59Z", time(23, 59, tzinfo=UTC)),
        ("{x:time}", "25:00", ...),
        ("{x:time:%Hh%M%z}", "23h59+0000", time(23, 59, tzinfo=UTC)),
        ("{x:datetime}", "2024-02-29T23:59:58", datetime.fromisoformat("2024-02-29T23:59:58")),
        (
            "{x:datetime}",
            "2024-02-29%2023:59+01:00",
            datetime.fromisoformat("2024-02-29T23:59+01:00"),
        ),
        ("{x:datetime}", "2024-02-29", datetime.fromisoformat("2024-02-29")),
        ("{x:datetime}", "2024-02-30T00:00", ...),
        ("{x:datetime}", "2024", ...),
        ("{x:datetime:%Y:%H}", "2024:23", datetime.fromisoformat("2024-01-01T23:00")),
        ("{x:datetime(%Y-%m)}", "2024-02", datetime.fromisoformat("2024-02-01")),
        ("<datetime('%Y-%m'):x>", "2024-02", datetime.fromisoformat("2024-02-01")),
        ("{x:datetime:%Y %Z}", "2024%20UTC", datetime.fromisoformat("2024-01-01")),
        ("{x:datetime:%Y/%m}", "2024/02", datetime.fromisoformat("2024-02-01")),
        ("{x:any(a, b)}", "b", "b"),
        ("{x:any(a, b)}", "c", ...),
        ("{x:any(a,ab)}", "ab", "ab"),
        ("<any(01, True, 'x,y', \"z w\"):x>", "01", "01"),
        ("<any(01, True, 'x,y', \"z w\"):x>", "x,y", "x,y"),
        ("<any(01, True, 'x,y', \"z w\"):x>", "z%20w", "z w"),
        ("{x:any(a/b,c)}", "a/b", "a/b"),
        ("{x:any(a.b)}", "axb", ...),
        ("{x:regex([a-z]{2,3})}", "abc", "abc"),
        ("{x:regex([a-z]{2,3})}", "abcd", ...),
        ("{x:regex('[a-z]{2}')}", "ab", "ab"),
        ("{x:regex:[a-z]}", "a", "a"),
        ("<regex(r'(a|b)-endpoint'):x>", "a-endpoint", "a-endpoint"),
        ('<regex("a\'b"):x>', "a'b", "a'b"),
        ("{x:regex([a-z]+/[0-9]+)}", "ab/12", "ab/12"),
        ("{x:regex([^/]+)}", "ab", "ab"),
        ("{x:regex(a|b)}c", "bc", "b"),
        (r"{x:regex(\\1)}", "%5C1", "\\1"),
        ("e{x:port}", "e:80", 80),
        ("e{x:port}", "e", None),
        ("e{x:port}", "e:65536", ...),
        ("e{x:port}", "e:", ...),
    ],
)
def test_what_a_type_takes_and_gives(placeholder: str, text: str, expected: Any) -> None:
    given = value(placeholder, text)
    assert given == expected
    assert type(given) is type(expected)


@pytest.mark.parametrize(
    ("placeholder", "given", "text"),
    [
        ("{x}", "a/b é", "a%2Fb%20%C3%A9"),
        ("{x:string(length=2)}", "a/", "a%2F"),
        ("{x:path}", "a/b é", "a/b%20%C3%A9"),
        ("{x:int}", -7, "-7"),
        ("{x:int}", "7", "7"),
        ("<int(fixed_digits=3):x>", 7, "007"),
        ("<int(fixed_digits=3):x>", -7, "-007"),
        ("{x:float}", 1.5, "1.5"),
        ("{x:float}", 1e22, "1e+22"),
        ("{x:float}", 3, "3"),
        ("{x:decimal}", Decimal("1E+3"), "1000"),
        ("{x:decimal}", 3, "3"),
        ("{x:bool}", True, "true"),
        ("{x:uuid}", UUID(HEX), HEX),
        ("{x:date}", date(2024, 2, 29), "2024-02-29"),
        ("{x:date}", "2024-02-29", "2024-02-29"),
        ("{x:time}", time(23, 59), "23:59:00"),
        ("{x:datetime}", datetime.fromisoformat("2024-02-29T23:59"), "2024-02-29T23:59:00"),
        ("{x:date:%d %m/%Y}", date(2024, 2, 29), "29%2002/2024"),
        ("{x:any(a,b c)}", "b c", "b%20c"),
        ("{x:any(a/b,c)}", "a/b", "a/b"),
        ("{x:regex(.+)}", "a/b", "a%2Fb"),
        ("{x:regex(a/.+)}", "a/b", "a/b"),
        ("e{x:port}", 80, ":80"),
        ("e{x:port}", None, ""),
    ],
)
def test_the_way_back(placeholder: str, given: Any, text: str) -> None:
    url = table(placeholder).url_for("it", {"x": given})
    assert url == "/" + "e" * placeholder.startswith("e") + text


@pytest.mark.parametrize(
    ("placeholder", "given"),
    [
        ("{x:int}", "a"),
        ("{x:int}", 1.5),
        ("{x:int}", True),
        ("{x:int}", None),
        ("{x:int(max=3)}", 4),
        ("{x:int(signed=False)}", -1),
        ("{x:float}", float("inf")),
        ("{x:bool}", "yes"),
        ("{x:date}", 3),
        ("{x:date:%Y}", "2024"),
        ("{x:any(a,b)}", "c"),
        ("{x:regex([a-z])}", "A"),
        ("{x:path}", "/a"),
        ("{x:uuid}", "x"),
        ("e{x:port}", 99999),
    ],
)
def test_a_value_that_has_no_way_back(placeholder: str, given: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"the value of {{x}}, {given!r}")):
        table(placeholder).url_for("it", {"x": given})


@pytest.mark.parametrize(
    ("placeholder", "message"),
    [
        ("{x:no}", r"there is no type 'no': the types are any, bool, date, datetime, decimal, flo"),
        ("{x:int:5}", r"the type 'int' takes no format: only datetime, date and time do"),
        ("{x:int(a=1)}", r"the type 'int' does not take \(a=1\): got an unexpected keyword"),
        ("{x:uuid(1)}", r"the type 'uuid' does not take \(1\): too many"),
        ("{x:int(min=a)}", r"min='a' is no number"),
        ("{x:float(min=a)}", r"min='a' is no number"),
        ("{x:int(fixed_digits=-1)}", r"no number has -1 digits"),
        ("{x:string(length=a)}", r"minlength='a' is no number"),
        ("{x:string(3, 2)}", r"no text has a length of 3 to 2"),
        ("{x:string(-1)}", r"no text has a length of -1 to None"),
        ("{x:int(min=)}", r"the arguments \(min=\) are malformed at 'min='"),
        ("{x:any(a b' c)}", r"malformed at \"a b' c\""),
        ("{x:any(,)}", r"malformed at ','"),
        ("{x:any}", r"the type 'any' needs its alternatives: write any\(a,b\)"),
        ("{x:regex}", r"the type 'regex' needs its expression: write regex\(\[a-z\]\+\)"),
        ("{x:regex()}", r"needs its expression"),
        ("{x:regex([)}", r"'\[' is no regular expression here: unterminated"),
        ("{x:regex(a)(b)}", r"'a\)\(b' is no regular expression here: unbalanced"),
        ("{x:regex((?P<a>b))}", r"names a group or refers to one: its groups have to be anonymous"),
        (r"{x:regex((a)(b)\2)}", r"names a group or refers to one"),
        (r"{x:regex((a)?(?(1)b|c))}", r"names a group or refers to one"),
        ("{x:regex(b(?i)a)}", r"is no regular expression here: global flags"),
        ("{x:regex((?i)a)}", r"is no regular expression here: global flags"),
        ("{x:datetime:}", r"'' is no format that strptime knows \(it has no directive\): write"),
        ("{x:datetime:Y-m}", r"'Y-m' is no format that strptime knows"),
        ("{x:date:%Q}", r"'%Q' is no format that strptime knows .*\{when:date:%Y-%m-%d\}"),
        ("{x:time:%}", r"'%' is no format that strptime knows"),
    ],
)
def test_a_type_that_is_malformed(placeholder: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        table(placeholder)
    assert f"the route {f'/{placeholder}'!r}: " in str(caught.value)


def test_the_default_is_text() -> None:
    for name in (None, "str", "string", "default"):
        assert conversion(name) is conversion(name, "") is TEXT


def test_every_type_that_is_named_is_known() -> None:
    with pytest.raises(ValueError, match="the types are") as caught:
        conversion("no")
    names = str(caught.value).partition("the types are ")[2].split(", ")
    assert len(names) == len(set(names)) == 14
    for name in names:
        arguments = {"any": "a", "regex": "a"}.get(name)
        assert re.compile(conversion(name, arguments).regex)


# One's own


class Colour(Enum):
    RED = "red"


COLOUR = Converter("[a-z]+", Colour, lambda colour: colour.value)


def test_a_converter_of_ones_own() -> None:
    converters = {"colour": COLOUR}
    assert value("{x:colour}", "red", converters) is Colour.RED
    assert value("<colour:x>", "blue", converters) is ...
    assert value("{x:colour}", "RED", converters) is ...
    assert value("{x:date}", "2024-02-29", converters) == date(2024, 2, 29)
    assert table("{x:colour}", converters).url_for("it", {"x": Colour.RED}) == "/red"
    with pytest.raises(ValueError, match=r"the value of \{x\}, 'red', is none"):
        table("{x:colour}", converters).url_for("it", {"x": "red"})


@pytest.mark.parametrize(
    ("regex", "text", "expected"),
    [
        ("a/b|c", "a/b", "a/b"),
        ("[^/]+", "a", "a"),
        ("[^]/]+", "a", "a"),
        (r"[^\]/]+", "a", "a"),
        ("[^/]+", "a/b", ...),
        ("[^/]+", "a%2Fb", "a/b"),
        (".+", "a%2Fb", "a/b"),
        (".+", "a/b", ...),
    ],
)
def test_which_converters_span_segments(regex: str, text: str, expected: Any) -> None:
    assert value("{x:own}", text, {"own": Converter(regex)}) == expected


def test_a_converter_of_ones_own_goes_before_ours() -> None:
    assert value("{x:int}", "12", {"int": Converter("[0-9]+")}) == "12"
    assert value("{x:date}", "12", {"date": Converter("[0-9]+")}) == "12"


class Two(BaseConverter):
    regex = "[0-9]{2}"

    def __init__(self, converters: Map, least: int = 0, *, word: str = "") -> None:
        super().__init__(converters)
        self.least = least
        self.word = word

    def to_python(self, value: str) -> tuple[int, str]:
        if int(value) < self.least:
            raise ValidationError
        return int(value), self.word

    def to_url(self, value: Any) -> str:
        return f"{value[0]:02}"


class Rest(PathConverter):
    pass


def test_werkzeugs_converters() -> None:
    converters = {"two": Two, "rest": Rest, "int": IntegerConverter}
    assert value("{x:two}", "12", converters) == (12, "")
    assert value("<two(20, word='a,b'):x>", "22", converters) == (22, "a,b")
    assert value("{x:two(20, word=3.5)}", "22", converters) == (22, 3.5)
    assert value("{x:two(20)}", "12", converters) is ...
    assert value("{x:rest}", "a/b", converters) == "a/b"
    assert value("{x:int}", "-3", converters) is ...
    assert table("{x:two}", converters).url_for("it", {"x": (7, "")}) == "/07"
    with pytest.raises(ValueError, match=r"'two' does not take \(a=1\): .* unexpected keyword"):
        table("{x:two(a=1)}", converters)
    with pytest.raises(ValueError, match=r"there is no type 'no': .* rest, .* two"):
        table("{x:no}", converters)
    with pytest.raises(ValueError, match="'two' takes no format"):
        table("{x:two:%Y}", converters)


@pytest.mark.parametrize(
    ("name", "converter", "error", "message"),
    [
        ("a b", COLOUR, ValueError, r"the converter name 'a b' is not a name"),
        ("x", str, TypeError, r"the converter 'x' must be a Converter, or a subclass of werkzeug"),
        ("x", 3, TypeError, r"must be a Converter, .* not 3"),
        ("x", Converter("["), ValueError, r"'\[' is no regular expression here"),
        ("x", Converter("(?P<a>b)"), ValueError, r"names a group"),
    ],
)
def test_what_is_no_converter(
    name: str, converter: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        RouteTable(converters={name: converter})
    with pytest.raises(error, match=message):
        check_converters({name: converter})


def test_a_converter_takes_no_arguments() -> None:
    with pytest.raises(ValueError, match=r"route '/\{x:c\(1\)\}': the type 'c' takes no arguments"):
        table("{x:c(1)}", {"c": COLOUR})


def test_an_error_that_a_converter_does_not_mean_is_not_swallowed() -> None:
    def fail(text: str) -> Any:
        raise TypeError(text)

    with pytest.raises(TypeError):
        value("{x:own}", "a", {"own": Converter(".+", fail)})


def test_a_placeholder_is_taken_apart_before_its_type_is_known() -> None:
    assert parse_path("/{x:nobody_knows(this)}").names == ("x",)
