"""Worker threads for functions that block: how many there may be, and how they are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import Gate, World
from tests.core.app.serving import answer, open_by_hand, status_of
from tests.core.helpers import parse_response
from windsock.core import App, Reject, Request, Response, WebSocketRequest
from windsock.core.app.workers import Workers

T = TypeVar("T")


class Threads:
    """The part of a link that runs functions elsewhere: here, when the test says so."""

    def __init__(self, world: World, *, threaded: bool = False) -> None:
        self.threaded = threaded
        self.given: list[Callable[[], Any]] = []
        self._world = world
        self._gates: list[Gate] = []

    async def to_thread(self, function: Callable[[], T]) -> T:
        self.given.append(function)
        gate = self._world.gate()
        self._gates.append(gate)
        await gate.wait()
        return function()

    def run(self) -> None:
        """Have a thread for everyone."""
        for gate in self._gates:
            gate.open()
        self._world.run()


def busy(caught: BaseException | None) -> bool:
    """Whether it was refused because there are too many."""
    if not isinstance(caught, Reject):
        return False
    assert caught.response.headers["Retry-After"] == "1"
    return caught.response.status == 503


def test_a_limit(world: World) -> None:
    workers, link = Workers(), Threads(world)
    tasks = [world.spawn(workers.run(link, 2, lambda: "done")) for _ in range(3)]  # type: ignore[arg-type]  # all it needs
    world.run()
    assert busy(tasks[2].error)
    link.run()
    assert [task.result() for task in tasks[:2]] == ["done", "done"]
    again = world.blocks(workers.run(link, 2, lambda: "again"))  # type: ignore[arg-type]  # all it needs
    link.run()
    assert again.result() == "again"


def test_what_raises_makes_room_too(world: World) -> None:
    workers, link = Workers(), Threads(world)

    def fail() -> None:
        raise ValueError("x")

    for _ in range(3):
        task = world.blocks(workers.run(link, 1, fail))  # type: ignore[arg-type]  # all it needs
        link.run()
        assert isinstance(task.error, ValueError)


def test_who_is_cancelled_leaves_the_function_behind(world: World) -> None:
    """Its thread is taken for as long as it goes on."""
    workers, link = Workers(), Threads(world)
    refused: list[bool] = []

    def function() -> None:
        # Meanwhile, its caller is cancelled, and somebody else comes.
        task.cancel()
        world.run()
        assert task.was_cancelled
        other = world.spawn(workers.run(link, 1, lambda: None))  # type: ignore[arg-type]  # all it needs
        world.run()
        refused.append(busy(other.error))

    task = world.blocks(workers.run(link, 1, function))  # type: ignore[arg-type]  # all it needs
    [running] = link.given
    running()
    assert refused == [True]
    world.blocks(workers.run(link, 1, lambda: None))  # type: ignore[arg-type]  # all it needs


def test_who_is_cancelled_before_there_was_a_thread_makes_room(world: World) -> None:
    workers, link = Workers(), Threads(world)
    task = world.blocks(workers.run(link, 1, lambda: None))  # type: ignore[arg-type]  # all it needs
    task.cancel()
    world.run()
    assert task.was_cancelled
    other = world.blocks(workers.run(link, 1, lambda: "mine"))  # type: ignore[arg-type]  # all it needs
    link.run()
    assert other.result() == "mine"


def test_where_handlers_have_threads_there_is_no_limit(world: World) -> None:
    workers, link = Workers(), Threads(world, threaded=True)
    tasks = [world.blocks(workers.run(link, 1, lambda: "done")) for _ in range(3)]  # type: ignore[arg-type]  # all it needs
    link.run()
    assert [task.result() for task in tasks] == ["done"] * 3


# Through an application


def one_at_a_time(make_world: MakeWorld, app: App, refused: Callable[[World], int | None]) -> None:
    """See to it that one function keeps another from running, and no longer than it takes."""
    world = make_world(max_worker_threads=1)
    threads = Threads(world)
    world.server.to_thread = threads.to_thread  # type: ignore[method-assign]  # as above
    open_by_hand(world, app)
    assert refused(make_world(max_worker_threads=1)) == 503
    threads.run()
    assert parse_response(world.peer_got())[0] == 403
    assert refused(make_world(max_worker_threads=1)) == 403


def rejects(asked: WebSocketRequest) -> None:
    asked.reject()


def test_websockets_and_plain_http_share_them(make_world: MakeWorld) -> None:
    app = App()
    app.websocket("/chat")(rejects)
    app.http("/page")(lambda asked: Response(status=403))
    one_at_a_time(make_world, app, lambda world: status_of(world, app))
    one_at_a_time(make_world, app, lambda world: answer(world, app, "GET /page")[0])


def test_so_do_mounted_applications(make_world: MakeWorld) -> None:
    app, middle, inner = App(), App(), App()
    middle.mount("/inner", inner)
    app.mount("/middle", middle)
    app.websocket("/chat")(rejects)
    inner.websocket("/chat")(rejects)
    one_at_a_time(make_world, app, lambda world: status_of(world, app, "/middle/inner/chat"))


def test_coroutines_need_none(make_world: MakeWorld) -> None:
    app = App()
    app.websocket("/chat")(rejects)

    @app.http("/page")
    async def page(asked: Request) -> Response:
        return Response("ok")

    world = make_world(max_worker_threads=1)
    world.server.to_thread = Threads(world).to_thread  # type: ignore[method-assign]  # as above
    open_by_hand(world, app)
    assert answer(make_world(max_worker_threads=1), app, "GET /page")[0] == 200


@pytest.mark.parametrize("threaded", [True, False])
def test_a_handler_that_may_block(world: World, threaded: bool) -> None:
    world.server.threaded = threaded
    assert status_of(world, rejects) == 403
