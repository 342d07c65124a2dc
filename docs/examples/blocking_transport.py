"""The smallest transport: it blocks, so each connection needs a thread to itself."""

import socket
from contextlib import nullcontext
from time import monotonic

from windsock.core import Capabilities, Config, as_app
from windsock.core.app.session import serve_connection, server_channel


class BlockingLink:
    capabilities = Capabilities()
    checkpoints = False
    threaded = True
    mutex = nullcontext()
    cancelled = ()
    now = staticmethod(monotonic)

    def __init__(self, channel, sock):
        self.channel = channel
        self.sock = sock

    async def checkpoint(self):
        """Nothing can be cancelled here."""

    async def wait(self):
        self.flush_soon()
        connection = self.channel.connection
        due = connection.deadline()
        self.sock.settimeout(None if due is None else max(0.001, due - monotonic()))
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            connection.handle_deadline(monotonic())
            self.channel.pump()
        except OSError:
            self.fail()
        else:
            self.channel.receive_data(data, monotonic())
        self.flush_soon()

    async def drain(self):
        """What `flush_soon` was given, the kernel has taken."""

    def flush_soon(self):
        connection = self.channel.connection
        data = connection.data_to_send()
        try:
            if data:
                self.sock.settimeout(self.channel.config.write_timeout)
                self.sock.sendall(data)
                connection.unsent(0, monotonic())
            if connection.half_close or self.channel.finished:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.fail()

    def fail(self):
        if not self.channel.finished:
            self.channel.connection.write_failed(monotonic())
            self.channel.pump()

    def wake(self):
        """There is nobody else who could wait."""

    def resume_reading(self):
        """The next `wait` reads."""

    async def to_thread(self, function):
        return function()

    def from_thread(self, function, timeout):
        return run(function())


def run(coroutine):
    """Run a coroutine that blocks where others suspend."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it awaits what is not windsock's")


def serve_socket(app, sock, config=None):
    """Serve one connection to its end."""
    config = config or Config()
    channel = server_channel(config, now=monotonic())
    with sock:
        run(serve_connection(as_app(app), channel, BlockingLink(channel, sock)))
