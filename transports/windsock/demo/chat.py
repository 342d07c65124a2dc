"""The chat's server: rooms whose members all get what one of them says.

**A member that reads slowly holds up nobody.** Were a line sent to one member after the other, the
first one whose connection is full would have all the others wait. So lines go to a member's
*outbox*, and from there to the WebSocket only as far as the member keeps up: after `WINDOW`
messages it is asked for a receipt, and gets no more until it has sent that back. What is on its way
to a member is thereby less than `Config.write_high_water`, and up to there `send` does not wait.
An outbox is bounded: when it is full its oldest message goes, and the member is told how many did.

**Messages** are JSON objects with a `type`. A member sends

    {"type": "join", "name": "Ada"}             first of all
    {"type": "say", "text": "Hello!"}
    {"type": "receipt", "receipt": "5f1c…"}     when asked for it

and gets

    {"type": "welcome", "name": "Ada", "names": ["Ada", …], "transport": "trio"}
    {"type": "joined" | "left", "name": "Bob", "time": 1767225600.0}
    {"type": "said", "name": "Bob", "text": "Hello!", "time": 1767225600.0}
    {"type": "receipt", "receipt": "5f1c…"}     please send this back
    {"type": "missed", "count": 3, "names": ["Ada", …]}
    {"type": "error", "message": "…"}           nothing else came of what it sent

What was said before comes ahead of the welcome.

**On threads** each member has one of its own. So what they share is only touched under one
lock, which is never held while a message is sent.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import deque
from typing import Any, Final

from windsock.core import App, Disconnected, Reject, Request, Response, WebSocket

from .page import load_page

MAX_NAME: Final = 24  # characters
MAX_TEXT: Final = 500  # characters
MAX_ROOMS: Final = 100
MAX_MEMBERS: Final = 50  # of one room
HISTORY: Final = 50  # lines that a room remembers
OUTBOX: Final = 100  # messages that a slow member can catch up with
WINDOW: Final = 16  # messages on their way to a member; none is larger than 6 kB

_lock: Final = threading.RLock()

_ROOM_NAME: Final = re.compile(r"[\w-]{1,32}")
# Control characters, and halves of surrogate pairs, which JSON can say but UTF-8 cannot.
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class BadInput(Exception):
    """A message that cannot be followed; the text is for the one who sent it."""


class Member:
    """One WebSocket and what is to be sent to it."""

    def __init__(self, ws: WebSocket) -> None:
        self.ws = ws
        self.name = ""
        self.room: Room | None = None
        self._outbox: deque[str] = deque()
        self._missed = 0
        self._credit = WINDOW
        self._receipt = ""
        self._receipt_due = False
        self._flushing = False

    def post(self, message: str) -> None:
        """Put a message into the outbox; `flush` sends it."""
        with _lock:
            if len(self._outbox) == OUTBOX:
                self._outbox.popleft()
                self._missed += 1
            self._outbox.append(message)

    async def flush(self) -> None:
        """Send what is in the outbox, as far as this member keeps up."""
        with _lock:
            if self._flushing:  # somebody else is at it, and takes along what was just posted
                return
            self._flushing = True
        try:
            while (message := self._next()) is not None:
                await self.ws.send(message)
        except BaseException as error:
            with _lock:
                self._flushing = False
                if not isinstance(error, Disconnected):
                    raise
                self._outbox.clear()  # the member's own task sees that, too

    def _next(self) -> str | None:
        """What to send next; None where that is all for now, and the flushing has ended."""
        with _lock:
            if self._receipt_due:
                self._receipt_due = False
                return encode("receipt", receipt=self._receipt)
            if not (self._outbox and self._credit):
                self._flushing = False
                return None
            self._credit -= 1
            if not self._credit:
                self._receipt = secrets.token_hex(8)  # not to be known without reading it
                self._receipt_due = True
            return self._outbox.popleft()

    def confirm(self, receipt: str) -> None:
        """The member has read everything up to this receipt.

        Raises:
            BadInput: it was not asked for.
        """
        if not self._receipt or receipt != self._receipt:
            raise BadInput("this receipt was not asked for")
        with _lock:
            self._receipt = ""
            self._credit = WINDOW
            if self._missed and self.room is not None:
                names = list(self.room.members)
                self._outbox.appendleft(encode("missed", count=self._missed, names=names))
                self._missed = 0


class Room:
    """Those who are here, and the last lines that were said."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._history: deque[str] = deque(maxlen=HISTORY)

    def join(self, member: Member, name: str, transport: str | None) -> list[Member]:
        """Let `member` in, under `name` or, where that is taken, one like it.

        Returns those who are to be flushed.
        """
        with _lock:
            taken = 1
            member.name = name
            while member.name in self.members:
                taken += 1
                member.name = f"{name} {taken}"
            self.members[member.name] = member
            member.room = self
            for line in self._history:
                member.post(line)
            names = list(self.members)
            member.post(encode("welcome", name=member.name, names=names, transport=transport))
            return self._post(encode("joined", name=member.name, time=time.time()))

    async def say(self, member: Member, text: str) -> None:
        """Tell all, and remember it for those to come."""
        with _lock:
            line = encode("said", name=member.name, text=text, time=time.time())
            self._history.append(line)
            told = self._post(line)
        await _flush(told)

    async def leave(self, member: Member) -> None:
        """Take `member` off the list."""
        with _lock:
            del self.members[member.name]
            told = self._post(encode("left", name=member.name, time=time.time()))
        await _flush(told)

    def _post(self, line: str) -> list[Member]:
        """Post a line to all, who are to be flushed next."""
        members = list(self.members.values())
        for member in members:  # all at once, so that everybody sees the same order
            member.post(line)
        return members


async def _flush(members: list[Member]) -> None:
    for member in members:
        await member.flush()


class Chat:
    """All rooms."""

    def __init__(self, transport: str | None) -> None:
        self._transport = transport
        self._rooms: dict[str, Room] = {}

    async def serve(self, ws: WebSocket, room: str) -> None:
        """One member's conversation, from its first message to its last."""
        if not _ROOM_NAME.fullmatch(room):
            raise Reject(404, "a room's name is 1 to 32 letters, digits, _ and -")
        async with ws:
            member = Member(ws)
            try:
                async for message in ws:
                    try:
                        await self._handle(member, room, message)
                    except BadInput as error:
                        member.post(encode("error", message=str(error)))
                    await member.flush()
            finally:
                if member.room is not None:
                    await member.room.leave(member)

    async def _handle(self, member: Member, room_name: str, message: str | bytes) -> None:
        """Do what a message says, or raise BadInput."""
        match decode(message), member.room:
            case {"type": "join", "name": str(name)}, None:
                name = check_text("a name", name, MAX_NAME)
                with _lock:  # in which nobody else takes the last place
                    told = self._enter(room_name).join(member, name, self._transport)
                await _flush(told)
            case {"type": "join", "name": str()}, _:
                raise BadInput(f"you are here already, as {member.name}")
            case {"type": "say", "text": str(text)}, Room() as room:
                await room.say(member, check_text("a message", text, MAX_TEXT))
            case {"type": "say", "text": str()}, None:
                raise BadInput("join first, with a name")
            case {"type": "receipt", "receipt": str(receipt)}, _:
                member.confirm(receipt)
            case _:
                raise BadInput(
                    'a message is {"type": "join", "name": …}, {"type": "say", "text": …} or '
                    '{"type": "receipt", "receipt": …}'
                )

    def _enter(self, name: str) -> Room:
        """The room of that name, with a place for one more."""
        room = self._rooms.get(name)
        if room is None:
            if len(self._rooms) >= MAX_ROOMS:
                empty = [other for other, room in self._rooms.items() if not room.members]
                if not empty:
                    raise BadInput("there are too many rooms; join one that exists")
                del self._rooms[empty[0]]
            room = self._rooms[name] = Room()
        if len(room.members) >= MAX_MEMBERS:
            raise BadInput("this room is full")
        return room


def encode(kind: str, **fields: Any) -> str:
    """A message to members."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))


def decode(message: str | bytes) -> Any:
    """What a member sent.

    Raises:
        BadInput: it is not JSON.
    """
    try:
        return json.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadInput("that is not JSON") from error


def check_text(what: str, text: str, limit: int) -> str:
    """`text` without the blanks around it.

    Raises:
        BadInput: nothing is left of it, it is too long, or it holds what cannot be shown.
    """
    text = text.strip()
    if not text:
        raise BadInput(f"{what} must not be empty")
    if len(text) > limit:
        raise BadInput(f"{what} has at most {limit} characters, not {len(text)}")
    if _FORBIDDEN.search(text):
        raise BadInput(f"{what} must not hold control characters")
    return text


def make_app(transport: str | None = None) -> App:
    """The chat as an App: the page at `/`, the rooms' WebSockets at `/chat/{room}`.

    Args:
        transport: the name of what it is going to be served on; the page shows it.
    """
    app = App()
    chat = Chat(transport)
    page = load_page()

    @app.http("/")
    async def index(request: Request) -> Response:
        return page

    @app.websocket("/chat/{room}")
    async def member(ws: WebSocket, room: str) -> None:
        await chat.serve(ws, room)

    return app
