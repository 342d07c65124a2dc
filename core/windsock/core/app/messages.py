"""Receiving and sending: what every message of a `WebSocket` goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar, cast

from windsock.core.protocol import close_codes
from windsock.core.protocol.compiled import mypyc_attr
from windsock.core.protocol.connection import Message
from windsock.core.protocol.errors import Disconnected, LocalProtocolError, MessageTypeError
from windsock.core.protocol.state import State

from .channel import Channel
from .codec import STDLIB_JSON, JSONCodec, MessageType
from .link import Link, SupportsWebSocket

if TYPE_CHECKING:
    from .websocket import WebSocket

T = TypeVar("T")


class _Unset:
    """Tells "no default" from a default of None."""


UNSET: Final = _Unset()

# Codes that end `async for` silently: the peer said goodbye in an orderly way.
_ORDERLY: Final = frozenset({close_codes.NORMAL, close_codes.GOING_AWAY, close_codes.NO_STATUS})

_OPEN: Final = State.OPEN


@mypyc_attr(allow_interpreted_subclasses=True)
class Messages:
    """The part of `WebSocket` that is worth compiling: what is done for every message.

    The rest is Python always: there arguments are checked in our own words, not the compiler's.
    """

    __slots__ = (
        "_channel",
        "_json",
        "_link",
        "_receive_type",
        "_send_high_water",
        "_send_type",
    )

    def __init__(self, channel: Channel[Any], link: Link) -> None:
        self._channel: Channel[SupportsWebSocket] = channel
        self._link = link
        self._send_high_water = channel.config.write_high_water
        self._receive_type: MessageType | None = None
        self._send_type: MessageType | None = None
        self._json: JSONCodec = STDLIB_JSON

    async def receive(self, default: Any = UNSET) -> Any:
        """The next message: str for text, bytes for binary, as the peer sent it.

        A route with a `receive_type` gives what `receive_text`, `receive_bytes` or `receive_json`
        give instead, and raises what they raise.

        Args:
            default: what to return, instead of raising Disconnected, once there are no more.

        Raises:
            LocalProtocolError: not accepted yet.
            Disconnected: the WebSocket has ended and everything was received.
        """
        if self._link.checkpoints:
            await self._link.checkpoint()
        if not self._channel.inbox:
            try:
                await fill_inbox(self._channel, self._link)
            except Disconnected:
                if default is UNSET:
                    raise
                return default
        return (
            take(self._channel, self._link)
            if self._receive_type is None
            else self._take_as(self._receive_type)
        )

    def _take_as(self, wanted: MessageType) -> Any:
        match wanted:
            case "text":
                return self._take_typed(str)
            case "bytes":
                return self._take_typed(bytes)
            case "json":
                return self._json.loads(take(self._channel, self._link))
            case _:  # "event"
                return receive_event(take(self._channel, self._link))

    def _take_typed(self, wanted: type[T]) -> T:
        found = self._channel.inbox[0]
        if not isinstance(found, wanted):
            raise MessageTypeError(
                f"the next message is {type(found).__name__}, not {wanted.__name__}"
            )
        take(self._channel, self._link)
        return found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Iteration ends silently on codes 1000, 1001 and 1005, else it raises Disconnected."""
        if self._link.checkpoints:
            await self._link.checkpoint()
        if not self._channel.inbox:
            try:
                await fill_inbox(self._channel, self._link)
            except Disconnected as disconnected:
                if disconnected.code in _ORDERLY:
                    raise StopAsyncIteration from None
                raise
        return (
            take(self._channel, self._link)
            if self._receive_type is None
            else self._take_as(self._receive_type)
        )

    async def send(self, data: Any) -> None:
        """Send a message: text from a str, binary from anything bytes-like.

        On a route with a `send_type` it is what `send_text`, `send_bytes`, `send_json` or
        `send_event` take instead.

        Returns at once while less than `Config.write_high_water` bytes wait to be written, else
        when that is so again. A cancelled send has sent all of the message or none of it.

        Raises:
            TypeError: `data` is neither.
            LocalProtocolError: not accepted yet, or text that UTF-8 cannot encode.
            Disconnected: the WebSocket has ended or is closing.
        """
        if self._send_type is not None:
            ws = cast("WebSocket", self)
            await ws._send_as(self._send_type, data)  # pyright: ignore[reportPrivateUsage]  # ours
            return
        link = self._link
        if link.checkpoints:
            await link.checkpoint()
        backlog = self._channel.send(data)
        link.flush_soon()
        if backlog >= self._send_high_water:
            await link.drain()

    async def _send(self, data: Message) -> None:
        if self._link.checkpoints:
            await self._link.checkpoint()
        backlog = self._channel.send(data)
        self._link.flush_soon()
        if backlog >= self._send_high_water:
            await self._link.drain()


# Functions and no methods: those would be looked up, as a subclass may override them.


async def fill_inbox(channel: Channel[Any], link: Link) -> None:
    """Wait for a message; LocalProtocolError or Disconnected where none can come."""
    connection = channel.connection
    channel.waiting += 1
    try:
        while not channel.inbox:
            if connection.state is not _OPEN:
                _refuse_to_receive(channel)
            if not (connection.holds_end and see_held_end(channel, link)):
                await link.wait()
    finally:
        channel.waiting -= 1


def take(channel: Channel[Any], link: Link) -> str | bytes:
    """The oldest message of an inbox that has one."""
    message = channel.take()
    if channel.full:
        if channel.make_room(link.now()):
            link.resume_reading()
        # What came to light may have to be answered, or be what others wait for.
        link.flush_soon()
        if channel.waiting:
            link.wake()
    return message


def see_held_end(channel: Channel[Any], link: Link) -> bool:
    """See what the connection has held back; whether there was anything."""
    if not channel.pump():
        return False
    link.flush_soon()
    link.wake()  # the others who wait may have waited for this
    return True


def _refuse_to_receive(channel: Channel[Any]) -> NoReturn:
    if channel.ended or channel.connection.state is State.CLOSING:
        raise channel.connection.disconnected()
    raise LocalProtocolError(
        "cannot receive while the connection is deciding; allowed now: accept, reject"
    )


def receive_event(message: str | bytes) -> dict[str, Any]:
    """A message as ASGI has it."""
    key = "text" if isinstance(message, str) else "bytes"
    return {"type": "websocket.receive", key: message}
