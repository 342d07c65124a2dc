"""Limits and timeouts: finite by default, and checked."""

from __future__ import annotations

import math
import sys
from dataclasses import fields
from typing import Any

import pytest

from windsock.core.protocol.config import Config, Deflate

NUMBERS = [f.name for f in fields(Config) if f.name not in {"origins", "compression"}]
SIZES = [name for name in NUMBERS if name.startswith("max_") or "water" in name]


def test_every_default_is_finite() -> None:
    config = Config()
    for name in NUMBERS:
        value = getattr(config, name)
        assert 0 < value < math.inf, name


def test_defaults_that_keep_safe() -> None:
    assert Config().compression is None
    assert Config().origins == ()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, None, "1", True])
def test_numbers_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"Config.{name} must be"):
        Config(**{name: value})


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_whole_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**{name: 1.5})  # type: ignore[arg-type]  # the point of the test


def test_times_may_be_fractions() -> None:
    assert Config(open_timeout=0.5).open_timeout == 0.5


@pytest.mark.parametrize("origins", ["https://app.example", ["*"], ("a\r\nb",), ("é",), (None,)])
def test_origins_that_are_none(origins: Any) -> None:
    with pytest.raises(ValueError, match=r"Config\.origins"):
        Config(origins=origins)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("server_max_window_bits", 9, 15),
        ("client_max_window_bits", 9, 15),
        ("level", 0, 9),
        ("memory_level", 1, 9),
    ],
)
def test_ranges_of_deflate(name: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(Deflate(**{name: value}), name) == value  # type: ignore[arg-type]  # an int
    for wrong in (low - 1, high + 1, None, "9", True):
        with pytest.raises(ValueError, match=f"Deflate.{name} must be from {low} to {high}"):
            Deflate(**{name: wrong})  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("name", SIZES)
def test_no_size_is_more_than_a_machine_can_count(name: str) -> None:
    assert getattr(Config(**{name: sys.maxsize}), name) == sys.maxsize
    with pytest.raises(ValueError, match=f"{name} must be at most"):
        Config(**{name: sys.maxsize + 1})
