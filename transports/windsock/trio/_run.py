"""Serving from the command line."""

from __future__ import annotations

import signal
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import trio

from windsock.core import Application, Config, as_app
from windsock.core.app.address import address_url

from ._listeners import open_listeners
from ._server import Server, serve_listeners


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
    try:
        trio.run(_run, as_app(app), host, port, unix, config, ssl_context, started)
    except* KeyboardInterrupt:  # it may come wrapped by nurseries
        raise KeyboardInterrupt from None


async def _run(
    app: Application,
    host: str | None,
    port: int,
    unix: str | None,
    config: Config,
    ssl_context: ssl.SSLContext | None,
    started: Callable[[Sequence[str]], None],
) -> None:
    # Opened out here, where no nursery wraps what goes wrong.
    async with open_listeners(host, port, unix=unix) as listeners:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(
                partial(serve_listeners, app, listeners, config=config, ssl_context=ssl_context)
            )
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                secure = ssl_context is not None
                started([address_url(address, secure=secure) for address in server.addresses])
                await anext(signals)
            # A handler of our own: SIGINT may be ignored, as in a shell's background jobs.
            with trio.open_signal_receiver(signal.SIGINT) as interrupts:
                async with trio.open_nursery() as waiting:
                    waiting.start_soon(_end_at_once, interrupts)
                    await server.shutdown()
                    waiting.cancel_scope.cancel()


async def _end_at_once(interrupts: AsyncIterator[int]) -> None:
    await anext(interrupts)
    raise KeyboardInterrupt
