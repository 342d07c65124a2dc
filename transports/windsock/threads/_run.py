"""Serving from the command line."""

from __future__ import annotations

import queue
import signal
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from windsock.core import Application, Config
from windsock.core.app.address import address_url

from ._server import serve


def run(
    app: Application,
    *,
    host: str | None,
    port: int,
    unix: str | None = None,
    config: Config,
    ssl_context: ssl.SSLContext | None = None,
    started: Callable[[Sequence[str]], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then shut down gracefully; a second signal ends at once.

    Args:
        started: called with the URLs that are served, once connections are accepted.

    Raises:
        OSError: it cannot listen there.
        KeyboardInterrupt: a second SIGINT came during the shutdown.
    """
    secure = ssl_context is not None
    with serve(app, host, port, unix=unix, config=config, ssl_context=ssl_context) as server:
        with _signals() as signals:
            started([address_url(address, secure=secure) for address in server.addresses])
            signals.get()
            # Not as they were: SIGINT may be ignored, as in a shell's background jobs.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            server.shutdown()


@contextmanager
def _signals() -> Generator[queue.SimpleQueue[int]]:
    """The numbers of the signals that come, and their handlers as they were at the end."""
    # Alone among the queues and events, this one may be used by what interrupts its user.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    before = {
        number: signal.signal(number, lambda number, _: signals.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
