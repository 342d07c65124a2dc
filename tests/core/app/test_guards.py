"""Guards: who is let in."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.app.conftest import MakeWorld
from tests.core.app.link import CLIENT, World
from tests.core.app.serving import answer, open_by_hand, serve, status_of
from tests.core.helpers import parse_response, request
from windsock.core import (
    AllowOrigins,
    App,
    BasicAuth,
    BearerToken,
    ConnectionLimit,
    Request,
    Response,
    WebSocket,
)

Fields = list[tuple[str, str]]


def guarded(guard: Any) -> App:
    """An application whose handlers say who is there."""
    app = App(middleware=[guard])

    @app.websocket("/chat")
    async def chat(ws: WebSocket) -> None:
        await ws.reject(418)

    @app.http("/page")
    async def page(asked: Request) -> Response:
        return Response(repr(asked.state.get("user")))

    return app


def outcome(
    make_world: MakeWorld, guard: Any, fields: Fields, target: str = "/page", **options: Any
) -> tuple[int, str, dict[str, str]]:
    """What a plain request comes to, which must be what a WebSocket does."""
    app = guarded(guard)
    status, headers, body = answer(make_world(), app, f"GET {target}", fields, **options)
    world = make_world()
    serve(world, app, **options)
    world.peer_sends(request(line=f"GET {target.replace('page', 'chat')} HTTP/1.1", add=fields))
    assert parse_response(world.peer_got())[0] == {200: 418}.get(status, status)
    return status, body.decode(), headers


def basic(credentials: str | bytes, scheme: str = "Basic") -> Fields:
    given = credentials.encode() if isinstance(credentials, str) else credentials
    return [("Authorization", f"{scheme} {base64.b64encode(given).decode()}")]


# User names and passwords (RFC 7617)

USERS = {"me": "secret", "nöbödy": "pässwörd", "colon": "a:b", "none": ""}


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        (basic("me:secret"), "me"),
        (basic("me:secret", "bASIC"), "me"),
        (basic("me:secret", "Basic  "), "me"),
        (basic("nöbödy:pässwörd"), "nöbödy"),
        (basic("colon:a:b"), "colon"),
        (basic("none:"), "none"),
    ],
)
def test_the_right_password(make_world: MakeWorld, fields: Fields, user: str) -> None:
    assert outcome(make_world, BasicAuth(USERS), fields)[:2] == (200, repr(user))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        basic("me:wrong"),
        basic("me:secret2"),
        basic("me:"),
        basic("other:secret"),
        basic("other:"),
        basic(":"),
        basic("me"),
        basic(""),
        basic(b"\xff\xfe:secret"),
        basic("me:secret", "Bearer"),
        basic("me:secret") * 2,
        [*basic("me:secret"), ("Authorization", "Bearer x")],
        [("Authorization", "Basic")],
        [("Authorization", "Basic ")],
        [("Authorization", "Basic !!!!")],
        [("Authorization", "Basic bWU6c2VjcmV")],
        [("Authorization", "Basic bWU6c2Vj\u00fccmV0")],
        [("Authorization", "bWU6c2VjcmV0")],
    ],
)
def test_anything_else(make_world: MakeWorld, fields: Fields) -> None:
    status, body, headers = outcome(make_world, BasicAuth(USERS, realm="the office"), fields)
    assert (status, body) == (401, "user name and password, please\n")
    assert headers["www-authenticate"] == 'Basic realm="the office", charset="UTF-8"'


def test_every_password_is_compared_in_constant_time(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be told from the time whether there is such a user."""
    import hmac

    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for user in ("me", "nobody"):
        answer(make_world(), guarded(BasicAuth(USERS)), "GET /page", basic(f"{user}:wrong"))
    assert compared == [b"wrong", b"wrong"]


async def looked_up(user: str, password: str) -> bool:
    return (user, password) == ("me", "secret")


@pytest.mark.parametrize("check", [looked_up, lambda user, password: password == "secret"])
def test_a_function_says_whose_password_it_is(make_world: MakeWorld, check: Any) -> None:
    guard = BasicAuth(check)
    assert outcome(make_world, guard, basic("me:secret"))[:2] == (200, "'me'")
    assert outcome(make_world, guard, basic("me:wrong"))[0] == 401


@pytest.mark.parametrize("realm", ['a "quote"', "a\nline", "ünicode", "back\\slash"])
def test_a_realm_that_cannot_be_sent(realm: str) -> None:
    with pytest.raises(ValueError, match="a realm is printable ASCII without quotes"):
        BasicAuth({}, realm)


# Tokens (RFC 6750)


def bearer(token: str, scheme: str = "Bearer") -> Fields:
    return [("Authorization", f"{scheme} {token}")]


@pytest.mark.parametrize(
    ("fields", "target", "status", "challenge"),
    [
        (bearer("good"), "/page", 200, None),
        (bearer("fine", "BEARER"), "/page", 200, None),
        ([], "/page?token=good", 200, None),
        ([], "/page?token=go%6Fd&token=bad", 200, None),
        (bearer("good"), "/page?token=bad", 200, None),
        ([], "/page", 401, "Bearer"),
        ([], "/page?token=", 401, "Bearer"),
        ([], "/page?other=good", 401, "Bearer"),
        (bearer(""), "/page", 401, "Bearer"),
        (bearer("good", "Basic"), "/page", 401, "Bearer"),
        (bearer("good") * 2, "/page", 401, "Bearer"),
        (bearer("bad"), "/page", 401, 'Bearer error="invalid_token"'),
        (bearer("bad"), "/page?token=good", 401, 'Bearer error="invalid_token"'),
        ([], "/page?token=b%C3%A4d", 401, 'Bearer error="invalid_token"'),
        ([], "/page?token=%FF", 401, 'Bearer error="invalid_token"'),
    ],
)
def test_tokens(
    make_world: MakeWorld, fields: Fields, target: str, status: int, challenge: str | None
) -> None:
    guard = BearerToken(["good", "fine"], query_parameter="token")
    found = outcome(make_world, guard, fields, target)
    assert (found[0], found[2].get("www-authenticate")) == (status, challenge)


def test_the_query_is_not_looked_at_unless_told(make_world: MakeWorld) -> None:
    assert outcome(make_world, BearerToken(["good"]), [], "/page?token=good")[0] == 401


def test_all_tokens_are_compared(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """In constant time, also after the right one."""
    import hmac

    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    app = guarded(BearerToken(iter(["1", "2", "3"])))
    assert answer(make_world(), app, "GET /page", bearer("1"))[0] == 200
    assert compared == [b"1", b"2", b"3"]


async def owner(token: str) -> str | None:
    return {"good": "me"}.get(token)


@pytest.mark.parametrize("check", [owner, {"good": "me"}.get])
def test_a_function_says_whose_token_it_is(make_world: MakeWorld, check: Any) -> None:
    guard = BearerToken(check)
    assert outcome(make_world, guard, bearer("good"))[:2] == (200, "'me'")
    assert outcome(make_world, guard, bearer("bad"))[0] == 401


def test_a_list_of_tokens_does_not_say_whose_they_are(make_world: MakeWorld) -> None:
    assert outcome(make_world, BearerToken(["good"]), bearer("good"))[:2] == (200, "None")


@pytest.mark.parametrize(("found", "status"), [(True, 200), (0, 200), (False, 401), (None, 401)])
def test_what_a_function_of_a_token_may_find(
    make_world: MakeWorld, found: object, status: int
) -> None:
    assert outcome(make_world, BearerToken(lambda token: found), bearer("x"))[0] == status


def test_one_token_is_no_list_of_them() -> None:
    with pytest.raises(TypeError, match="tokens are a list of them, or a function"):
        BearerToken("secret")


# Origins (RFC 6455 §10.2)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://example.com", True),
        ("https://app.example", True),
        ("https://APP.example", True),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_origins(make_world: MakeWorld, origin: str | None, allowed: bool) -> None:
    app = guarded(AllowOrigins("https://app.example"))
    fields = [("Origin", origin)] if origin else []
    status, _, body = answer(make_world(), app, "GET /page", fields)
    assert status == (200 if allowed else 403)
    assert allowed or b"origin" in body.lower()


def test_websockets_of_other_origins(make_world: MakeWorld) -> None:
    """The server has a say, too, and first."""
    for allowed, status in ((("*",), 418), ((), 403)):
        world = make_world(origins=("*",))
        open_by_hand(world, guarded(AllowOrigins(*allowed)), add=[("Origin", "https://x.example")])
        assert parse_response(world.peer_got())[0] == status


@pytest.mark.parametrize("wrong", [["https://app.example"], 1, "a\nb"])
def test_what_is_no_origin(wrong: Any) -> None:
    with pytest.raises(ValueError, match="origins"):
        AllowOrigins(wrong)


# Connections at a time

Client = tuple[str, int] | str | None


def refused(make_world: MakeWorld, app: App, client: Client) -> bool:
    """Whether `client` is told to come back later, with a WebSocket and without."""
    status, headers, _ = answer(make_world(), app, "GET /page", client=client)
    assert headers.get("retry-after") == ("1" if status == 429 else None)
    assert (status_of(make_world(), app, client=client) == 429) == (status == 429)
    return status == 429


def busy(
    make_world: MakeWorld, client: Client
) -> tuple[App, Callable[[BaseException | None], None]]:
    """An application that `client` is connected to, with a limit of one; and what ends that."""
    app = guarded(ConnectionLimit(1))
    world = make_world()
    gate = world.gate()
    errors: list[BaseException] = []

    @app.websocket("/wait")
    async def wait(ws: WebSocket) -> None:
        await gate.wait()
        raise errors.pop() if errors else ValueError("x")

    serving = serve(world, app, client=client)
    world.peer_sends(request(line="GET /wait HTTP/1.1"))

    def end(cancelled: BaseException | None) -> None:
        if cancelled is not None:
            serving.cancel(cancelled)
        gate.open()
        world.run()

    return app, end


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::1", "127.0.0.1", False),
        ("testclient", "testclient", True),
        ("testclient", "other", False),
    ],
)
def test_who_counts_as_one(make_world: MakeWorld, first: str, second: str, same: bool) -> None:
    app, _ = busy(make_world, (first, 1))
    assert refused(make_world, app, (second, 2)) == same


@pytest.mark.parametrize("client", ["/run/x.sock", "", None])
def test_who_has_no_address_has_no_limit(make_world: MakeWorld, client: Client) -> None:
    app, _ = busy(make_world, client)
    assert not refused(make_world, app, client)


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
def test_the_end_makes_room(make_world: MakeWorld, how: str) -> None:
    client = ("192.0.2.1", 1)
    app, end = busy(make_world, client)
    assert refused(make_world, app, client)
    end(None if how == "raises" else KeyboardInterrupt())
    assert not refused(make_world, app, client)


def test_nothing_is_kept_of_those_who_have_gone(world: World) -> None:
    guard = ConnectionLimit(2)
    assert status_of(world, guarded(guard)) == 418
    assert not guard._open


def test_a_limit_of_several(make_world: MakeWorld) -> None:
    """Each end makes room for one."""
    app = guarded(ConnectionLimit(2))
    first, second = make_world(), make_world()
    gates = [first.gate(), second.gate()]
    waiting = iter(gates)

    @app.websocket("/wait")
    async def wait(ws: WebSocket) -> None:
        await next(waiting).wait()
        await ws.reject()

    for world in (first, second):
        serve(world, app)
        world.peer_sends(request(line="GET /wait HTTP/1.1"))
        assert refused(make_world, app, CLIENT) == (world is second)
    for world, gate in zip((first, second), gates, strict=True):
        gate.open()
        world.run()
        assert parse_response(world.peer_got())[0] == 403
        assert not refused(make_world, app, CLIENT)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nobody_in(limit: int) -> None:
    with pytest.raises(ValueError, match="a limit is at least 1, not"):
        ConnectionLimit(limit)
