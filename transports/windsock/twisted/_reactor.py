"""What the adapter uses of Twisted, in types that a type checker understands.

Twisted says what reactors and transports have in zope interfaces, which it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

# zope.interface has neither types nor stubs.
import zope.interface  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure

T = TypeVar("T")


class DelayedCall(Protocol):
    """A call that `callLater` has scheduled (`IDelayedCall`)."""

    def cancel(self) -> object: ...


class Reactor(Protocol):
    """As much as is needed of `IReactorCore`, `IReactorTime`, `IReactorThreads`, `IReactorSocket`
    and `IReactorFDSet`."""

    def callLater(
        self, delay: float, function: Callable[..., object], *args: object
    ) -> DelayedCall: ...
    def callFromThread(self, function: Callable[..., object], *args: object) -> object: ...
    def callWhenRunning(self, function: Callable[..., object], *args: object) -> object: ...
    def addSystemEventTrigger(
        self, phase: str, event: str, function: Callable[..., object], *args: object
    ) -> object: ...
    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: object
    ) -> ListeningPort: ...
    def adoptStreamConnection(
        self, fileDescriptor: int, addressFamily: int, factory: object
    ) -> object: ...
    def addReader(self, reader: object) -> object: ...
    def removeReader(self, reader: object) -> object: ...
    def run(self) -> object: ...
    def stop(self) -> object: ...
    def crash(self) -> object: ...


class ListeningPort(Protocol):
    """A port that listens (`IListeningPort`)."""

    def getHost(self) -> object: ...
    def stopListening(self) -> Any: ...


class Transport(Protocol):
    """One connection (`ITransport`, `IConsumer`, `IPushProducer`)."""

    def write(self, data: bytes) -> object: ...
    def loseConnection(self) -> object: ...
    def abortConnection(self) -> object: ...
    def registerProducer(self, producer: object, streaming: bool) -> object: ...
    def unregisterProducer(self) -> object: ...
    def pauseProducing(self) -> object: ...
    def resumeProducing(self) -> object: ...
    def getPeer(self) -> object: ...
    def getHost(self) -> object: ...


def as_reactor(reactor: object | None) -> Reactor:
    """The reactor that was given, or else the process's own, which is installed if need be."""
    if reactor is None:
        from twisted.internet import reactor as installed

        reactor = installed
    return cast(Reactor, reactor)


def is_tls(transport: object) -> bool:
    """Whether what goes over it is encrypted."""
    return bool(cast(Any, ISSLTransport).providedBy(transport))


def reason_of(failure: Failure) -> Exception | None:
    """Why a connection was lost."""
    found: object = cast(Any, failure).value
    return found if isinstance(found, Exception) else None


def implements(*interfaces: object) -> Callable[[type[T]], type[T]]:
    """A class decorator: instances provide these interfaces (`zope.interface.implementer`)."""
    decorator: Any = cast(Any, zope.interface).implementer(*interfaces)
    return cast("Callable[[type[T]], type[T]]", decorator)
