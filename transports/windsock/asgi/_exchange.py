"""The steps of a user's receiving and sending in an ASGI host."""

from __future__ import annotations

from typing import Any, cast

from windsock.core.app.messages import Messages

from ._link import AsgiLink
from ._scope import AsgiEvent


def begin_receive(ws: Messages, _: object) -> Any:
    """What `receive` awaits."""
    if ws._receive_type is not None:  # pyright: ignore[reportPrivateUsage]  # ours
        return NotImplemented
    return link_of(ws).begin_read_for_user()


def note_receiver(ws: Messages, _: object) -> None:
    """The host has no message yet."""
    link_of(ws).note_reader()


def end_receive(
    ws: Messages, _: object, event: AsgiEvent | None, error: BaseException | None
) -> Any:
    """What `receive` returns."""
    return link_of(ws).end_read(event, error)


def begin_send(ws: Messages, data: Any) -> Any:
    """What `send` awaits."""
    if ws._send_type is not None:  # pyright: ignore[reportPrivateUsage]  # ours
        return NotImplemented
    return link_of(ws).begin_send(data)


def begin_send_untyped(ws: Messages, data: Any) -> Any:
    """What `_send` awaits."""
    return link_of(ws).begin_send(data)


def end_send(ws: Messages, _: object, __: object, error: BaseException | None) -> Any:
    """What `send` returns."""
    return link_of(ws).end_send(error)


def link_of(ws: Messages) -> AsgiLink:
    """Its transport."""
    return cast(AsgiLink, ws._link)  # pyright: ignore[reportPrivateUsage]  # ours
