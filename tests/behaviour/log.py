"""What windsock and its hosts log during a test."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Final

from .sync import TIMEOUT

WATCHED: Final = frozenset({"windsock", "asyncio", "trio", "twisted"})
"""The top-level loggers that matter."""

APPLICATION_FAILED: Final = "Exception in ASGI application"
"""What hosts log when the application raises, which windsock must not."""


class Log(logging.Handler):
    """Warnings and errors, from all threads.

    Args:
        hosted: a host server may log what it likes, except that windsock has failed.
    """

    def __init__(self, *, hosted: bool) -> None:
        super().__init__(logging.WARNING)
        self._watched = frozenset({"windsock"}) if hosted else WATCHED
        self._changed = threading.Condition()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record until it is taken."""
        library = record.name.partition(".")[0]
        if library in self._watched or _application_failed(record):
            with self._changed:
                self._records.append(record)
                self._changed.notify_all()

    def take(self, level: int, text: str) -> logging.LogRecord:
        """The record with this level and this text in its message, once there is one."""

        def find() -> logging.LogRecord | None:
            for record in self._records:
                if record.levelno == level and text in record.getMessage():
                    return record
            return None

        with self._changed:
            found = self._changed.wait_for(find, TIMEOUT)
            assert found is not None, f"{text!r} was not logged, but {self._records}"
            self._records.remove(found)
            return found

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

    def untaken(self) -> list[str]:
        """What nobody took."""
        with self._changed:
            return [f"{r.levelname} {r.name}: {r.getMessage()}" for r in self._records]


def _application_failed(record: logging.LogRecord) -> bool:
    """Whether a host says that the application raised, other than because the host cancelled it."""
    if APPLICATION_FAILED not in record.getMessage():
        return False
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)
