"""What windsock and its hosts log during a test."""

from __future__ import annotations

import logging
from typing import Final

import pytest

WATCHED: Final = frozenset({"windsock", "asyncio", "uvicorn", "hypercorn", "trio"})
"""The top-level loggers that matter."""


class Log:
    """What was logged during the test; what is not taken must not be a warning or an error."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._taken: set[int] = set()

    def _records(self) -> list[logging.LogRecord]:
        watched = [r for r in self._caplog.records if r.name.partition(".")[0] in WATCHED]
        return [r for r in watched if id(r) not in self._taken]

    def take(self, level: int, text: str) -> logging.LogRecord:
        """The record with this level and this text in its message."""
        for record in self._records():
            if record.levelno == level and text in record.getMessage():
                self._taken.add(id(record))
                return record
        raise AssertionError(f"{text!r} was not logged, but {self._records()}")

    def take_failure(self, error: Exception) -> logging.LogRecord:
        """The record with the traceback of an error that a handler raised."""
        record = self.take(logging.ERROR, "the handler failed")
        assert record.exc_info is not None
        assert record.exc_info[1] is error
        return record

    def take_any_failure(self) -> str:
        """The message of whatever error a handler ended with."""
        record = self.take(logging.ERROR, "the handler failed")
        assert record.exc_info is not None
        return str(record.exc_info[1])

    def unexpected(self) -> list[str]:
        """Warnings and errors that nobody took."""
        return [r.getMessage() for r in self._records() if r.levelno >= logging.WARNING]
