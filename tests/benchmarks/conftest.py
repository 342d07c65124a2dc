"""Fixtures of the benchmarks' tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.cores import Cores, choose_cores
from benchmarks.load import LoadError, LoadGenerator, build

if not sys.platform.startswith("linux"):
    collect_ignore_glob = ["test_*.py"]  # epoll, and cores to pin to


@pytest.fixture(scope="session")
def load() -> LoadGenerator:
    """The load generator, compiled."""
    try:
        return build()
    except LoadError as error:
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(scope="session")
def cores() -> Cores:
    """Where servers and the load generator run."""
    return choose_cores()


@pytest.fixture
def payload_file(tmp_path: Path) -> Path:
    """Where payloads for the load generator go."""
    return tmp_path / "payloads"
