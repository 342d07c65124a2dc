"""Every server of the list that is installed starts and does what a scenario asks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import certificates
from benchmarks.cores import Cores
from benchmarks.load import LoadGenerator
from benchmarks.processes import ServerError, free_port, serving
from benchmarks.runner import Bench, Candidate, Plan
from benchmarks.scenarios import SCENARIOS, can_take_part
from benchmarks.servers import SERVERS, Feature


def bench(load: LoadGenerator, cores: Cores, directory: Path) -> Bench:
    plan = Plan([], [], rounds=1, seconds=0.15, warmup=0.05, cores=cores)
    return Bench(plan, load, directory)


def candidate(name: str) -> Candidate:
    server = SERVERS[name]
    missing = server.missing()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return Candidate(name, server.features, server)


@pytest.mark.parametrize("name", SERVERS)
def test_it_echoes(load: LoadGenerator, cores: Cores, tmp_path: Path, name: str) -> None:
    measured = bench(load, cores, tmp_path).measure(candidate(name), SCENARIOS["8x32x32B"])
    assert measured.value > 0


@pytest.mark.parametrize("name", ["windsock-trio", "windsock-asyncio"])
@pytest.mark.parametrize(
    "scenario", [name for name in SCENARIOS if not name.startswith("memory-10000")]
)
def test_our_own_in_every_scenario(
    load: LoadGenerator, cores: Cores, tmp_path: Path, name: str, scenario: str
) -> None:
    wanted = SCENARIOS[scenario].quick()
    if wanted.tls and not (load.tls and certificates.can_make()):
        pytest.skip("TLS needs trustme and OpenSSL's headers")
    measured = bench(load, cores, tmp_path).measure(candidate(name), wanted)
    assert measured.value > 0
    if scenario == "flood":
        assert measured.details["flood messages/s"] > 0


def test_a_server_that_does_not_start_says_why(cores: Cores) -> None:
    command = ["python3", "-c", "raise SystemExit('no port is good enough')"]
    with (
        pytest.raises(ServerError, match="status 1: no port is good enough"),
        serving(command, free_port(), core=cores.server),
    ):
        pass


def test_a_command_that_is_not_there(cores: Cores) -> None:
    with (
        pytest.raises(ServerError, match="cannot start no-such-server"),
        serving(["no-such-server"], free_port(), core=cores.server),
    ):
        pass


def test_who_can_take_part() -> None:
    raw = [name for name, scenario in SCENARIOS.items() if can_take_part(Feature.RAW, scenario)]
    assert raw == ["1x1x32B", "64x1x32B", "8x32x32B", "8x32x1KiB", "8x4x16KiB", "2x2x1MiB"]
    everything = Feature.ECHO | Feature.TLS | Feature.DEFLATE | Feature.FANOUT
    assert all(can_take_part(everything, scenario) for scenario in SCENARIOS.values())
    assert not can_take_part(Feature.ECHO, SCENARIOS["fanout-1000"])
