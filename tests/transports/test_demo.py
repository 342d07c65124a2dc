"""The chat demo: its page, its rooms, and that a member who does not read holds up nobody."""

from __future__ import annotations

import json
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from windsock.core import WebSocket
from windsock.demo import chat

TRANSPORTS = ["trio", "asyncio", "threads"]
DEADLINE = 20.0  # seconds for anything that is waited for

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def demo(transport: str, *args: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running `windsock demo` and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "windsock", "demo", "--transport", transport, *args],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
        assert ready
        yield process.stdout.readline().strip().rpartition(": ")[2], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module", params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def url(transport: str) -> Iterator[str]:
    with demo(transport, "--port", "0") as (url, _):
        yield url


class Client:
    """A member of a room, as the page is one: it answers each request for a receipt."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    def send(self, **message: Any) -> None:
        self.ws.send(json.dumps(message))

    def say(self, text: str) -> None:
        self.send(type="say", text=text)

    def receive(self) -> dict[str, Any]:
        """The next message but a request for a receipt."""
        while True:
            message: dict[str, Any] = json.loads(self.ws.recv(DEADLINE))
            if message["type"] != "receipt":
                return message
            self.send(**message)

    def wait_for(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Skips what comes before."""
        while True:
            message = self.receive()
            if message["type"] == kind and fields.items() <= message.items():
                return message

    def error(self) -> str:
        message = self.receive()
        assert message["type"] == "error", message
        text: str = message["message"]
        return text


@contextmanager
def member_of(url: str, room: str, name: str | None = None, **options: Any) -> Iterator[Client]:
    address = f"{url.replace('http', 'ws', 1)}/chat/{room}"
    with connect(address, max_queue=None, **options) as ws:
        client = Client(ws)
        if name is not None:
            client.send(type="join", name=name)
        yield client


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room of the test's own."""
    return re.sub(r"\W", "-", request.node.name)[-32:]


# The page


class Links(HTMLParser):
    """Everything that a page would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v or "" for k, v in attrs if k in {"href", "src", "srcset", "action"}]


def test_page_is_self_contained(url: str) -> None:
    with urlopen(url, timeout=DEADLINE) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = response.headers["Content-Security-Policy"]
        html = response.read().decode()
    links = Links()
    links.feed(html)
    assert all(link.startswith("data:") for link in links.found), links.found
    assert "@import" not in html
    assert "url(" not in html
    # The only address in it is no address: the name of SVG's vocabulary.
    assert set(re.findall(r"https?://[^'\" ]*", html)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[^']+';", policy)
    assert re.search(r"style-src 'sha256-[^']+';", policy)


def test_page_puts_nothing_into_itself_as_html() -> None:
    html = Path(chat.__file__).with_name("chat.html").read_text(encoding="utf-8")
    for hole in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert hole not in html


# The rooms


def test_two_chat(url: str, transport: str, room: str) -> None:
    with member_of(url, room, "Ada") as ada:
        assert ada.receive() == {
            "type": "welcome",
            "name": "Ada",
            "names": ["Ada"],
            "transport": transport,
        }
        assert ada.receive()["type"] == "joined"
        with member_of(url, room, " Bob ") as bob:
            assert bob.wait_for("welcome")["names"] == ["Ada", "Bob"]
            joined = ada.receive()
            assert (joined["type"], joined["name"]) == ("joined", "Bob")
            assert abs(joined["time"] - time.time()) < DEADLINE
            ada.say("Hello, Bob!")
            for member in (ada, bob):
                said = member.wait_for("said")
                assert (said["name"], said["text"]) == ("Ada", "Hello, Bob!")
        assert ada.wait_for("left")["name"] == "Bob"


def test_rooms_are_apart(url: str, room: str) -> None:
    with member_of(url, room, "Ada") as ada, member_of(url, f"{room[:-1]}_", "Bob") as bob:
        bob.wait_for("joined")
        bob.say("anybody?")
        bob.wait_for("said")
        ada.wait_for("joined", name="Ada")
        ada.say("nobody")
        assert ada.receive()["text"] == "nobody"


def test_names_are_made_distinct(url: str, room: str) -> None:
    with member_of(url, room, "Ada") as one, member_of(url, room, "Ada") as two:
        assert {one.wait_for("welcome")["name"], two.wait_for("welcome")["name"]} == {
            "Ada",
            "Ada 2",
        }


def test_history_is_bounded_and_comes_first(url: str, room: str) -> None:
    with member_of(url, room, "Ada") as ada:
        for number in range(chat.HISTORY + 10):
            ada.say(str(number))
        ada.wait_for("said", text=str(chat.HISTORY + 9))
    with member_of(url, room, "Bob") as bob:
        lines = [bob.receive() for _ in range(chat.HISTORY)]
        assert [line["text"] for line in lines] == [str(n + 10) for n in range(chat.HISTORY)]
        assert bob.receive()["type"] == "welcome"


@pytest.mark.parametrize("text", ["<b>&amp;</b>", "\"\\'", "👩‍💻 مرحبا", "a\u2028b"])
def test_text_goes_through_unchanged(url: str, room: str, text: str) -> None:
    with member_of(url, room, text) as ada:
        ada.say(text)
        assert ada.wait_for("said").items() >= {"name": text, "text": text}.items()


BAD = [
    ("not json", "that is not JSON"),
    (b"\xff\xfe\xfd", "that is not JSON"),
    ("[" * 50_000, "that is not JSON"),
    ("1" * 5_000, "that is not JSON"),
    ("", "that is not JSON"),
    ("null", "a message is {"),
    ("[]", "a message is {"),
    ("{}", "a message is {"),
    ('{"type": "shout", "text": "x"}', "a message is {"),
    ('{"type": "say", "text": 1}', "a message is {"),
    ('{"type": "say"}', "a message is {"),
    ('{"type": "say", "text": " \\t "}', "a message must not be empty"),
    ('{"type": "say", "text": "a\\u0007b"}', "a message must not hold control characters"),
    ('{"type": "say", "text": "\\ud800"}', "a message must not hold control characters"),
    (json.dumps({"type": "say", "text": "x" * 501}), "a message has at most 500 characters"),
    ('{"type": "join", "name": "Eve"}', "you are here already, as Ada"),
    ('{"type": "receipt", "receipt": ""}', "this receipt was not asked for"),
    ('{"type": "receipt", "receipt": "x"}', "this receipt was not asked for"),
]


@pytest.mark.parametrize(("message", "expected"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_bad_input_is_explained_and_loses_nothing(
    url: str, room: str, message: str | bytes, expected: str
) -> None:
    with member_of(url, room, "Ada") as ada:
        ada.wait_for("joined")
        ada.say("before")
        ada.ws.send(message)
        ada.say("after")
        assert ada.receive()["text"] == "before"
        assert ada.error().startswith(expected)
        assert ada.receive()["text"] == "after"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "a name must not be empty"),
        ("x" * 25, "a name has at most 24 characters, not 25"),
        ("a\nb", "a name must not hold control characters"),
    ],
)
def test_bad_names(url: str, room: str, name: str, expected: str) -> None:
    with member_of(url, room, name) as ada:
        assert ada.error() == expected
        ada.say("hello")
        assert ada.error() == "join first, with a name"
        ada.send(type="join", name="Ada")
        assert ada.receive()["type"] == "welcome"


@pytest.mark.parametrize("name", ["a%20b", "x" * 33, "a%2Fb", "..."])
def test_bad_rooms(url: str, name: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        with member_of(url, name):
            pass
    assert refused.value.response.status_code == 404


def test_a_room_can_be_full(url: str, room: str) -> None:
    with ExitStack() as stack:
        for n in range(chat.MAX_MEMBERS):
            member = stack.enter_context(member_of(url, room, f"Ada {n}"))
            member.wait_for("welcome", name=f"Ada {n}")
        with member_of(url, room, "Bob") as bob:
            assert bob.error() == "this room is full"


class Stuck(WebSocket):
    """Stands in for a WebSocket whose peer takes nothing: its `send` must not be used too often."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, data: Any) -> None:
        self.sent.append(data)


def run(coroutine: Any) -> Any:
    """Run a coroutine that has nothing to wait for."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def test_rooms_are_bounded_and_the_empty_ones_make_way() -> None:
    everything = chat.Chat("trio")
    members = []
    for n in range(chat.MAX_ROOMS):
        member = chat.Member(Stuck())
        run(everything._handle(member, f"room{n}", '{"type": "join", "name": "Ada"}'))
        members.append(member)
    late = chat.Member(Stuck())
    with pytest.raises(chat.BadInput, match="too many rooms"):
        everything._enter("one-more")
    left = members[7].room
    assert left is not None
    run(left.leave(members[7]))
    run(everything._handle(late, "one-more", '{"type": "join", "name": "Bob"}'))
    assert late.room is everything._rooms["one-more"]
    assert "room7" not in everything._rooms
    assert len(everything._rooms) == chat.MAX_ROOMS


# Members that do not keep up


def test_what_is_kept_for_a_slow_member_is_bounded() -> None:
    room = chat.Room()
    slow, quick = chat.Member(Stuck()), chat.Member(Stuck())
    for member in (slow, quick):
        for told in room.join(member, "Ada", None):
            run(told.flush())
    sent: list[str] = slow.ws.sent  # type: ignore[attr-defined]
    for n in range(1000):
        run(room.say(quick, str(n)))
    assert len(sent) == chat.WINDOW + 1  # and a request for a receipt
    assert max(map(len, sent)) * len(sent) < 64 * 1024
    assert len(slow._outbox) == chat.OUTBOX
    with pytest.raises(chat.BadInput):
        slow.confirm("guessed")
    receipt = json.loads(sent[-1])
    assert receipt["type"] == "receipt"
    sent.clear()
    slow.confirm(receipt["receipt"])
    run(slow.flush())
    missed = json.loads(sent[0])
    assert missed["type"] == "missed"
    assert missed["names"] == ["Ada", "Ada 2"]
    # Two `joined` and its welcome came before, all but WINDOW of the rest was kept or counted.
    assert missed["count"] == 1000 + 3 - chat.WINDOW - chat.OUTBOX
    assert json.loads(sent[1])["text"] == str(1000 - chat.OUTBOX)


@contextmanager
def deaf_member_of(url: str, room: str, *messages: str) -> Iterator[None]:
    """A client that reads nothing after the opening handshake, whatever it sent."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(DEADLINE)
        sock.connect((host, int(port)))
        sock.sendall(
            f"GET /chat/{room} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        for message in messages:
            payload = message.encode()
            assert len(payload) < 126
            # A whole text frame, masked with zeros (RFC 6455 §5.2).
            sock.sendall(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        yield


JOIN_AS_SLOW = json.dumps({"type": "join", "name": "Slow"})


def talk(bob: Client, lines: int) -> None:
    """Says so much that no buffer could take it all, and hears every line."""
    text = "x" * (chat.MAX_TEXT - 10)
    for n in range(lines):
        bob.say(f"{n} {text}")
        assert bob.wait_for("said")["text"].startswith(f"{n} ")


def test_a_member_that_confirms_nothing_holds_up_nobody(url: str, room: str) -> None:
    with member_of(url, room, "Slow"), member_of(url, room, "Bob") as bob:
        talk(bob, 1000)


@pytest.mark.parametrize("junk", [0, 2000])
def test_a_member_that_reads_nothing_holds_up_nobody(url: str, room: str, junk: int) -> None:
    with member_of(url, room, "Bob") as bob:
        with deaf_member_of(url, room, JOIN_AS_SLOW, *["junk"] * junk):
            bob.wait_for("joined", name="Slow")
            talk(bob, 3000)
        bob.wait_for("left", name="Slow")


def test_a_slow_member_catches_up(url: str, room: str) -> None:
    with member_of(url, room, "Slow") as slow, member_of(url, room, "Bob") as bob:
        bob.wait_for("joined", name="Bob")
        for n in range(500):
            bob.say(str(n))
        bob.wait_for("said", text="499")
        got: list[int] = []
        missed = 0
        while not got or got[-1] != 499:
            message = slow.receive()
            if message["type"] == "said":
                got.append(int(message["text"]))
            elif message["type"] == "missed":
                missed += message["count"]
        assert got == sorted(set(got))
        assert missed + len(got) in range(500, 503)  # a `joined` may be among what is missing


def test_members_that_vanish_are_taken_off_the_list(url: str, room: str) -> None:
    with member_of(url, room, "Ada") as ada:
        with member_of(url, room, "Bob") as bob:
            ada.wait_for("joined", name="Bob")
            bob.ws.socket.shutdown(socket.SHUT_RDWR)
            ada.wait_for("left", name="Bob")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shutdown_says_goodbye(transport: str, number: signal.Signals) -> None:
    with demo(transport, "--port", "0") as (url, process):
        with member_of(url, "lobby", "Ada") as ada, member_of(url, "lobby", "Bob") as bob:
            ada.wait_for("joined", name="Bob")
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
            for member in (ada, bob):
                with pytest.raises(ConnectionClosed):
                    member.wait_for("nothing more")
                assert member.ws.close_code == 1001


# In a browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

# Resolves as soon as the condition holds, and looks again whenever the page changes.
WHEN = """
new Promise((resolve) => {
  const look = () => { if (%s) { resolve(document.body.innerText); return true; } };
  if (!look()) {
    const observer = new MutationObserver(() => { if (look()) observer.disconnect(); });
    observer.observe(document, {subtree: true, childList: true, attributes: true,
                                characterData: true});
  }
})
"""


class Browser:
    """One page in Chromium, driven over its debugging protocol."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws
        self._id = 0
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self._ws.send(json.dumps({"id": self._id, "method": method, "params": params}))
        return self._wait(lambda message: message.get("id") == self._id)

    def _wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._ws.recv(DEADLINE))
            entry = message.get("params", {}).get("entry", {})
            if message.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error":
                self.problems.append(json.dumps(message))
            if wanted(message):
                return message

    def open(self, url: str) -> None:
        self.command("Page.navigate", url=url)
        self._wait(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")

    def when(self, condition: str) -> str:
        """The page's text, once a condition in JavaScript holds."""
        text: str = self.evaluate(WHEN % condition)
        return text


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    watchdog = threading.Timer(2 * DEADLINE, process.kill)
    watchdog.start()
    try:
        port = None
        for line in process.stderr:
            if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
                port = found.group(1)
                break
        assert port is not None, "Chromium did not start"
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=DEADLINE) as response:
            [page] = [target for target in json.load(response) if target["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None) as ws:
            yield Browser(ws)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


def test_the_page_chats_in_a_browser(browser: Browser, transport: str) -> None:
    with demo(transport, "--port", "0") as (url, process):
        port = url.rpartition(":")[2]
        with member_of(url, "lobby", "Ada") as ada:
            browser.open(f"{url}/?room=lobby&name=Eve")
            browser.when("document.querySelector('#state').textContent === 'Connected'")
            ada.wait_for("joined", name="Eve")
            ada.say("<b>Hello</b>, browser!")
            text = browser.when("document.querySelectorAll('.said').length === 1")
            assert "<b>Hello</b>, browser!" in text
            assert f"on {transport}" in text
            assert "2 here" in text
            assert browser.evaluate("document.querySelectorAll('.text *').length") == 0
            browser.evaluate(
                "document.querySelector('#text').value = 'Hello, Ada!';"
                "document.querySelector('#say').requestSubmit();"
            )
            assert ada.wait_for("said", name="Eve")["text"] == "Hello, Ada!"
            for n in range(60):  # more than the server sends without a receipt
                ada.say(f"line {n}")
            browser.when("document.querySelector('#lines').innerText.includes('line 59')")
        assert browser.problems == []
        process.terminate()
        assert process.wait(DEADLINE) == 0
        browser.when("document.querySelector('#state').dataset.state === 'waiting'")
    with demo(transport, "--port", port):
        browser.when("document.querySelector('#state').textContent === 'Connected'")
