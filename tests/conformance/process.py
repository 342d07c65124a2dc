"""Child processes that end with the block that started them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

GRACE: Final = 30.0
"""Seconds from SIGTERM to SIGKILL."""

T = TypeVar("T")


class RunError(Exception):
    """The run could not be completed; this says nothing about conformance."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process, whose output goes to a log."""

    name: str
    log: Path
    process: asyncio.subprocess.Process

    async def succeed(self) -> None:
        """Wait for its end.

        Raises:
            RunError: its exit status was not 0.
        """
        if await self.process.wait():
            raise self.ended()

    async def outlast(self, awaitable: Awaitable[T]) -> T:
        """Wait for something for which this process has to be running.

        Raises:
            RunError: the process ended before.
        """
        task = asyncio.ensure_future(awaitable)
        end = asyncio.ensure_future(self.process.wait())
        try:
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self.ended()
            return task.result()
        finally:
            task.cancel()
            end.cancel()

    def ended(self) -> RunError:
        """An error that shows with which status it ended, and its last words."""
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        tail = "".join(f"\n    | {line[:300]}" for line in lines)
        return RunError(f"{self.name} ended with status {self.process.returncode}{tail}")

    async def stop(self) -> None:
        """End it, if it runs."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), GRACE)
            except TimeoutError:
                self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> AsyncGenerator[Child]:
    """Run a process for the length of the body; `on_line` sees each line of its output.

    Its last line has been seen when the block is left.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,  # of a line
        env=env,
    )
    output = process.stdout
    assert output is not None

    async def read() -> None:
        with log.open("wb") as file:
            async for line in output:
                file.write(line)
                file.flush()
                on_line(line.decode(errors="replace"))

    reader = asyncio.create_task(read())
    child = Child(name, log, process)
    try:
        yield child
    finally:
        await child.stop()
        await reader
