"""Fixtures of the app layer's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.core.app.link import World
from windsock.core import Config

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """A function that makes a world with the given `Config`."""
    worlds: list[World] = []

    def make(**config: Any) -> World:
        worlds.append(World(Config(**config)))
        return worlds[-1]

    yield make
    for world in worlds:
        world.dispose()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A world with the default `Config`."""
    return make_world()
