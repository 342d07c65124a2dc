"""What a handler's signature asks for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Optional
from uuid import UUID

import pytest

from windsock.core import Query, Reject
from windsock.core.app.routing.parameters import Parameters, read_parameters

if TYPE_CHECKING:
    from nowhere import Unknown

HEX = "12345678-1234-1234-1234-123456789abc"


def read(
    handler: Callable[..., Any], *placeholders: str, leading: int = 1, positional: bool = False
) -> Parameters:
    return read_parameters(
        handler, placeholders, leading=leading, route="/the/route", positional=positional
    )


def query(handler: Callable[..., Any], text: str, *placeholders: str) -> dict[str, Any]:
    return read(handler, *placeholders).query_arguments(Query(text))


@dataclass
class Asked:
    path_params: dict[str, Any] = field(default_factory=dict)
    query: Query = field(default_factory=lambda: Query(""))


# Placeholders by name


async def no_more(ws: Any) -> None: ...
async def room(ws: Any, room: str) -> None: ...
async def room_only(ws: Any, *, room: str) -> None: ...
async def everything(*args: Any, **kwargs: Any) -> None: ...
async def by_keyword(ws: Any, **kwargs: Any) -> None: ...
async def positional_first(ws: Any, /, **kwargs: Any) -> None: ...
async def with_default(ws: Any, room: str = "lobby") -> None: ...
def no_arguments() -> None: ...
def only_keywords(*, room: str) -> None: ...
def positional_room(ws: Any, room: str, /) -> None: ...


class Methods:
    async def room(self, ws: Any, room: int) -> None: ...
    async def __call__(self, ws: Any, room: int) -> None: ...


@pytest.mark.parametrize(
    ("handler", "placeholders"),
    [
        (no_more, ()),
        (room, ("room",)),
        (room_only, ("room",)),
        (everything, ("room", "args")),
        (by_keyword, ("room",)),
        (positional_first, ("ws",)),
        (with_default, ("room",)),
        (with_default, ()),
        (Methods().room, ("room",)),
        (Methods(), ("room",)),
        (functools.partial(room, room="x"), ()),
        (functools.partial(positional_room, object()), ()),
        (dict.fromkeys, ()),
        (iter, ("no", "signature")),
    ],
)
def test_a_handler_that_can_be_called(
    handler: Callable[..., Any], placeholders: tuple[str, ...]
) -> None:
    if handler.__class__ is functools.partial and not placeholders:
        assert isinstance(read(handler, leading=1), Parameters)
    else:
        assert isinstance(read(handler, *placeholders), Parameters)


@pytest.mark.parametrize(
    ("handler", "placeholders", "message"),
    [
        (room, (), r"room of the route '/the/route' has a parameter 'room' .* add \{room\} to"),
        (
            no_more,
            ("room",),
            r"no_more of the route '/the/route' has no parameter for \{room\}: add",
        ),
        (room, ("room", "x"), r"has no parameter for \{x\}: .* write \{\} in the path"),
        (
            room,
            ("room", "ws"),
            r"has 'ws' for its parameter number 1, .*: give one of them another",
        ),
        (positional_room, ("room",), r"takes 'room' by position only, .*: remove the /"),
        (positional_room, (), r"has a parameter 'room' that nothing is passed for"),
        (no_arguments, (), r"takes 0 positional arguments, but 1 come, 1 to begin with: add"),
        (only_keywords, ("room",), r"takes 0 positional arguments, but 1 come"),
        (Methods().room, (), r"Methods.room of the route '/the/route' has a parameter 'room'"),
        (Methods(), (), r"the handler <.*Methods object.*> of the route"),
    ],
)
def test_a_handler_that_cannot_be_called(
    handler: Callable[..., Any], placeholders: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        read(handler, *placeholders)


# Placeholders by position


async def generator(scope: Any, receiver: Any, n: int, s: str, limit: int = 3) -> Any:
    yield


async def generator_of_any(scope: Any, receiver: Any, *rest: str) -> Any:
    yield


async def generator_with_keyword(scope: Any, receiver: Any, *, x: str) -> Any:
    yield


def test_placeholders_by_position() -> None:
    parameters = read(generator, "a", "b", leading=2, positional=True)
    assert parameters.annotations == {"a": "int"}
    assert [q.name for q in parameters.query] == ["limit"]
    more = read(generator, "a", "b", "c", leading=2, positional=True)
    assert more.annotations == {"a": "int", "c": "int"}
    assert more.query == ()
    assert read(generator_of_any, "a", "b", leading=2, positional=True) == Parameters()
    assert read(positional_room, "x", positional=True) == Parameters()


@pytest.mark.parametrize(
    ("handler", "placeholders", "message"),
    [
        (generator, ("a",), r"generator of .* has a parameter 's' that nothing is passed for"),
        (
            generator,
            tuple("abcd"),
            r"takes 5 positional arguments, but 6 come, 2 to .* \{a\}, \{b\}",
        ),
        (no_arguments, (), r"takes 0 positional arguments, but 2 come, 2 to begin with: add"),
        (generator_with_keyword, (), r"has a parameter 'x' that nothing is passed for"),
    ],
)
def test_placeholders_that_do_not_fit_by_position(
    handler: Callable[..., Any], placeholders: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        read(handler, *placeholders, leading=2, positional=True)


# Annotations of placeholders


def test_the_types_of_placeholders() -> None:
    def handler(
        ws: Unknown,
        a: int,
        b: float,
        c: bool,
        d: Decimal,
        e: date,
        f: time,
        g: datetime,
        h: UUID,
        i: Optional[int],  # noqa: UP045
        j: int | None,
        k: Annotated[int, "more"],
        l: Annotated[int | None, "more"],  # noqa: E741
        m: str,
        n: Unknown,
        o: int | str,
        p: list[int],
        q: Any,
        r: Unknown | int,
        s,  # type: ignore[no-untyped-def]
        t: "1 +",  # type: ignore[valid-type] # noqa: F722
    ) -> None: ...

    assert read(handler, *"abcdefghijklmnopqrst").annotations == {
        "a": "int",
        "b": "float",
        "c": "bool",
        "d": "decimal",
        "e": "date",
        "f": "time",
        "g": "datetime",
        "h": "uuid",
        "i": "int",
        "j": "int",
        "k": "int",
        "l": "int",
    }


@pytest.mark.parametrize(
    "handler",
    [
        Methods().room,
        Methods(),
        functools.partial(Methods().room),
        functools.wraps(Methods().room)(lambda *args, **kwargs: None),
    ],
)
def test_annotations_of_what_is_no_plain_function(handler: Callable[..., Any]) -> None:
    assert read(handler, "room").annotations == {"room": "int"}


# The query


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "a%20b+c", "a b c"),
        (str, "", ""),
        (int, "-12", -12),
        (int, "007", 7),
        (float, "1.5", 1.5),
        (float, "-2", -2.0),
        (float, "1e3", 1000.0),
        (bool, "TRUE", True),
        (bool, "1", True),
        (bool, "false", False),
        (bool, "0", False),
        (Decimal, "9.990", Decimal("9.990")),
        (date, "2024-02-29", date(2024, 2, 29)),
        (time, "23:59", time(23, 59)),
        (datetime, "2024-02-29T23:59:01Z", datetime.fromisoformat("2024-02-29T23:59:01Z")),
        (datetime, "2024-02-29", datetime.fromisoformat("2024-02-29")),
        (UUID, HEX, UUID(HEX)),
        (Optional[int], "3", 3),  # noqa: UP045
        (Annotated[int | None, "more"], "3", 3),
    ],
)
def test_a_parameter_of_the_query(kind: Any, text: str, value: Any) -> None:
    def handler(ws: Any, it: kind = None) -> None: ...

    handler.__annotations__["it"] = kind
    assert query(handler, f"it={text}&it=later&other=1") == {"it": value}
    assert query(handler, "other=1") == {}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (int, "abc", "a whole number, such as 12, not 'abc'"),
        (int, "", "a whole number, such as 12, not ''"),
        (int, "1.5", "a whole number, such as 12, not '1.5'"),
        (int, "1_000", "a whole number, such as 12, not '1_000'"),
        (int, "٣", "a whole number, such as 12, not '\\u0663'"),
        (int, "1" * 9000, f"a whole number, such as 12, not '{'1' * 60}'..."),
        (float, "nan", "a number, such as 1.5, not 'nan'"),
        (float, "1e999", "a number, such as 1.5, not '1e999'"),
        (bool, "yes", "true or false, not 'yes'"),
        (Decimal, "1e5", "a decimal number, such as 9.99, not '1e5'"),
        (date, "2024-02-30", "a date, such as 2024-12-31, not '2024-02-30'"),
        (time, "24:01", "a time of day, such as 23:59, not '24:01'"),
        (datetime, "now", "a date and time, such as 2024-12-31T23:59, not 'now'"),
        (UUID, "<b>\n", "a UUID, such as 123e4567-e89b-12d3-a456-426614174000, not '<b>\\n'"),
        (list[int], "x", "a whole number, such as 12, not 'x'"),
    ],
)
def test_a_value_that_does_not_convert(kind: Any, text: str, expected: str) -> None:
    def handler(ws: Any, it: Any = None) -> None: ...

    handler.__annotations__["it"] = kind
    with pytest.raises(Reject) as caught:
        query(handler, f"it={text}")
    response = caught.value.response
    assert response.status == 400
    assert response.body.decode() == f"The query parameter 'it' must be {expected}.\n"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_all_values_of_a_parameter() -> None:
    def handler(
        ws: Any,
        n: list[int] = [],  # noqa: B006
        s: list[str | None] | None = None,
        x: list = [],  # type: ignore[type-arg] # noqa: B006
    ) -> None: ...

    assert query(handler, "n=1&s=a&n=2&s=&x=1") == {"n": [1, 2], "s": ["a", ""]}
    assert query(handler, "") == {}


def test_what_is_filled_from_the_query() -> None:
    def handler(
        ws: Any = None,
        room: str = "lobby",
        a=None,  # type: ignore[no-untyped-def]
        b="x",  # type: ignore[no-untyped-def]
        c=10,  # type: ignore[no-untyped-def]
        d={},  # type: ignore[no-untyped-def] # noqa: B006
        e: Unknown = None,
        f: object = None,
        g: dict[str, int] | None = None,
        h: int | str = 3,
        *args: int,
        i: int = 3,
        **kwargs: int,
    ) -> None: ...

    everything = "&".join(f"{name}=1" for name in ["ws", "room", *"abcdefghi", "args", "kwargs"])
    assert query(handler, everything, "room") == {"a": "1", "b": "1", "c": 1, "i": 1}


def test_what_a_partial_function_comes_with_is_not_filled() -> None:
    def handler(ws: Any, limit: int = 1, offset: int = 2) -> None: ...

    inner = functools.partial(handler, limit=5)
    outer = functools.partial(inner)
    assert query(outer, "limit=7&offset=8") == {"offset": 8}


def test_a_parameter_that_takes_its_argument_by_position_only_is_not_filled() -> None:
    def handler(ws: Any, limit: int = 1, /) -> None: ...

    assert query(handler, "limit=7") == {}


def test_the_arguments_for_a_request() -> None:
    def handler(ws: Any, room: str, limit: int = 3) -> None: ...

    asked = Asked({"room": "x"}, Query("limit=4&room=y"))
    assert read(handler, "room").arguments(asked) == {"room": "x", "limit": 4}
    arguments = Parameters().arguments(asked)
    assert arguments == {"room": "x"}
    assert arguments is not asked.path_params
