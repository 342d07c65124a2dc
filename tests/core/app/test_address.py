"""Addresses as sockets give them and as people read them."""

from __future__ import annotations

import pytest

from windsock.core.app.address import Address, address_of, address_url


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80)),
        (("::1", 80, 0, 0), ("::1", 80)),
        (("fe80::1%lo", 80, 7, 3), ("fe80::1%lo", 80)),
        ("/run/windsock.sock", "/run/windsock.sock"),
        ("", ""),
        (b"\0abstract", "\0abstract"),
        (b"\0\xff", "\0\udcff"),
        (None, None),
        ([], None),
    ],
)
def test_what_a_socket_calls_itself(name: object, address: Address | None) -> None:
    assert address_of(name) == address  # type: ignore[arg-type]  # also what no socket gives


@pytest.mark.parametrize(
    ("address", "secure", "url"),
    [
        (("127.0.0.1", 8765), False, "http://127.0.0.1:8765"),
        (("127.0.0.1", 8765), True, "https://127.0.0.1:8765"),
        (("::1", 443), True, "https://[::1]:443"),
        ("/run/windsock.sock", True, "unix:/run/windsock.sock"),
    ],
)
def test_the_url_of_a_listener(address: Address, secure: bool, url: str) -> None:
    assert address_url(address, secure=secure) == url
