"""The command line: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import shlex
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from subprocess import SubprocessError

from . import certificates, charts, core, floors, report, results
from .cores import Cores, choose_cores, machine, versions
from .load import LoadError, LoadGenerator, build
from .runner import Candidate, Plan, run
from .scenarios import SCENARIOS, Kind, Scenario
from .servers import SERVERS, Feature

_EPILOG = """\
other commands:
  python -m benchmarks compare A.json B.json    two runs side by side
  python -m benchmarks floors [RUN.json]        what was promised, and what a run shows
                                                (the newest, where none is named)
  python -m benchmarks publish RUN.json         have docs/performance.md show that run
  python -m benchmarks list                     all servers and scenarios
"""
_CONNECTION_KIB = 64
"""What a connection may cost the machine, kernel included, in KiB; more need not fit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        match words:
            case ["compare", before, after]:
                print(report.compare(results.read(Path(before)), results.read(Path(after))))
            case ["floors"]:
                path = results.newest()
                if path is None:
                    raise ValueError(f"there are no results in {results.DIRECTORY} yet")
                print(floors.report(results.read(path)))
            case ["floors", path]:
                print(floors.report(results.read(Path(path))))
            case ["publish", path]:
                results.read(Path(path)).condensed().save(results.PUBLISHED)
                print(f"{results.PUBLISHED} is new: python docs/generate.py writes the page")
            case ["list"]:
                _list()
            case ["compare" | "floors" | "list" | "publish", *_]:
                _parser().error(f"wrong arguments for {words[0]}; see --help")
            case _:
                return _run(_parser().parse_args(words), words)
    except (ValueError, OSError, LoadError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure WebSocket servers side by side: alternately, in one run, on one core, "
        "with the load generator on another.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="servers to measure, such as 'windsock-*'; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--scenario", action="append", default=[], metavar="PATTERN",
        help="scenarios to run, such as '8x*', or 'core'; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--server", action="append", default=[], metavar="COMMAND",
        help="measure your own server, too: a command with {port} that echoes on 127.0.0.1",
    )  # fmt: skip
    parser.add_argument("--path", default="/", help="where your own server takes WebSockets")
    parser.add_argument(
        "--rounds", type=_positive_int, help="how often each is measured (default: 5)"
    )
    parser.add_argument(
        "--seconds", type=_positive, help="of each measurement (default: 1; warm-up not counted)"
    )
    parser.add_argument(
        "--quick", action="store_true",
        help="one round of a second each, with few connections: sees only that everything works",
    )  # fmt: skip
    parser.add_argument("--baseline", help="the server that ratios are to (default: websockets)")
    parser.add_argument("--server-core", type=int, help="number of the core that servers run on")
    parser.add_argument("--client-core", type=int, help="number of the load generator's core")
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", default=results.DIRECTORY)
    return parser


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < 3600:
        raise ValueError
    return value


def _positive_int(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError
    return value


def _run(options: argparse.Namespace, words: Sequence[str]) -> int:
    load = build()
    _raise_file_limit()
    skipped: dict[str, str] = {}
    candidates = _candidates(options, skipped)
    cores = choose_cores()
    cores = Cores(
        cores.server if options.server_core is None else options.server_core,
        cores.client if options.client_core is None else options.client_core,
    )
    plan = Plan(
        candidates=candidates,
        scenarios=_scenarios(options, load, skipped),
        rounds=options.rounds or (1 if options.quick else 5),
        seconds=options.seconds or (0.8 if options.quick else 1),
        warmup=0.2,
        cores=cores,
    )
    done = results.Run(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=shlex.join(["python", "-m", "benchmarks", *words]),
        seconds=plan.seconds,
        rounds=plan.rounds,
        machine=machine(cores),
        versions=versions(),
        skipped=skipped,
    )
    for name, reason in skipped.items():
        _progress(f"left out: {name}: {reason}")
    if cores.server == cores.client:
        _progress("this machine has one core: server and load generator disturb each other")
    # The core is no server: where only some are wanted, it must be asked for.
    if _chosen("core", options.scenario) and (options.scenario or not options.only):
        _progress("core: microbenchmarks")
        try:
            done.core = core.measure(cores.server, seconds=0.02 if options.quick else 0.2)
        except SubprocessError as error:
            skipped["core"] = str(error)
    done.results = run(plan, load, _progress)
    path = options.output / f"{done.date[:19].replace(':', '')}.json"
    done.save(path)
    written = charts.write(done, path.with_suffix(""))
    baseline = options.baseline or "websockets-asyncio"
    print(report.full(done, baseline))
    print(f"\n{path}\n{len(written)} charts in {path.with_suffix('')}")
    return 1 if "core" in skipped or any(result.error for result in done.results) else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _chosen(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches; where there are none, everything is chosen."""
    patterns = list(patterns)
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _check(patterns: Iterable[str], names: Iterable[str], what: str) -> None:
    names = list(names)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(f"no {what} is called {pattern}; python -m benchmarks list names all")


def _candidates(options: argparse.Namespace, skipped: dict[str, str]) -> list[Candidate]:
    _check(options.only, SERVERS, "server")
    found: list[Candidate] = []
    for index, template in enumerate(options.server, 1):
        if "{port}" not in template:
            raise ValueError(f"there is no {{port}} in the command {template!r}")
        name = f"own-{index}"
        found.append(Candidate(name, Feature.ECHO, template=template, path=options.path))
    for server in SERVERS.values():
        if not _chosen(server.name, options.only):
            continue
        missing = server.missing()
        if missing:
            skipped[server.name] = f"not installed: {', '.join(missing)}"
        else:
            found.append(Candidate(server.name, server.features, server))
    return found


def _scenarios(
    options: argparse.Namespace, load: LoadGenerator, skipped: dict[str, str]
) -> list[Scenario]:
    _check(options.scenario, [*SCENARIOS, "core"], "scenario")
    found: list[Scenario] = []
    for scenario in SCENARIOS.values():
        if not _chosen(scenario.name, options.scenario):
            continue
        wanted = scenario.quick() if options.quick else scenario
        reason = _obstacle(wanted, load)
        if reason:
            skipped[scenario.name] = reason
        else:
            found.append(wanted)
    return found


def _obstacle(scenario: Scenario, load: LoadGenerator) -> str | None:
    """Why this machine cannot run it."""
    if scenario.tls and not load.tls:
        return "the load generator was compiled without OpenSSL's headers"
    if scenario.tls and not certificates.can_make():
        return "not installed: trustme, which makes the certificate"
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if scenario.connections + 200 > files:
        return f"a process may open {files} files only"
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    if scenario.kind is Kind.MEMORY and scenario.connections * _CONNECTION_KIB > available:
        return f"{available // 1024} MiB of memory are free"
    return None


def _raise_file_limit() -> None:
    """As many files as this user's processes may open; servers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _list() -> None:
    print("servers:")
    for server in SERVERS.values():
        missing = server.missing()
        print(f"  {server.name:<30}", f"not installed: {', '.join(missing)}" if missing else "")
    print("scenarios:")
    for scenario in SCENARIOS.values():
        print(f"  {scenario.name:<20} {scenario.title}")
    print(f"  {'core':<20} one message into the core and out again, without sockets")


if __name__ == "__main__":
    sys.exit(main())
