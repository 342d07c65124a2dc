"""permessage-deflate: who offers what, who accepts what (RFC 7692 §5, §7.1)."""

from __future__ import annotations

import pytest

from windsock.core.protocol.config import Deflate
from windsock.core.protocol.deflate import (
    DeflateParameters,
    answer_offers,
    check_answer,
    compressed_size_limit,
    make_offer,
)
from windsock.core.protocol.headers import ExtensionOffer, parse_extensions

D = "permessage-deflate"
FULL = Deflate(server_max_window_bits=15, client_max_window_bits=15)


def offers(value: str) -> list[ExtensionOffer]:
    parsed = parse_extensions([value])
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("offer", "options", "answer"),
    [
        (D, FULL, D),
        (D, Deflate(), f"{D}; server_max_window_bits=12"),
        (f"{D}; client_max_window_bits", FULL, D),
        (
            f"{D}; client_max_window_bits",
            Deflate(),
            f"{D}; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (f"{D}; client_max_window_bits=10", FULL, f"{D}; client_max_window_bits=10"),
        (f'{D}; client_max_window_bits="10"', FULL, f"{D}; client_max_window_bits=10"),
        (f"{D}; client_max_window_bits=8", FULL, f"{D}; client_max_window_bits=8"),
        (f"{D}; server_max_window_bits=9", FULL, f"{D}; server_max_window_bits=9"),
        (f"{D}; server_max_window_bits=15", Deflate(), f"{D}; server_max_window_bits=12"),
        (f"{D}; server_no_context_takeover", FULL, f"{D}; server_no_context_takeover"),
        (f"{D}; client_no_context_takeover", FULL, f"{D}; client_no_context_takeover"),
        (
            D,
            Deflate(
                server_max_window_bits=15,
                server_no_context_takeover=True,
                client_no_context_takeover=True,
            ),
            f"{D}; server_no_context_takeover; client_no_context_takeover",
        ),
        # The first acceptable one of several, and nothing of the others.
        (f"{D}; server_max_window_bits=8, {D}", FULL, D),
        (f"{D}; x=1, {D}; server_no_context_takeover", FULL, f"{D}; server_no_context_takeover"),
        (f"{D}; client_no_context_takeover, {D}; server_no_context_takeover", FULL, None),
        (f"x-webkit-deflate-frame, {D}", FULL, D),
    ],
)
def test_offers_that_are_accepted(offer: str, options: Deflate, answer: str | None) -> None:
    found = answer_offers(offers(offer), options)
    assert found is not None
    assert found[1] == (answer or f"{D}; client_no_context_takeover")
    # What was answered is what a client that offered it understands, if it can compress so.
    understood = check_answer(offers(found[1])[0], FULL)
    assert understood == (found[0] if found[0].client_max_window_bits > 8 else None)


BAD_PARAMETERS = [
    "client_max_window_bits=abc",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=09",
    "client_max_window_bits=+9",
    "client_max_window_bits=10; client_max_window_bits=10",
    "client_max_window_bits=10; client_max_window_bits",
    "server_max_window_bits",
    "server_max_window_bits=abc",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=-1",
    "server_max_window_bits=10; server_max_window_bits=11",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_no_context_takeover; server_no_context_takeover",
    "unknown",
    "unknown=1",
    "Server_no_context_takeover",
]


@pytest.mark.parametrize("parameters", [*BAD_PARAMETERS, "server_max_window_bits=8"])
def test_offers_that_are_declined(parameters: str) -> None:
    """§7.1: an offer with anything wrong in it is declined, not misread. 2**8 is a valid window,
    but no compressor here keeps to it."""
    assert answer_offers(offers(f"{D}; {parameters}"), FULL) is None


def test_nothing_offered() -> None:
    assert answer_offers([], FULL) is None
    assert answer_offers(offers("x-webkit-deflate-frame"), FULL) is None


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        (FULL, f"{D}; client_max_window_bits"),
        (Deflate(), f"{D}; server_max_window_bits=12; client_max_window_bits=12"),
        (
            Deflate(
                server_no_context_takeover=True,
                client_no_context_takeover=True,
                server_max_window_bits=15,
                client_max_window_bits=9,
            ),
            f"{D}; server_no_context_takeover; client_no_context_takeover"
            "; client_max_window_bits=9",
        ),
    ],
)
def test_what_a_client_offers(options: Deflate, offer: str) -> None:
    assert make_offer(options) == offer


@pytest.mark.parametrize(
    ("answer", "options", "parameters"),
    [
        (D, FULL, DeflateParameters()),
        (f"{D}; server_max_window_bits=8", FULL, DeflateParameters(server_max_window_bits=8)),
        (f"{D}; client_max_window_bits=9", FULL, DeflateParameters(client_max_window_bits=9)),
        (f"{D}; server_no_context_takeover", FULL, DeflateParameters(True)),
        (f"{D}; client_no_context_takeover", FULL, DeflateParameters(False, True)),
        (
            f"{D}; server_max_window_bits=12",
            Deflate(client_no_context_takeover=True),
            DeflateParameters(False, True, 12, 12),
        ),
        # A server that says nothing of the client's window leaves it at what was offered.
        (f"{D}; server_max_window_bits=10", Deflate(), DeflateParameters(False, False, 10, 12)),
    ],
)
def test_answers_that_fit(answer: str, options: Deflate, parameters: DeflateParameters) -> None:
    assert check_answer(offers(answer)[0], options) == parameters


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        *[(f"{D}; {parameters}", FULL) for parameters in BAD_PARAMETERS],
        ("x-webkit-deflate-frame", FULL),
        (f"{D}; client_max_window_bits", FULL),
        (f"{D}; client_max_window_bits=8", FULL),
        (D, Deflate()),
        (f"{D}; server_max_window_bits=13", Deflate()),
        (f"{D}; server_max_window_bits=12; client_max_window_bits=13", Deflate()),
        (D, Deflate(server_no_context_takeover=True, server_max_window_bits=15)),
    ],
)
def test_answers_that_do_not_fit(answer: str, options: Deflate) -> None:
    assert check_answer(offers(answer)[0], options) is None


@pytest.mark.parametrize("limit", [1, 100, 2**16, 2**20])
def test_the_bound_on_compressed_messages_holds_what_zlib_makes(limit: int) -> None:
    import random
    import zlib

    data = random.Random(0).randbytes(limit)
    for level in (0, 1, 9):
        compressor = zlib.compressobj(level, zlib.DEFLATED, -9, 1)
        compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert len(compressed) <= compressed_size_limit(limit)
