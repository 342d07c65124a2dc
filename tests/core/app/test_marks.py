"""Routes that stand at a handler before there is a router to add it to."""

from __future__ import annotations

from typing import Any

import pytest

from windsock.core import App, Request, Response, WebSocketRequest, route
from windsock.core.app.routing.table import Match


@route("/echo/<name>", methods=["WEBSOCKET"])
def echo(request: WebSocketRequest, name: str) -> None:
    """A handler by itself."""


class Books:
    """Handlers that share something."""

    @route("/books", methods=["GET", "POST"], name="books")
    def list(self, request: Request) -> Response:
        return Response("")

    @route("/books/{number:int}")
    @route("/volumes/{number:int}")
    async def show(self, request: Request, number: int) -> Response:
        return Response("")

    @staticmethod
    @route("/static", methods="WS")
    async def watch(ws: object) -> None: ...

    @classmethod
    @route("/class")
    def about(cls, request: Request) -> Response:
        return Response("")

    @property
    def never(self) -> None:
        raise AssertionError("looked at")

    limit = 10


def found(app: App, path: str, method: str = "GET") -> Any:
    match = app._table.match(path, method)
    assert isinstance(match, Match), path
    return match.route.handler


def test_a_marked_function() -> None:
    app = App()
    app.add(echo)
    assert found(app, "/echo/Ada", "WEBSOCKET") is echo
    assert app.url_for("echo", name="Ada") == "/echo/Ada"


def test_the_marked_methods_of_an_object() -> None:
    app, books = App(), Books()
    app.add(books)
    assert found(app, "/books") == found(app, "/books", "POST") == books.list
    assert found(app, "/books/1") == found(app, "/volumes/1") == books.show
    assert found(app, "/static", "WEBSOCKET") is Books.watch
    assert found(app, "/class") == Books.about
    assert app.url_for("books") == "/books"


def unmarked() -> None:
    """No handler of anything."""


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (unmarked, r"has no route: @route\(path, methods=\[…\]\) is needed"),
        (object(), "has no route: @route"),
        (Books, "has no route: an instance of it is needed"),
    ],
)
def test_what_is_not_marked(target: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        App().add(target)


def test_only_functions_can_be_marked() -> None:
    with pytest.raises(TypeError, match=r"@route\('/x'\) goes directly above a def"):
        route("/x")(print)
