"""Serving from the command line."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Sequence

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
    """
    asyncio.run(_run(app, host, port, unix, config, ssl_context, started))


async def _run(
    app: Application,
    host: str | None,
    port: int,
    unix: str | None,
    config: Config,
    ssl_context: ssl.SSLContext | None,
    started: Callable[[Sequence[str]], None],
) -> None:
    loop = asyncio.get_running_loop()
    async with serve(app, host, port, unix=unix, config=config, ssl_context=ssl_context) as server:
        stop = asyncio.Event()

        def stop_once() -> None:
            stop.set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop_once)
        started(
            [address_url(address, secure=ssl_context is not None) for address in server.addresses]
        )
        await stop.wait()
