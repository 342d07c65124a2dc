"""The application's own start and end, and the state that it gives to what it serves."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import World
from tests.core.app.serving import answer, hears, status_of
from windsock.core import App, Request, Response, WebSocket, as_app


class Diary:
    """What happened, in order."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def lifespan(self, name: str, state: dict[str, Any] | None = None) -> Any:
        async def lifespan() -> AsyncGenerator[dict[str, Any] | None, None]:
            self.notes.append(name)
            try:
                yield state
            finally:
                self.notes.append(f"/{name}")

        return lifespan


@pytest.fixture
def diary() -> Diary:
    return Diary()


async def run(app: App) -> None:
    async with app.running():
        assert app.is_running


def test_once_around_all_that_is_served(world: World, diary: Diary) -> None:
    app = App()
    for name in "12":
        lifespan = diary.lifespan(name)
        assert app.lifespan(lifespan) is lifespan
    inner, innermost = App(), App()
    inner.lifespan(diary.lifespan("inner"))
    innermost.lifespan(diary.lifespan("innermost"))
    inner.mount("/x", innermost)
    app.mount("/x", inner)
    assert not app.is_running
    world.do(run(app))
    assert not app.is_running
    names = ["1", "2", "inner", "innermost"]
    assert diary.notes == [*names, *(f"/{name}" for name in reversed(names))]


def test_whether_there_is_any() -> None:
    app, inner, innermost = App(), App(), App()
    app.mount("/x", inner)
    inner.mount("/x", innermost)
    assert not app.has_lifespan
    innermost.lifespan(Diary().lifespan("1"))
    assert app.has_lifespan
    assert not as_app(run).has_lifespan


def test_several_servers_at_a_time(world: World, diary: Diary) -> None:
    app = App()
    app.lifespan(diary.lifespan("1"))

    async def two() -> None:
        diary.notes.clear()
        async with app.running():
            async with app.running():
                assert diary.notes == ["1"]
            assert app.is_running
            assert diary.notes == ["1"]

    for _ in range(2):
        world.do(two())
        assert diary.notes == ["1", "/1"]


def test_a_server_that_begins_while_another_is_beginning(world: World) -> None:
    """It would take connections before the application has started, or start it once more."""
    app = App()
    gate = world.gate()

    @app.lifespan
    async def lifespan() -> AsyncGenerator[None]:
        await gate.wait()
        yield

    first = world.blocks(run(app))
    second = world.spawn(run(app))
    world.run()
    with pytest.raises(RuntimeError, match="another server is just starting this application"):
        second.result()
    gate.open()
    world.run()
    first.result()


def with_app(app: App) -> Any:
    return _yielding(app.state["name"])


def with_default(size: int = 5) -> Any:
    return _yielding(size)


def with_any(*given: Any) -> Any:
    return _yielding(given)


@asynccontextmanager
async def _yielding(value: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"found": value}


@asynccontextmanager
async def decorated(app: App) -> AsyncIterator[dict[str, Any]]:
    yield {"found": app.state["name"]}


async def generator(app: App) -> AsyncGenerator[dict[str, Any]]:
    yield {"found": app.state["name"]}


class Entered:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __aenter__(self) -> dict[str, Any]:
        return {"found": self._app.state["name"]}

    async def __aexit__(self, *exc: object) -> None: ...


class Methods:
    async def generator(self, app: App) -> AsyncGenerator[dict[str, Any]]:
        yield {"found": app.state["name"]}

    def __call__(self) -> Any:
        return _yielding("called")


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (with_app, "app"),
        (with_default, 5),
        (with_any, ()),
        (decorated, "app"),
        (generator, "app"),
        (Entered, "app"),
        (Methods().generator, "app"),
        (Methods(), "called"),
    ],
)
def test_what_it_may_be(world: World, function: Any, found: object) -> None:
    """It is called with the application if it needs an argument."""
    app = App(state={"name": "app"})
    app.lifespan(function)
    world.do(run(app))
    assert app.state["found"] == found


async def coroutine() -> None: ...


@pytest.mark.parametrize("wrong", [coroutine, None, 1, "name"])
def test_what_is_no_lifespan(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a lifespan is an async generator function that yields"):
        App().lifespan(wrong)


@pytest.mark.parametrize("wrong", ["pool", 1, ["x"], 0])
def test_what_it_may_not_yield(world: World, diary: Diary, wrong: Any) -> None:
    app = App()
    app.lifespan(diary.lifespan("1"))
    app.lifespan(diary.lifespan("2", wrong))
    task = world.spawn(run(app))
    world.run()
    with pytest.raises(
        TypeError, match=f"a lifespan yields a dict .*, not {re.escape(repr(wrong))}"
    ):
        task.result()
    assert diary.notes[:2] == ["1", "2"]
    assert diary.notes[-1] == "/1"


def test_an_error_on_the_way_in(world: World, diary: Diary) -> None:
    """What has been started is ended, and it can be tried again."""
    app = App()
    app.lifespan(diary.lifespan("1"))
    errors = [ValueError("x")]

    @app.lifespan
    async def lifespan() -> AsyncGenerator[None]:
        if errors:
            raise errors.pop()
        yield

    task = world.spawn(run(app))
    world.run()
    assert isinstance(task.error, ValueError)
    assert not app.is_running
    assert diary.notes == ["1", "/1"]
    world.do(run(app))
    assert diary.notes == ["1", "/1"] * 2


def test_an_error_of_the_server(world: World, diary: Diary) -> None:
    app = App()
    app.lifespan(diary.lifespan("1"))
    seen: list[BaseException] = []

    @app.lifespan
    async def lifespan() -> AsyncGenerator[None]:
        try:
            yield
        except ValueError as error:
            seen.append(error)
            raise

    async def serve() -> None:
        async with app.running():
            raise ValueError("x")

    task = world.spawn(serve())
    world.run()
    assert seen == [task.error]
    assert not app.is_running


# State


def stating() -> App:
    """An application that answers with its state, and adds to it."""
    app = App(state={"a": 1})

    @app.websocket("/chat")
    async def chat(ws: WebSocket) -> None:
        assert ws.app is not None
        ws.state["own"] = True
        async with ws:
            await ws.send(repr(sorted(ws.state)))

    @app.http("/page")
    async def page(asked: Request) -> Response:
        asked.state["own"] = True
        return Response(repr(sorted(asked.state)))

    return app


def test_everyone_has_a_copy(make_world: MakeWorld, diary: Diary) -> None:
    app = stating()
    app.lifespan(diary.lifespan("1", {"b": 2}))
    make_world().do(run(app))
    for _ in range(2):
        assert hears(make_world(), app) == ["['a', 'b', 'own']", 1000]
        assert answer(make_world(), app, "GET /page")[2] == b"['a', 'b', 'own']"
    assert app.state == {"a": 1, "b": 2}


@pytest.mark.parametrize("own", [True, False])
def test_a_mounted_application_adds_its_state(make_world: MakeWorld, own: bool) -> None:
    """Whatever of the outer one's is there goes first."""
    inner = stating()
    if not own:
        inner.state.clear()
    seen: list[Any] = []

    async def look(asked: Any, call_next: Any) -> Any:
        found = await call_next(asked)
        seen.append(asked.state["a"])
        return found

    outer = App(state={"a": 0, "outer": 1}, middleware=[look])
    outer.mount("/in", inner)
    names = ["a", "outer", "own"]
    assert hears(make_world(), outer, "/in/chat") == [repr(names), 1000]
    assert answer(make_world(), outer, "GET /in/page")[2] == repr(names).encode()
    assert seen == [0, 0]


def test_the_state_given_is_copied() -> None:
    given = {"a": 1}
    app = App(state=given)
    app.state["b"] = 2
    assert given == {"a": 1}


def test_which_application_it_is(make_world: MakeWorld) -> None:
    inner = App()
    seen: list[Any] = []

    async def look(asked: Any, call_next: Any) -> Any:
        seen.append(asked.app)
        return await call_next(asked)

    @inner.websocket("/chat")
    async def chat(ws: WebSocket) -> None:
        seen.append(ws.app)
        await ws.reject()

    outer = App(middleware=[look])
    outer.mount("/in", inner)
    status_of(make_world(), outer, "/in/chat")
    assert seen == [outer, inner]
