"""An echo server with nothing but `selectors` and `windsock.core`; GET /health says ok."""

import contextlib
import selectors
import signal
import socket
from time import monotonic

from windsock import core

MAX_PEERS = 1000
TICK = 0.25  # how often deadlines are looked at, in seconds: none needs to be kept more exactly
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Peer:
    """One TCP connection: moves bytes between a socket and a `ServerConnection`."""

    def __init__(self, sock: socket.socket, config: core.Config) -> None:
        sock.setblocking(False)
        self.sock, self.high_water = sock, config.write_high_water
        self.connection = core.ServerConnection(config, now=monotonic())
        self.unsent = bytearray()  # what the kernel has not taken yet
        self.eof = self.shut = False  # whether the peer, and we, have sent the last byte

    def react(self, event: core.Event) -> None:
        """The application. Pings are answered and closes are echoed by the connection itself."""
        if isinstance(event, (str, bytes)):
            self.connection.send(event)
        elif isinstance(event, core.HandshakeRequested):
            self.connection.accept(now=monotonic())
        elif isinstance(event, core.HttpRequested):
            status, body = (200, b"ok") if event.head.target == "/health" else (404, b"not found")
            self.connection.respond(status, [("Content-Type", "text/plain")], body, now=monotonic())

    def read(self) -> None:
        try:
            data = self.sock.recv(64 * 1024)
        except BlockingIOError:
            return
        except OSError:  # reset by the peer: the same as its end
            data = b""
        self.eof = not data
        self.connection.receive_data(data, monotonic())

    def write(self) -> None:
        self.unsent += self.connection.data_to_send()
        try:
            if self.unsent:
                del self.unsent[: self.sock.send(self.unsent)]
            if self.connection.half_close and not self.unsent and not self.shut:
                self.shut = True
                self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self.unsent.clear()
                self.connection.write_failed(monotonic())
        self.connection.unsent(len(self.unsent), monotonic())

    def turn(self) -> int:
        """React to what came in, and write; returns what to wait for."""
        while self.connection.backlog < self.high_water:
            if isinstance(event := self.connection.next_event(), core.Status):
                self.write()
                self.connection.resume_reading(monotonic())
                return (WRITE if self.connection.backlog else 0) | (0 if self.eof else READ)
            self.react(event)
        self.write()  # there may be more to react to, but the peer has to read first
        self.connection.pause_reading()  # so that silence is not held against it
        return WRITE

    def advance(self, mask: int, selector: selectors.BaseSelector, stopping: bool) -> None:
        """Do all there is to do now, and wait for the next thing, or close the socket."""
        if mask & READ:
            self.read()
        if stopping:
            self.connection.close(1001, "", monotonic())
        self.connection.handle_deadline(monotonic())
        interest = self.turn()
        if self.connection.state is core.State.CLOSED:
            selector.unregister(self.sock)
            self.sock.close()
        else:
            selector.modify(self.sock, interest, self)


def accept(listener: socket.socket, selector: selectors.BaseSelector, config: core.Config) -> None:
    with contextlib.suppress(OSError):  # the client has gone again
        sock, _ = listener.accept()
        if len(selector.get_map()) > MAX_PEERS:
            sock.close()
        else:
            selector.register(sock, READ, Peer(sock, config))


def serve(listener: socket.socket, config: core.Config, stop: list[int]) -> None:
    """Serve until something is put into `stop`, then say goodbye to everybody."""
    listener.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(listener, READ)
    due = monotonic()
    while not stop or len(selector.get_map()) > 1:
        ready = dict(selector.select(TICK))
        if monotonic() >= due:  # look at everybody
            due = monotonic() + TICK
            ready = dict.fromkeys(selector.get_map().values(), 0) | ready
        for key, mask in ready.items():
            if key.data is not None:
                key.data.advance(mask, selector, bool(stop))
            elif mask:
                accept(listener, selector, config)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 8765)) as listener:
        stop: list[int] = []
        signal.signal(signal.SIGINT, lambda number, _: stop.append(number))
        print("serving on http://127.0.0.1:8765", flush=True)
        serve(listener, core.Config(), stop)
