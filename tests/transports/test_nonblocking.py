"""The byte streams that transports share, two of them back to back."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.certificates import client_context, server_context
from windsock._nonblocking import READ, TLSStream


@contextmanager
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection that takes little at a time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
        yield ours, theirs


@contextmanager
def tls_pair() -> Iterator[tuple[TLSStream, TLSStream]]:
    """A client and a server that have shaken hands."""
    with sockets() as (ours, theirs):
        client = TLSStream(ours, client_context(), server_hostname="localhost")
        server = TLSStream(theirs, server_context(), server_side=True)
        done = False
        while not done:
            done = all([client.handshake(), server.handshake()])
        assert client.receive() is None  # what TLS says after its handshake is for nobody else
        yield client, server


def transfer(data: bytes, sender: TLSStream, receiver: TLSStream) -> bytes:
    """Send all of it; what comes out."""
    received = b""
    rest = memoryview(data)
    while rest:
        rest = rest[sender.send(rest) :]
        received += receiver.receive() or b""
    while (more := receiver.receive()) is not None:
        received += more
    return received


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 1_000_000])
def test_what_the_kernel_takes_in_pieces(size: int) -> None:
    data = (bytes(range(251)) * 4000)[:size]
    with tls_pair() as (client, server):
        assert transfer(data, client, server) == data
        assert transfer(data, server, client) == data


def test_what_is_not_sent_yet_does_not_count() -> None:
    with tls_pair() as (client, server):
        data = bytes(100_000)
        assert client.send(data) == 0  # all of it is one piece, and the kernel has a part of that
        assert client.send(data) == 0
        received = 0
        while not (sent := client.send(data)):
            received += len(server.receive() or b"")
        assert sent == len(data)
        while (more := server.receive()) is not None:
            received += len(more)
        assert received == len(data)


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_comes_with_the_last_data(polite: bool) -> None:
    with tls_pair() as (client, server):
        assert client.send(b"last words") == 10
        if polite:
            client.shut_sending()
        else:
            client.socket.close()
        assert server.receive() == b"last words"
        while (end := server.receive()) is None:
            pass
        assert end == b""


def test_the_end_in_the_same_read_is_pending() -> None:
    with tls_pair() as (client, server):
        client.send(b"last words")
        client.shut_sending()
        assert server.receive() == b"last words"
        assert server.pending  # no selector will tell of it
        assert server.receive() == b""
        assert not server.pending


def test_after_its_own_goodbye_it_only_waits_for_the_end() -> None:
    with tls_pair() as (client, server):
        server.shut_sending()
        assert client.receive() == b""
        client.send(b"to be thrown away")
        assert server.receive()
        client.close()
        while server.receive():
            pass
        assert server.receive() == b""


def test_data_that_comes_with_the_end_of_the_handshake() -> None:
    with sockets() as (ours, theirs):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        server = TLSStream(theirs, server_context(), server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        ours.send(outgoing.read())
        assert not server.handshake()
        incoming.write(ours.recv(100_000))
        client.do_handshake()
        client.write(b"at once")
        ours.send(outgoing.read())
        assert server.handshake()
        assert server.pending  # no selector will tell of it
        assert server.receive() == b"at once"
        assert not server.pending


def test_a_handshake_that_fails_says_why() -> None:
    with sockets() as (ours, theirs):
        client = TLSStream(ours, client_context(), server_hostname="elsewhere.example")
        server = TLSStream(theirs, server_context(), server_side=True)
        assert not client.handshake()
        assert not server.handshake()
        assert (client.receive_on, server.receive_on) == (READ, READ)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.handshake()
        with pytest.raises(ssl.SSLError, match="ALERT"):
            server.handshake()


@pytest.mark.parametrize("gone", [True, False])
def test_closing_twice_and_before_the_handshake(gone: bool) -> None:
    with sockets() as (ours, theirs):
        stream = TLSStream(theirs, server_context(), server_side=True)
        if gone:
            ours.close()
        stream.close()
        stream.close()
        assert stream.socket.fileno() < 0
