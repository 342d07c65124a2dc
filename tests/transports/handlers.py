"""Handlers that many tests use."""

from __future__ import annotations

from windsock.core import WebSocket


async def echo(ws: WebSocket) -> None:
    """Send everything back."""
    async with ws:
        async for message in ws:
            await ws.send(message)


async def hold(ws: WebSocket) -> None:
    """Accept, and wait for the end."""
    await ws.accept()
    await ws.wait_closed()
