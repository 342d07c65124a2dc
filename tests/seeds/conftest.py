"""Fixtures: the examples run over hosts of each kind."""

from __future__ import annotations

from typing import Final

import pytest

from tests.behaviour.conftest import Servers, log, servers, site, start
from tests.behaviour.hosts import HOSTS

__all__ = ["Servers", "host", "log", "servers", "site", "start"]

_KINDS: Final = (
    "trio",
    "asyncio",
    "threads",
    "twisted",
    "uvicorn",
    "hypercorn-trio",
    "memory",
)


@pytest.fixture(params=[name for name in _KINDS if name in HOSTS])
def host(request: pytest.FixtureRequest) -> str:
    """The name of the host that the test runs over."""
    name: str = request.param
    return name
