"""The four styles of handlers, each doing the same things."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from windsock.core import (
    FourArgumentsWebSocket,
    Response,
    WebSocket,
    WebSocketRequest,
    four_arguments,
    generator_handler,
    ws_accept,
    ws_close,
    ws_send,
)

from .sync import Observed

Handler = Callable[..., Any]


class Style(ABC):
    """One style; a method gives a handler that does what its name says."""

    rejects_with_response = True
    """Whether it can reject with a response of its own."""

    @abstractmethod
    def echo(self) -> Handler:
        """Accepts, and sends everything back, after the values of the path if there are any."""

    @abstractmethod
    def decide_nothing(self) -> Handler | None:
        """Returns at once; None where the style accepts by itself."""

    @abstractmethod
    def raise_first(self, error: Exception) -> Handler:
        """Raises before it accepts."""

    @abstractmethod
    def raise_later(self, error: Exception) -> Handler:
        """Accepts, sends "open", and raises."""

    @abstractmethod
    def return_later(self) -> Handler:
        """Accepts, sends "open", and returns."""

    @abstractmethod
    def reject(self, response: Response) -> Handler:
        """Rejects, with the response if it can."""

    @abstractmethod
    def close(self, code: int) -> Handler:
        """Accepts, sends "open", and closes."""

    @abstractmethod
    def accept_with(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> Handler:
        """Accepts with these, and waits for the peer to leave."""

    @abstractmethod
    def report_end(self, seen: Observed) -> Handler:
        """Accepts, receives until the peer leaves, and reports the close code."""


class Coroutine(Style):
    def echo(self) -> Handler:
        async def handler(ws: WebSocket, **values: Any) -> None:
            async with ws:
                async for message in ws:
                    await ws.send(_with(values, message))

        return handler

    def decide_nothing(self) -> Handler:
        async def handler(ws: WebSocket) -> None:
            pass

        return handler

    def raise_first(self, error: Exception) -> Handler:
        async def handler(ws: WebSocket) -> None:
            raise error

        return handler

    def raise_later(self, error: Exception) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("open")
            raise error

        return handler

    def return_later(self) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("open")

        return handler

    def reject(self, response: Response) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.reject(response)

        return handler

    def close(self, code: int) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send("open")
            await ws.close(code)

        return handler

    def accept_with(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.accept(subprotocol, headers)
            await ws.receive(default=None)

        return handler

    def report_end(self, seen: Observed) -> Handler:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            while await ws.receive(default=None) is not None:
                pass
            seen.put(ws.code)

        return handler


class Generator(Style):
    rejects_with_response = False

    def echo(self) -> Handler:
        async def handler(
            scope: dict[str, Any], receiver: AsyncGenerator[str | bytes, None], *values: str
        ) -> AsyncGenerator[dict[str, Any], None]:
            async for message in receiver:
                yield ws_send(_with(dict(enumerate(values)), message))

        return handler

    def decide_nothing(self) -> None:
        return None

    def raise_first(self, error: Exception) -> Handler:
        async def on_connect(scope: dict[str, Any]) -> None:
            raise error

        return generator_handler(on_connect=on_connect)(self.echo())

    def raise_later(self, error: Exception) -> Handler:
        async def handler(scope: Any, receiver: Any) -> AsyncGenerator[dict[str, Any], None]:
            yield ws_send("open")
            raise error

        return handler

    def return_later(self) -> Handler:
        @generator_handler
        async def handler(scope: Any, receiver: Any) -> dict[str, Any]:
            return ws_send("open")

        return handler

    def reject(self, response: Response) -> Handler:
        async def on_connect(scope: dict[str, Any]) -> dict[str, Any]:
            return ws_close()

        return generator_handler(on_connect=on_connect)(self.echo())

    def close(self, code: int) -> Handler:
        async def handler(scope: Any, receiver: Any) -> AsyncGenerator[dict[str, Any], None]:
            yield ws_send("open")
            yield ws_close(code)
            yield ws_send("never")

        return handler

    def accept_with(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> Handler:
        async def on_connect(scope: dict[str, Any]) -> dict[str, Any]:
            return ws_accept(subprotocol, headers)

        return generator_handler(on_connect=on_connect)(self.echo())

    def report_end(self, seen: Observed) -> Handler:
        async def on_close(scope: dict[str, Any], code: int) -> None:
            seen.put(code)

        return generator_handler(on_close=on_close)(self.echo())


class PlainFunction(Style):
    def echo(self) -> Handler:
        def handler(request: WebSocketRequest, **values: Any) -> None:
            with request.accept() as websocket:
                for message in websocket:
                    websocket.send(_with(values, message))

        return handler

    def decide_nothing(self) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            pass

        return handler

    def raise_first(self, error: Exception) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            raise error

        return handler

    def raise_later(self, error: Exception) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            request.accept().send("open")
            raise error

        return handler

    def return_later(self) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            request.accept().send("open")

        return handler

    def reject(self, response: Response) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            request.reject(response)
            assert request.is_rejected()

        return handler

    def close(self, code: int) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            websocket = request.accept()
            websocket.send("open")
            websocket.close(code)

        return handler

    def accept_with(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            request.accept(subprotocol, headers).receive(default=None)

        return handler

    def report_end(self, seen: Observed) -> Handler:
        def handler(request: WebSocketRequest) -> None:
            websocket = request.accept()
            while websocket.receive(default=None) is not None:
                pass
            seen.put(websocket.code)

        return handler


class FourArguments(Style):
    rejects_with_response = False

    def echo(self) -> Handler:
        @four_arguments
        async def handler(
            scope: Any, info: Any, matches: dict[str, Any], web_socket: FourArgumentsWebSocket
        ) -> None:
            await web_socket.accept()
            while (message := await web_socket.receive()) is not None:
                await web_socket.send(_with(matches, message))

        return handler

    def decide_nothing(self) -> Handler:
        @four_arguments
        async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
            pass

        return handler

    def raise_first(self, error: Exception) -> Handler:
        @four_arguments
        async def handler(scope: Any, info: Any, matches: Any, web_socket: Any) -> None:
            raise error

        return handler

    def raise_later(self, error: Exception) -> Handler:
        @four_arguments
        async def handler(
            scope: Any, info: Any, matches: Any, web_socket: FourArgumentsWebSocket
        ) -> None:
            await web_socket.accept()
            await web_socket.send("open")
            raise error

        return handler

    def return_later(self) -> Handler:
        @four_arguments
        async def handler(
            scope: Any, info: Any, matches: Any, web_socket: FourArgumentsWebSocket
        ) -> None:
            await web_socket.accept()
            await web_socket.send("open")

        return handler

    def reject(self, response: Response) -> Handler:
        @four_arguments
        async def handler(request: Any) -> None:
            await request.web_socket.close()

        return handler

    def close(self, code: int) -> Handler:
        @four_arguments
        async def handler(request: Any) -> None:
            await request.web_socket.accept()
            await request.web_socket.send("open")
            await request.web_socket.close(code)

        return handler

    def accept_with(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> Handler:
        fields = [(name.encode(), value.encode()) for name, value in headers]

        @four_arguments
        async def handler(
            scope: Any, info: Any, matches: Any, web_socket: FourArgumentsWebSocket
        ) -> None:
            await web_socket.accept(subprotocol, fields)
            await web_socket.receive()

        return handler

    def report_end(self, seen: Observed) -> Handler:
        @four_arguments
        async def handler(
            scope: Any, info: Any, matches: Any, web_socket: FourArgumentsWebSocket
        ) -> None:
            await web_socket.accept()
            while await web_socket.receive() is not None:
                pass
            seen.put(web_socket.code)

        return handler


def _with(values: dict[Any, Any], message: str | bytes) -> str | bytes:
    if not values:
        return message
    return f"{'/'.join(map(str, values.values()))}: {message!r}"


STYLES: Final[dict[str, Style]] = {
    "coroutine": Coroutine(),
    "generator": Generator(),
    "plain-function": PlainFunction(),
    "four-arguments": FourArguments(),
}
