"""Fixtures and Hypothesis' profiles; HYPOTHESIS_PROFILE=thorough looks much longer."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.core.helpers import CUTS, Cut, Pair
from windsock.core.protocol.frames import Role

settings.register_profile(
    "moderate", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("moderate"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "moderate"))


@pytest.fixture(params=list(Role), ids=lambda role: role.name.lower())
def role(request: pytest.FixtureRequest) -> Role:
    """Both roles, one after the other."""
    found: Role = request.param
    return found


@pytest.fixture(params=CUTS, ids=lambda cut: cut.__name__)
def cut(request: pytest.FixtureRequest) -> Cut:
    """A stream whole, and byte by byte."""
    found: Cut = request.param
    return found


@pytest.fixture
def pair() -> Pair:
    """A client and a server between which a WebSocket is open."""
    return Pair()
