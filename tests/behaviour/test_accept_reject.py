"""The application's decision: accept, reject, or neither."""

from __future__ import annotations

import logging

import pytest

from windsock.core import App, Disconnected, LocalProtocolError, Reject, Response, WebSocket

from .exceptions import Deviation
from .log import Log
from .peer import Close, frame
from .sites import Site, WireSite, echo
from .sync import Gate, Observed, overdue_after


@pytest.mark.behaviour("undecided")
def test_a_handler_that_decides_nothing_is_a_403_and_a_warning(site: Site, log: Log) -> None:
    async def handler(ws: WebSocket) -> None:
        pass

    with site.knock(handler, "/undecided") as peer:
        assert peer.answer.status == 403
    record = log.take(logging.WARNING, "returned without accept or reject")
    assert "/undecided" in record.getMessage()


@pytest.mark.behaviour("raise-before-accept")
def test_raising_before_accept_is_a_500_with_a_traceback(
    site: Site, log: Log, deviation: Deviation | None
) -> None:
    error = RuntimeError("before accept")

    async def handler(ws: WebSocket) -> None:
        raise error

    with site.knock(handler) as peer:
        assert peer.answer.status == 500
    log.take_failure(error)
    site.assert_lives()


@pytest.mark.behaviour("raise-reject")
def test_raising_reject_before_accept_is_its_response(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        raise Reject(Response("come back later", 503, [("Retry-After", "7")]))

    with site.knock(handler) as peer:
        assert peer.answer.status == 503
        assert peer.answer.headers["retry-after"] == "7"
        assert peer.answer.body == b"come back later"


@pytest.mark.behaviour("raise-reject")
def test_raising_a_reject_that_cannot_be_sent_is_a_500(site: Site, log: Log) -> None:
    async def handler(ws: WebSocket) -> None:
        raise Reject(Response("x", 403, [("X-Split", "a\r\nX-Injected: 1")]))

    with site.knock(handler) as peer:
        assert peer.answer.status == 500
        assert "x-injected" not in peer.answer.headers
    assert "X-Split" in log.take_any_failure()
    site.assert_lives()


@pytest.mark.behaviour("close-before-accept")
def test_close_before_accept_is_a_403(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close()

    with site.knock(handler) as peer:
        assert peer.answer.status == 403


@pytest.mark.behaviour("reject")
def test_reject_is_a_403_by_default(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject()

    with site.knock(handler) as peer:
        assert peer.answer.status == 403
        assert peer.answer.body == b""


@pytest.mark.behaviour("reject")
def test_reject_with_status_headers_and_body(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(429, [("X-Reason", "too eager"), ("Content-Type", "text/x-test")], "nope")

    with site.knock(handler) as peer:
        assert peer.answer.status == 429
        assert peer.answer.headers["x-reason"] == "too eager"
        assert peer.answer.headers["content-type"] == "text/x-test"
        assert peer.answer.body == b"nope"


@pytest.mark.behaviour("reject")
def test_reject_with_a_response(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.reject(Response.json({"error": "nope"}, 402))

    with site.knock(handler) as peer:
        assert peer.answer.status == 402
        assert peer.answer.headers["content-type"] == "application/json"
        assert peer.answer.body == b'{"error": "nope"}'


@pytest.mark.behaviour("wrong-order")
def test_what_is_not_allowed_before_accept_says_so(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        for attempt in (ws.receive, lambda: ws.send("early"), ws.ping):
            with pytest.raises(LocalProtocolError, match=r"while the connection is deciding"):
                await attempt()
        seen.put("refused")
        await echo(ws)

    with site.connect(handler) as peer:
        assert seen.get() == "refused"
        peer.send("unharmed")
        assert peer.receive() == "unharmed"


@pytest.mark.behaviour("wrong-order")
def test_a_second_accept_and_a_late_reject_say_that_it_is_open(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        for attempt in (ws.accept, ws.reject):
            with pytest.raises(LocalProtocolError, match=r"while the connection is open"):
                await attempt()
        seen.put("refused")
        await echo(ws)

    with site.connect(handler) as peer:
        assert seen.get() == "refused"
        peer.send("unharmed")
        assert peer.receive() == "unharmed"


@pytest.mark.behaviour("wrong-order")
def test_nothing_is_allowed_after_reject(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        await ws.reject()
        for attempt in (ws.accept, ws.reject, ws.receive, lambda: ws.send("late")):
            with pytest.raises((LocalProtocolError, Disconnected)):
                await attempt()
        await ws.close()
        seen.put("refused")

    with site.knock(handler) as peer:
        assert peer.answer.status == 403
        assert seen.get() == "refused"


@pytest.mark.behaviour("subprotocol")
def test_the_chosen_subprotocol_is_on_the_101(site: Site) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put((ws.request.subprotocols, ws.subprotocol))
        await ws.accept("two")
        seen.put(ws.subprotocol)

    with site.connect(handler, subprotocols=("one", "two")) as peer:
        assert peer.answer.headers.get_all("sec-websocket-protocol") == ["two"]
        assert seen.take(2) == [(("one", "two"), None), "two"]


@pytest.mark.behaviour("subprotocol")
def test_no_subprotocol_unless_one_is_chosen(site: Site) -> None:
    with site.connect(echo, subprotocols=("one", "two")) as peer:
        assert "sec-websocket-protocol" not in peer.answer.headers


@pytest.mark.behaviour("subprotocol")
def test_a_subprotocol_that_was_not_offered_is_refused_and_nothing_is_decided(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError, match=r"'three' was not offered"):
            await ws.accept("three")
        await ws.accept("one")

    with site.connect(handler, subprotocols=("one", "two")) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "one"


@pytest.mark.behaviour("accept-headers")
def test_accept_headers_are_on_the_101(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept(headers=[("X-Served-By", "windsock"), ("Set-Cookie", "a=1")])

    with site.connect(handler) as peer:
        assert peer.answer.headers["x-served-by"] == "windsock"
        assert peer.answer.headers["set-cookie"] == "a=1"


@pytest.mark.behaviour("accept-headers")
@pytest.mark.parametrize(
    "header",
    [
        ("X-Split", "a\r\nX-Injected: 1"),
        ("X-Null", "a\0b"),
        ("X Space", "a"),
        ("X-Colon:", "a"),
        ("Sec-WebSocket-Accept", "mine"),
        ("Connection", "close"),
    ],
    ids=lambda header: header[0],
)
def test_headers_that_cannot_be_sent_are_refused_and_nothing_is_decided(
    site: Site, header: tuple[str, str]
) -> None:
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(LocalProtocolError):
            await ws.accept(headers=[header])
        if header[0] != "Sec-WebSocket-Accept":  # an HTTP response may have it
            with pytest.raises(LocalProtocolError):
                await ws.reject(403, [header])
        await ws.accept(headers=[("X-Fine", "1")])

    with site.connect(handler) as peer:
        assert peer.answer.headers["x-fine"] == "1"
        assert "x-injected" not in peer.answer.headers


@pytest.mark.behaviour("gone-before-accept")
def test_a_client_that_leaves_before_accept_is_noticed(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    seen = Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put("asked")
        with overdue_after(10):
            await ws.wait_closed()
        with pytest.raises(Disconnected) as caught:
            await ws.accept()
        seen.put(caught.value.code)

    peer = wire_site.dial()
    with peer:
        peer.send_raw(wire_site.request(handler))
        assert seen.get() == "asked"
        peer.abort()
    assert seen.get() == 1006


@pytest.mark.behaviour("early-data")
def test_what_came_with_the_handshake_is_not_lost(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    early = frame(1, b"with the handshake") + frame(2, b"and more")
    with wire_site.dial() as peer:
        peer.open(wire_site.request(echo) + early)
        if deviation:
            assert peer.answer.status == deviation.expect
        else:
            assert peer.answer.status == 101
            assert peer.take(2) == ["with the handshake", b"and more"]
        if peer.answer.status == 101:
            peer.send("later")
            assert peer.receive() == "later"


@pytest.mark.behaviour("data-before-accept")
def test_what_comes_before_the_decision_is_not_lost(
    wire_site: WireSite, deviation: Deviation | None
) -> None:
    gate, seen = Gate(), Observed()

    async def handler(ws: WebSocket) -> None:
        seen.put("asked")
        await gate.wait()
        await echo(ws)

    with wire_site.dial() as peer:
        peer.send_raw(wire_site.request(handler))
        assert seen.get() == "asked"
        peer.send_raw(frame(1, b"before the decision"))
        if deviation:
            assert peer.read_answer().status == deviation.expect
            gate.open()
            return
        gate.open()
        peer.open(b"")
        assert peer.receive() == "before the decision"


@pytest.mark.behaviour("return-after-accept")
def test_returning_after_accept_closes_1000(site: Site) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.accept()

    with site.connect(handler) as peer:
        assert peer.receive() == Close(1000)


@pytest.mark.behaviour("raise-after-accept")
def test_raising_after_accept_closes_1011_with_a_traceback(site: Site, log: Log) -> None:
    error = RuntimeError("after accept")

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise error

    with site.connect(echo) as neighbour:
        with site.connect(handler) as peer:
            assert peer.receive() == Close(1011)
        log.take_failure(error)
        neighbour.send("unharmed")
        assert neighbour.receive() == "unharmed"
    site.assert_lives()


@pytest.mark.behaviour("raise-after-accept")
def test_raising_reject_after_accept_closes_1011(site: Site, log: Log) -> None:
    error = Reject(404)

    async def handler(ws: WebSocket) -> None:
        await ws.accept()
        raise error

    with site.connect(handler) as peer:
        assert peer.receive() == Close(1011)
    log.take_failure(error)


@pytest.mark.behaviour("routes")
def test_no_route_is_a_404(site: Site) -> None:
    with site.knock(App(), "/nowhere") as peer:
        assert peer.answer.status == 404
