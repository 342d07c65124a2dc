"""The lane for opening handshakes is a shortcut, never a second opinion.

Invariant: whatever a client sends, in any chunking, a server's connection with the lane and one
without it give equal events and equal output, also for what the application answers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.helpers import (
    KEY,
    TEXT,
    feed,
    frame_from,
    head,
    in_pieces,
    parse_response,
    pull,
    request,
)
from windsock.core.protocol.config import Config, Deflate
from windsock.core.protocol.frames import Role
from windsock.core.protocol.http import ServerHandshake
from windsock.core.protocol.request_lane import read_request
from windsock.core.protocol.server import ServerConnection
from windsock.core.protocol.state import State

CONFIG = Config(max_head_size=400, max_header_count=12, compression=Deflate())
MESSAGE = frame_from(Role.CLIENT, TEXT, b"early")


def connection(lane: bool, config: Config = CONFIG) -> ServerConnection:
    server = ServerConnection(config, now=0)
    server._handshake = ServerHandshake(config, lane=lane)
    return server


def accept(server: ServerConnection) -> None:
    if server.state is State.DECIDING:
        server.accept(headers=[("X-Own", "1")], now=1)


def reject(server: ServerConnection) -> None:
    if server.state is State.DECIDING:
        server.reject(401, [("X-Own", "1")], b"who are you?", now=1)


def time_out(server: ServerConnection) -> None:
    server.handle_deadline(CONFIG.open_timeout)


ANSWERS = [accept, reject, time_out]


def outcome(
    lane: bool, chunks: list[bytes], answer: Callable[[ServerConnection], None]
) -> list[object]:
    server = connection(lane)
    seen: list[object] = []
    for event in feed(server, chunks):
        asked = getattr(event, "head", None)
        seen += [repr(event), asked and asked.headers.items_as_sent(), server.state]
    seen.append(server.data_to_send())
    answer(server)
    seen += [server.data_to_send(), server.state, server.half_close]
    for event in feed(server, [b""]):
        seen += [repr(event), server.state]
    return [*seen, server.data_to_send()]


FIELDS = [
    "Host: example.com",
    "host: h",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Connection: keep-alive, Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    f"sec-websocket-key: {KEY}",
    "Sec-WebSocket-Version: 13",
]
USUAL = [
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
]
OTHERS = [
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Protocol: chat, superchat",
    "Origin: http://example.com",
    "User-Agent: Mozilla/5.0 (X11;  Linux)",
    "Cookie: a=b; c=\xe4\x85\xa0",
    "X-Tab: a\tb",
    "X-Empty:",
    "X-Empty: ",
    "X-Tight:value",
    "X-Wide:   value  ",
    "X-Control: a\x01b",
    "X-Delete: \x7f",
    "X-Nul: \0",
    "X-Return: a\rb",
    "X-Line: a\nb: c",
    " folded: x",
    "\tfolded",
    "no colon",
    "a name: x",
    ": x",
    "X-Colon : x",
    "Content-Length: 0",
    "content-length: 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "expectation: none",
    "X: " + 300 * "x",
    "",
]
LINES = [
    "GET / HTTP/1.1",
    "GET /a%20b?c=d HTTP/1.1",
    "GET http://h/ HTTP/1.1",
    "GET / HTTP/1.0",
    "POST / HTTP/1.1",
    "get / HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET /\xe4 HTTP/1.1",
    "GET / HTTP/1.1 ",
    "\r\nGET / HTTP/1.1",
    "",
]
REQUESTS = st.builds(
    lambda line, fields, other, end, rest: (
        (
            "\r\n".join([line, *fields[: len(fields) // 2], *other, *fields[len(fields) // 2 :]])
            + end
        ).encode("latin-1")
        + rest
    ),
    st.sampled_from(LINES) | st.just(LINES[0]),
    st.permutations(USUAL) | st.lists(st.sampled_from(FIELDS), max_size=8),
    st.lists(st.sampled_from(OTHERS), max_size=4),
    st.sampled_from(["\r\n\r\n", "\r\n\r\n", "\r\n", "\n\n", ""]),
    st.sampled_from([b"", MESSAGE, MESSAGE[:3], b"\r\n", 500 * b"x"]),
)


@given(REQUESTS, st.sampled_from(ANSWERS), st.data())
def test_with_the_lane_and_without(
    data: bytes, answer: Callable[[ServerConnection], None], draw: st.DataObject
) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=3), "cuts"))
    chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
    expected = outcome(False, chunks, answer)
    assert outcome(True, chunks, answer) == expected


@given(st.binary(max_size=40), st.integers(0, len(request())), st.sampled_from(ANSWERS))
@example(b"", 0, reject)
def test_a_request_with_anything_in_it(
    junk: bytes, place: int, answer: Callable[[ServerConnection], None]
) -> None:
    data = request()[:place] + junk + request()[place:]
    for chunks in ([data], [data, MESSAGE], in_pieces(data)):
        assert outcome(True, chunks, answer) == outcome(False, chunks, answer)


BROWSER = [
    ("Host", "localhost:8765"),
    ("Connection", "Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
    ("Upgrade", "websocket"),
    ("Origin", "http://localhost:8765"),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "de-DE,de;q=0.9"),
    ("Cookie", "a=b; name=\xe4"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
]


def test_what_a_browser_sends_takes_the_lane() -> None:
    data = "".join([f"{name}: {value}\r\n" for name, value in BROWSER]).encode("latin-1")
    data = b"GET /chat?room=1 HTTP/1.1\r\n" + data + b"\r\n"
    found = read_request(data + MESSAGE, 1000)
    assert found is not None
    asked, end = found
    assert end == len(data)
    assert (asked.method, asked.target, asked.http_version) == ("GET", "/chat?room=1", "1.1")
    assert asked.headers.items_as_sent() == tuple(BROWSER)


def test_the_size_of_the_head_is_limited() -> None:
    data = request()
    assert read_request(data, len(data)) is not None
    assert read_request(data, len(data) - 1) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request()[:-1],
        request(line="HEAD / HTTP/1.1"),
        request(line="GET / HTTP/1.0"),
        request(add=[("Host", "another")]),
        request(add=[("X-Tab", "a\tb")]),
        request(add=[("Content-Length", "0")]),
        request(add=[("EXPECT", "100-continue")]),
        head("GET / HTTP/1.1", [("Host", "h")]),
        head("GET / HTTP/1.1", [("Sec-WebSocket-Key", KEY)]),
    ],
)
def test_what_is_left_to_h11(data: bytes) -> None:
    assert read_request(data, 1000) is None


def test_what_comes_before_the_answer_is_not_lost() -> None:
    for first in (b"", MESSAGE[:4], MESSAGE[:-1]):
        server = connection(True, Config())
        feed(server, [request() + first, MESSAGE[len(first) :]])
        server.accept(now=0)
        assert parse_response(server.data_to_send())[0] == 101
        assert pull(server) == ["early"]


def test_usual_names_are_kept_once() -> None:
    names = []
    for _ in range(2):
        found = read_request(request(), 1000)
        assert found is not None
        names.append([name for name, _ in found[0].headers.items_as_sent()])
    assert all(a is b for a, b in zip(*names, strict=True))
