"""Serving from the command line."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, cast

from twisted.internet.defer import ensureDeferred
from twisted.internet.ssl import CertificateOptions
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from windsock.core import Application, Config
from windsock.core.app.address import address_url

from ._reactor import Reactor, as_reactor
from ._server import serve
from ._waiting import Waiters


def make_tls_context(cert: str, key: str) -> CertificateOptions:
    """What `serve` takes as `tls`, and `run` as `ssl_context`, of two PEM files.

    Args:
        cert: path of the certificate chain.
        key: path of its private key.

    Raises:
        OpenSSL.SSL.Error: a file cannot be read, or is not what it should be.
    """
    options = CertificateOptions(acceptableProtocols=[b"http/1.1"])
    context: Any = cast(Any, options).getContext()
    context.use_certificate_chain_file(cert)
    context.use_privatekey_file(key)
    context.check_privatekey()
    return options


def run(
    app: Application,
    *,
    host: str | None,
    port: int,
    unix: str | None = None,
    config: Config,
    ssl_context: object | None = None,
    started: Callable[[Sequence[str]], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then shut down gracefully; a second signal ends at once.

    It runs the process's reactor, which can be done once. Twisted's warnings and errors go to
    `logging`.

    Args:
        ssl_context: what `make_tls_context` gave, or another that `serve` takes as `tls`.
        started: called with the URLs that are served, once connections are accepted.

    Raises:
        OSError: it cannot listen there.
    """
    reactor = as_reactor(None)
    to_logging: Any = STDLibLogObserver()
    # Below warnings there is nothing but where it listens, which `started` tells.
    serious: Any = LogLevelFilterPredicate(LogLevel.warn)
    observer: Any = FilteringLogObserver(to_logging, [serious])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    command = _Command(reactor)

    async def main() -> None:
        async with serve(app, host, port, unix=unix, config=config, tls=ssl_context) as server:
            secure = ssl_context is not None
            started([address_url(address, secure=secure) for address in server.addresses])
            await command.told_to_stop()

    command.run(main)


class _Command:
    """Runs the reactor for one coroutine, and heeds signals meanwhile."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._news = Waiters()
        self._signals = 0
        self._error: BaseException | None = None

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it, then stop the reactor. Raises what it raised, or KeyboardInterrupt."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [(number, signal.getsignal(number)) for number in numbers]

        def begin() -> None:
            for number in numbers:  # the reactor has installed its own by now
                signal.signal(number, self._signalled)
            ensureDeferred(self._run(main))

        self._reactor.callWhenRunning(begin)
        try:
            self._reactor.run()
        finally:
            for number, handler in before:
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self._error = KeyboardInterrupt()
            self._reactor.callFromThread(self._reactor.crash)
        # A signal handler may run in the midst of anything, much like another thread.
        self._reactor.callFromThread(self._news.wake)

    async def told_to_stop(self) -> None:
        """Wait for the first signal."""
        while not self._signals:
            await self._news.wait()

    async def _run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await main()
        except GeneratorExit:
            raise  # the reactor has been told to crash, and nobody waits for this any more
        except BaseException as error:  # the boundary to the reactor: `run` raises it
            self._error = error
        self._reactor.stop()
