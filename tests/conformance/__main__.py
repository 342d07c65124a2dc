"""Run the Autobahn test suite against windsock.

    python -m tests.conformance [--quick | --medium | --full] [--case PATTERN] … [TARGET …]

Prints one line for each target, and what was not as it should be. Needs a CPython 2.7 for the
suite itself (PYTHON2=… to choose one), which is installed in `.cache/autobahn` of the checkout;
its own reports are in `.cache/autobahn/reports/TARGET/index.html`.

Exit status: 0 all passed; 1 something did not; 2 the suite could not be run.
"""

import argparse
import asyncio
import signal
import sys

from .process import RunError
from .results import Outcome
from .suite import Suite
from .targets import TARGETS, Target, run_target


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group()
    for name, text in {
        "quick": "without 9.* (limits), 12.* and 13.* (compression): seconds per target",
        "medium": "without the large sizes of 12.* and 13.*: minutes per target",
        "full": "all 517 cases, two targets at a time (the default)",
    }.items():
        size.add_argument(
            f"--{name}", dest="size", action="store_const", const=name, help=text, default="full"
        )
    parser.add_argument(
        "--case",
        action="append",
        metavar="PATTERN",
        help="only cases that match, such as 9.1.1 or 7.*; may be given again",
    )
    parser.add_argument("--jobs", type=int, help="targets to test at a time")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"default: all of {' '.join(TARGETS)}"
    )
    args = parser.parse_args(argv)
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {' '.join(unknown)}; there are {' '.join(TARGETS)}")
    args.jobs = args.jobs or (2 if args.size == "full" else 1)
    return args


async def run(suite: Suite, targets: list[Target], jobs: int) -> list[Outcome]:
    """Test the targets, a few at a time; print about each when it is done."""
    slots = asyncio.Semaphore(jobs)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    async def one(target: Target) -> Outcome:
        async with slots:
            outcome = await run_target(suite, target)
        print("\n".join([outcome.summary(), *outcome.details()]), flush=True)
        return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(target)) for target in targets]
    return [task.result() for task in tasks]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        suite = Suite.load(args.size, args.case or ["*"])
    except RunError as exc:
        print(f"conformance: {exc}", file=sys.stderr)
        return 2
    targets = [TARGETS[name] for name in args.targets or TARGETS]
    print(f"{len(suite.cases)} cases against {' '.join(t.name for t in targets)}", flush=True)
    outcomes = asyncio.run(run(suite, targets, args.jobs))
    if len(outcomes) > 1:
        print("\nall targets:", *(outcome.summary() for outcome in outcomes), sep="\n")
    return 1 if any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
