"""Runs servers alternately in one scenario after the other."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import payloads
from .certificates import write_certificate
from .cores import Cores, pinned
from .load import Arguments, LoadError, LoadGenerator
from .processes import ServerError, ServerProcess, free_port, serving
from .results import Measurement, Result
from .scenarios import Kind, Scenario, can_take_part
from .servers import Feature, Server

_WARM_CONNECTIONS: Final = 50
"""Open already when the memory without connections is measured."""
_FANOUT_SETTLES: Final = 500
"""ms that a server has for taking in the last connection of a fan-out."""
_QUIET_INTERVAL: Final = 50_000
"""µs between two messages of a quiet connection."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that is measured: one of the list, or the user's own command."""

    name: str
    features: Feature
    server: Server | None = None
    template: str = ""
    """Of one's own server: the command with {port}."""
    path: str = "/"
    """Where it takes WebSockets."""

    def command(self, port: int, scenario: Scenario, directory: Path) -> list[str]:
        """The command that serves the scenario on that port."""
        if self.server is None:
            return [part.replace("{port}", str(port)) for part in shlex.split(self.template)]
        command = [sys.executable, "-m", "benchmarks.programs", self.name, "--port", str(port)]
        if scenario.kind is Kind.FANOUT:
            command.append("--fanout")
        if scenario.deflate:
            command.append("--deflate")
        if scenario.tls:
            certificate, key = directory / "certificate.pem", directory / "key.pem"
            command += ["--certificate", str(certificate), "--key", str(key)]
        return command


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run and how."""

    candidates: Sequence[Candidate]
    scenarios: Sequence[Scenario]
    rounds: int
    seconds: float
    """Of each measurement."""
    warmup: float
    """Seconds before each measurement that do not count."""
    cores: Cores

    def taking_part(self, scenario: Scenario) -> list[Candidate]:
        """Who is measured in that scenario."""
        return [it for it in self.candidates if can_take_part(it.features, scenario)]

    def rounds_of(self, scenario: Scenario) -> int:
        """How often each of them is."""
        return min(self.rounds, scenario.max_rounds or self.rounds)


Report = Callable[[str], None]


def run(plan: Plan, load: LoadGenerator, report: Report) -> list[Result]:
    """Measure all of it; what fails is noted in its result, and the run goes on.

    The servers of a scenario live as long as it does, each idle while another is measured, so that
    the rounds of all of them come close to one another: a machine has its moods.
    """
    counts = [plan.rounds_of(it) * len(plan.taking_part(it)) for it in plan.scenarios]
    progress = Progress(report, sum(counts))
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        bench = Bench(plan, load, Path(name))
        for scenario in plan.scenarios:
            with ExitStack() as stack:
                entrants = [bench.enter(stack, it, scenario) for it in plan.taking_part(scenario)]
                for number in range(plan.rounds_of(scenario)):
                    for entrant in entrants[::-1] if number % 2 else entrants:
                        entrant.take_turn()
                        progress.show(entrant.result)
            results += [entrant.result for entrant in entrants]
    return results


class Progress:
    """Says what has been measured, and how much there is to come."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def show(self, result: Result) -> None:
        """One more has had its turn."""
        self._done += 1
        line = f"[{self._done}/{self._total}] {result.scenario:<18} {result.server:<28}"
        if result.error:
            self._report(f"{line} failed: {result.error}")
        else:
            value = result.measurements[-1].value
            self._report(f"{line} {value:>12,.1f} {result.unit}")


class Entrant:
    """A server in a scenario, with what was found."""

    def __init__(
        self, candidate: Candidate, scenario: Scenario, measure: Callable[[], Measurement]
    ) -> None:
        kind = scenario.kind
        self.measure = measure
        self.result = Result(candidate.name, scenario.name, kind.value, kind.higher_is_better)

    def take_turn(self) -> None:
        """Measure it, unless it has failed."""
        if self.result.error:
            return
        try:
            self.result.measurements.append(self.measure())
        except (LoadError, ServerError) as error:
            self.result.error = str(error)


class Bench:
    """Where measurements are made: cores, a directory with certificates and payloads."""

    def __init__(self, plan: Plan, load: LoadGenerator, directory: Path) -> None:
        self._plan = plan
        self._load = load
        self._directory = directory
        self._payloads = directory / "payloads"
        write_certificate(directory / "certificate.pem", directory / "key.pem")
        documents = payloads.documents(1024)
        payloads.write(self._payloads, [payloads.compress(text) for text in documents])

    def enter(self, stack: ExitStack, candidate: Candidate, scenario: Scenario) -> Entrant:
        """Have a server take part in a scenario; it lives until the stack is left."""
        entrant = Entrant(candidate, scenario, lambda: self.measure(candidate, scenario))
        if scenario.kind is Kind.MEMORY:
            return entrant  # what a server has used once it does not ask for again
        try:
            server = stack.enter_context(self._serving(candidate, scenario))
        except ServerError as error:
            entrant.result.error = str(error)
        else:
            entrant.measure = lambda: self._measure(candidate, scenario, server)
        return entrant

    def measure(self, candidate: Candidate, scenario: Scenario) -> Measurement:
        """A fresh server in a scenario.

        Raises:
            ServerError, LoadError: it did not work.
        """
        with self._serving(candidate, scenario) as server:
            return self._measure(candidate, scenario, server)

    def _serving(
        self, candidate: Candidate, scenario: Scenario
    ) -> AbstractContextManager[ServerProcess]:
        port = free_port()
        command = candidate.command(port, scenario, self._directory)
        return serving(command, port, core=self._plan.cores.server)

    def _measure(
        self, candidate: Candidate, scenario: Scenario, server: ServerProcess
    ) -> Measurement:
        try:
            return self._measure_kind(candidate, scenario, server)
        except LoadError as error:
            words = server.last_words()
            raise LoadError(f"{error}; the server said: {words}" if words else error) from None

    def _measure_kind(
        self, candidate: Candidate, scenario: Scenario, server: ServerProcess
    ) -> Measurement:
        arguments = {**self._arguments(scenario, server), "path": candidate.path}
        if candidate.features is Feature.RAW:
            arguments["mode"] = "raw"
        match scenario.kind:
            case Kind.MEMORY:
                return self._measure_memory(scenario, arguments, server)
            case Kind.LATENCY:
                return self._measure_latency(arguments, server)
            case Kind.HANDSHAKES:
                details = self._run({**arguments, "mode": "handshakes"}, server)
                return Measurement(details["handshakes"] / details["seconds"], details)
            case Kind.FANOUT:
                arguments |= {"mode": "fanout", "settle_ms": _FANOUT_SETTLES}
            case Kind.THROUGHPUT:
                pass
        details = self._run(arguments, server)
        if not details["messages"]:
            raise LoadError("nothing came back in time")
        return Measurement(details["messages"] / details["seconds"], details)

    def _arguments(self, scenario: Scenario, server: ServerProcess) -> dict[str, str | int | float]:
        arguments: dict[str, str | int | float] = {
            "port": server.port,
            "connections": scenario.connections,
            "window": scenario.window,
            "size": scenario.size,
            "kind": "text" if scenario.text else "binary",
            "seconds": self._plan.seconds,
            "warmup": self._plan.warmup,
            "tls": int(scenario.tls),
        }
        if scenario.deflate:
            arguments |= {"deflate": 1, "payloads": str(self._payloads)}
        return arguments

    def _run(self, arguments: Arguments, server: ServerProcess) -> dict[str, float]:
        timeout = 30 + 2 * (self._plan.seconds + self._plan.warmup)
        start, (ran, waited) = time.monotonic(), server.times()
        details = self._load.run(arguments, core=self._plan.cores.client, timeout=timeout)
        passed, (now_ran, now_waited) = time.monotonic() - start, server.times()
        # Of the whole time, warm-up included.
        details["server_cpu"] = (now_ran - ran) / passed
        details["server_waited"] = (now_waited - waited) / passed
        return details

    def _measure_latency(self, arguments: Arguments, server: ServerProcess) -> Measurement:
        common = {**arguments, "mode": "latency", "interval_us": _QUIET_INTERVAL}
        details: dict[str, float] = {}
        for phase in ("quiet", "flooded"):
            found = self._run({**common, "flood": int(phase == "flooded")}, server)
            if "p99_us" not in found:
                raise LoadError(f"the {phase} connections had no answer at all")
            details |= {
                f"{phase} {name}": found[f"{name}_us"] for name in ("p50", "p99", "p999", "max")
            }
        details |= {name: share for name, share in found.items() if "_cpu" in name}
        details |= {name: share for name, share in found.items() if "_waited" in name}
        details["flood messages/s"] = found["flood_messages"] / found["seconds"]
        details["p99 ratio"] = details["flooded p99"] / details["quiet p99"]
        return Measurement(details["flooded p99"], details)

    def _measure_memory(
        self, scenario: Scenario, arguments: Arguments, server: ServerProcess
    ) -> Measurement:
        with ExitStack() as stack:
            idle = {**arguments, "mode": "idle"}
            self._hold(stack, {**idle, "connections": _WARM_CONNECTIONS})
            before = server.settled_memory()
            self._hold(stack, idle)
            after = server.settled_memory()
        each = (after - before) / scenario.connections
        return Measurement(each, {"server KiB before": before, "server KiB after": after})

    def _hold(self, stack: ExitStack, arguments: Arguments) -> None:
        """Open connections and hold them until the stack is left."""
        with pinned(self._plan.cores.client):
            process = subprocess.Popen(
                self._load.command(arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        stack.callback(_release, process)
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":
            raise LoadError(process.stderr.read().strip() or "it did not get ready")


def _release(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=10)  # the end of its stdin ends it
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
