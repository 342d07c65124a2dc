"""Opening handshakes that are wrong, late, or from a page that may not: never the server's harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from windsock.core import Config, WebSocket

from .exceptions import Deviation
from .peer import frame, handshake_request
from .sites import CASE, Site, WireSite, echo
from .sync import Gate, Observed

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VALID = b"\r\n".join(
    [
        b"GET / HTTP/1.1",
        b"Host: test.example",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        KEY,
        b"Sec-WebSocket-Version: 13",
        b"",
        b"",
    ]
)


def with_line(line: bytes) -> bytes:
    return VALID.replace(b"Upgrade: websocket", b"Upgrade: websocket\r\n" + line)


MALFORMED = {
    "binary garbage": b"\x00\x01\x02\xff\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100a5010000a10303") + b"\r\n\r\n",
    "no HTTP version": VALID.replace(b" HTTP/1.1", b""),
    "a header line without colon": with_line(b"nonsense"),
    "white space in a header name": with_line(b"X Header: x"),
    "a control character in a header": with_line(b"X-Header: a\x01b"),
    "a null in a header": with_line(b"X-Header: a\0b"),
}
NOT_A_HANDSHAKE = {
    "HTTP/1.0": VALID.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "POST": VALID.replace(b"GET", b"POST"),
    "no key": VALID.replace(KEY + b"\r\n", b""),
    "a short key": VALID.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"c2hvcnQ="),
    "a key that is no base64": VALID.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"*" * 24),
    "two keys": with_line(KEY),
    "Connection without Upgrade": VALID.replace(b"Connection: Upgrade", b"Connection: close"),
    "a malformed subprotocol": with_line(b"Sec-WebSocket-Protocol: a b"),
    "a malformed extension": with_line(b"Sec-WebSocket-Extensions: =;=,"),
}
WITH_BODY = with_line(b"Content-Length: 5") + b"hello"
NOT_ASCII = {
    "Host": VALID.replace(b"test.example", b"t\xebst.example"),
    "subprotocol": with_line(b"Sec-WebSocket-Protocol: \xe4"),
    "extension": with_line(b"Sec-WebSocket-Extensions: \xe4"),
}
WRONG_VERSION = {
    "version 8": VALID.replace(b"Version: 13", b"Version: 8"),
    "no version": VALID.replace(b"Sec-WebSocket-Version: 13\r\n", b""),
}
TOO_LARGE = {
    "a head of 100 KB": with_line(b"X-Header: " + b"x" * 100_000),
    "1000 header lines": with_line(b"\r\n".join(b"X-%d: x" % n for n in range(1000))),
}


def refusal(
    site: WireSite, request: bytes, deviation: Deviation | None
) -> tuple[int | None, str | None]:
    """Status of the answer (None if there is none), and the version it names.

    The server, and a neighbour, live on. A host may wait for more where there is a deviation.
    """
    case = f"\r\n{CASE}: {site.case(must_not_run)}\r\n\r\n".encode()
    with site.connect(echo) as neighbour, site.dial() as peer:
        peer.send_raw(request.replace(b"\r\n\r\n", case, 1))
        if deviation:
            peer.hang_up()
        try:
            answer = peer.read_answer()
        except (EOFError, ConnectionError):
            status, version = None, None
        else:
            status, version = answer.status, answer.headers.get("sec-websocket-version")
        neighbour.send("unharmed")
        assert neighbour.receive() == "unharmed"
    site.assert_lives()
    return status, version


async def must_not_run(ws: WebSocket) -> None:
    """Rejects in a way that shows."""
    await ws.reject(299)


@pytest.mark.behaviour("malformed-head")
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_head_is_a_400(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    status, _ = refusal(wire_site, MALFORMED[case], deviation)
    assert status in (deviation.expect if deviation else {400})


@pytest.mark.behaviour("not-a-handshake")
@pytest.mark.parametrize("case", NOT_A_HANDSHAKE)
def test_a_handshake_that_breaks_the_rules_is_a_400(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    status, _ = refusal(wire_site, NOT_A_HANDSHAKE[case], deviation)
    assert status in (deviation.expect if deviation else {400})


@pytest.mark.behaviour("handshake-with-body")
def test_a_handshake_with_a_body_is_a_400(wire_site: WireSite, deviation: Deviation | None) -> None:
    status, _ = refusal(wire_site, WITH_BODY, deviation)
    assert status in (deviation.expect if deviation else {400})


@pytest.mark.behaviour("not-ascii")
@pytest.mark.parametrize("case", NOT_ASCII)
def test_a_handshake_with_other_than_ascii_is_a_400(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    status, _ = refusal(wire_site, NOT_ASCII[case], deviation)
    assert status in (deviation.expect if deviation else {400})


@pytest.mark.behaviour("wrong-version")
@pytest.mark.parametrize("case", WRONG_VERSION)
def test_another_version_is_a_426_that_names_ours(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    answer = refusal(wire_site, WRONG_VERSION[case], deviation)
    assert answer in (deviation.expect if deviation else {(426, "13")})


@pytest.mark.behaviour("head-too-large")
@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_head_that_is_too_large_is_a_431(
    wire_site: WireSite, case: str, deviation: Deviation | None
) -> None:
    status, _ = refusal(wire_site, TOO_LARGE[case], deviation)
    assert status in (deviation.expect if deviation else {431})


@pytest.mark.behaviour("head-cut-short")
@pytest.mark.parametrize("size", [1, 20, len(VALID) - 1])
def test_a_client_that_leaves_inside_its_head_gets_no_answer(
    wire_site: WireSite, size: int, deviation: Deviation | None
) -> None:
    with wire_site.dial() as peer:
        peer.send_raw(VALID[:size])
        peer.hang_up()
        answer = peer.read_to_the_end()
        assert answer == b"" or (deviation is not None and answer.split()[1] == deviation.expect)
    wire_site.assert_lives()


@pytest.mark.behaviour("after-refusal")
def test_nothing_is_served_after_a_refusal(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    second = handshake_request("/", [(CASE, wire_site.case(echo))])
    with wire_site.dial() as peer:
        peer.send_raw(WRONG_VERSION["version 8"] + second + frame(1, b"x"))
        assert peer.read_answer().status >= 400
        if deviation is None:
            assert b" 101 " not in peer.read_to_the_end()
    wire_site.assert_lives()


@pytest.mark.behaviour("slow-head")
def test_a_head_that_takes_too_long_is_a_408(
    start_wire: Callable[[Config], WireSite], deviation: Deviation | None
) -> None:
    with start_wire(Config(open_timeout=0.3)).dial() as peer:
        peer.send_raw(VALID[:20])
        assert peer.read_answer().status == 408
        assert peer.ended()


@pytest.mark.behaviour("slow-decision")
def test_a_decision_that_takes_too_long_is_a_503(start: Callable[[Config], Site]) -> None:
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        await gate.wait()
        seen.put(ws.closed)

    with start(Config(open_timeout=0.3)).knock(handler) as peer:
        assert peer.answer.status == 503
        gate.open()
        assert seen.get() is True


@pytest.mark.behaviour("origin")
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://{authority}", True),
        ("https://app.example", True),
        ("https://APP.example", True),
        ("http://app.example", False),
        ("https://evil.example", False),
        ("https://app.example.evil.example", False),
        ("http://{authority}.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_page_of_another_origin_is_refused_unless_listed(
    start: Callable[[Config], Site], origin: str | None, allowed: bool
) -> None:
    site = start(Config(origins=("https://app.example",)))
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put("called")
        await ws.accept()

    headers = [] if origin is None else [("Origin", origin.format(authority=site.authority))]
    with site.knock(handler, headers=headers) as peer:
        assert peer.answer.status == (101 if allowed else 403)
    assert seen.until_quiet(0) == (["called"] if allowed else [])


@pytest.mark.behaviour("origin")
def test_a_star_allows_every_origin(start: Callable[[Config], Site]) -> None:
    site = start(Config(origins=("*",)))
    with site.connect(echo, headers=[("Origin", "https://evil.example")]) as peer:
        peer.send("hello")
        assert peer.receive() == "hello"
