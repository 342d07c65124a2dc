"""What routes are called whose handlers a decorator has marked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from windsock.core import App, four_arguments, generator_handler


@four_arguments
async def four(request: Any) -> None: ...


@generator_handler
async def generator(scope: Any, receiver: Any) -> AsyncGenerator[dict[str, Any], None]:
    yield {}


def test_a_decorated_handler_gives_its_name_to_its_route() -> None:
    app = App([("/four", "WS", four), ("/generator", "WS", generator)])
    assert app.url_for("four") == "/four"
    assert app.url_for("generator") == "/generator"
