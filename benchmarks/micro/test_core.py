"""The microbenchmarks for pytest-benchmark: `python -m pytest benchmarks/micro`."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.micro.cases import CASES, IMPLEMENTATIONS


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("case", CASES)
def test_in_and_out(benchmark: Any, case: str, implementation: str) -> None:
    benchmark.group = case
    echo = IMPLEMENTATIONS[implementation]()
    assert benchmark(echo, CASES[case].stream) == CASES[case].echo
