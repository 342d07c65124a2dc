"""Who tells the sockets of an attendant that they are ready."""

from __future__ import annotations

import select
import socket
from typing import Final, Protocol

import trio

from windsock._nonblocking import READ, WRITE

_BOTH: Final = READ | WRITE

# How many passes of the scheduler to go on without waiting, after something came: who has been
# answered often has more to say by then, and falling asleep takes longer than some passes.
_LINGER: Final = 3


class Polled(Protocol):
    """What a poller knows of a socket."""

    @property
    def socket(self) -> socket.socket:
        """The socket."""
        ...

    wanted: int
    """READ, WRITE or both: what the poller looks out for; written by the poller alone."""

    def ready(self, events: int, now: float) -> None:
        """READ, WRITE or both have come, at `now` on trio's clock; an error counts as both."""


class Poller(Protocol):
    """Calls `ready` of what it watches, at most once in a pass of the scheduler."""

    def watch(self, polled: Polled, wanted: int) -> None:
        """Look out for `wanted` from now on. 0 for nothing, as before the socket is closed."""

    async def run(self) -> None:
        """To be run as a task."""


class EpollPoller(trio.abc.Instrument):
    """Many sockets and one task: they are in an epoll, and that is what trio waits for.

    trio's own `wait_readable` arms its epoll anew for each wait, which costs as much as all the
    rest of a small message. The sockets are read right after the scheduler has waited, in the same
    pass in which it then runs those who are woken by it.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._polled: dict[int, Polled] = {}
        self._passes = 0
        self._masks = {
            READ: select.EPOLLIN,
            WRITE: select.EPOLLOUT,
            _BOTH: select.EPOLLIN | select.EPOLLOUT,
        }
        self._events = {mask: events for events, mask in self._masks.items()}

    def watch(self, polled: Polled, wanted: int) -> None:
        number = polled.socket.fileno()
        if polled.wanted and wanted:
            self._epoll.modify(number, self._masks[wanted])
        elif wanted:
            self._epoll.register(number, self._masks[wanted])
            self._polled[number] = polled
        elif polled.wanted:
            self._epoll.unregister(number)
            del self._polled[number]
        polled.wanted = wanted

    async def run(self) -> None:
        with self._epoll as epoll:
            trio.lowlevel.add_instrument(self)
            try:
                # This is only to wake the scheduler; what it is woken for is seen to below.
                while True:
                    await trio.lowlevel.wait_readable(epoll)
                    while self._passes:
                        self._passes -= 1
                        await trio.lowlevel.checkpoint()
            finally:
                trio.lowlevel.remove_instrument(self)

    def after_io_wait(self, timeout: float) -> None:
        """The scheduler has waited, and runs next whoever is ready."""
        found = self._epoll.poll(0)
        if found:
            self._passes = _LINGER
            now = trio.current_time()
            polled, events = self._polled, self._events
            for number, mask in found:
                one = polled.get(number)
                if one is not None:  # else one that came before was its end
                    one.ready(events.get(mask, _BOTH), now)


class TaskPoller:
    """A task for each socket: for one or two, and where there is no epoll."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._waits: set[tuple[Polled, int]] = set()

    def watch(self, polled: Polled, wanted: int) -> None:
        polled.wanted = wanted
        for event in (READ, WRITE):
            if wanted & event and (polled, event) not in self._waits:
                self._waits.add((polled, event))
                self._nursery.start_soon(self._wait_loop, polled, event)
        if not wanted:
            trio.lowlevel.notify_closing(polled.socket)  # wakes them, and does nothing else

    @trio.lowlevel.enable_ki_protection
    async def _wait_loop(self, polled: Polled, event: int) -> None:
        wait = trio.lowlevel.wait_readable if event == READ else trio.lowlevel.wait_writable
        # A handler that is cancelled may have to hear its peer out: it ends with the link.
        with trio.CancelScope(shield=True):
            while polled.wanted & event:
                try:
                    await wait(polled.socket)
                except trio.ClosedResourceError:
                    continue
                if polled.wanted & event:
                    polled.ready(event, trio.current_time())
        self._waits.remove((polled, event))

    async def run(self) -> None:
        """Each does it for itself."""


def poller(nursery: trio.Nursery) -> Poller:
    """The best poller for many sockets."""
    return EpollPoller() if hasattr(select, "epoll") else TaskPoller(nursery)
