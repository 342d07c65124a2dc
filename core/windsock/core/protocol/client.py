"""The client's side of a connection: its opening handshake, and the server's answer."""

from __future__ import annotations

from collections.abc import Iterable

from . import close_codes
from .checked import Checked
from .config import Config
from .connection import Connection
from .events import Opened, Refused
from .frames import Role
from .headers import HeaderFields, Headers
from .http import ClientHandshake
from .state import CLIENT, Input, State


class ClientConnection(Connection):
    """The client's side: its opening handshake is the first thing it has to send."""

    __slots__ = ("_handshake", "request")

    def __init__(
        self,
        host: Checked[str],
        target: Checked[str] = "/",
        *,
        subprotocols: Iterable[str] = (),
        headers: HeaderFields = (),
        config: Config | None = None,
        now: float,
    ) -> None:
        """`host` is the value of the Host field, `target` the path with its query.

        Raises:
            LocalProtocolError: something in it cannot be sent.
        """
        super().__init__(Role.CLIENT, CLIENT, State.AWAITING_RESPONSE, config or Config(), now)
        handshake = ClientHandshake(self._config, host, target, subprotocols, headers)
        self._handshake: ClientHandshake | None = handshake
        self.request = handshake.request
        """The opening handshake as it is sent."""
        self._queue(handshake.send_request())

    def _feed_handshake(self, data: bytes) -> None:
        if self._handshake is not None:
            self._handshake.feed(data)

    def _advance_handshake(self) -> bool:
        assert self._handshake is not None
        found = self._handshake.next()
        if found is None:
            return False
        self._handshake = None
        if isinstance(found, Refused):
            self._refused(Input.REFUSAL, found)
        else:
            answer, headers, trailing = found
            self._advance(Input.SWITCHING_PROTOCOLS)
            self.subprotocol = answer.subprotocol
            self._open(answer.deflate, trailing)
            self._events.append(Opened(answer.subprotocol, headers))
        return True

    def _refused(self, cause: Input, refused: Refused) -> None:
        self._advance(cause)
        self._events.append(refused)
        self._finish(close_codes.ABNORMAL, "", clean=False, by_peer=False)

    def _handshake_timed_out(self) -> None:
        message = f"no answer within {self._config.open_timeout:g} s"
        self._refused(Input.TIMEOUT, Refused(message, None, Headers(), b""))
