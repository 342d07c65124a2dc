"""Listening on a Unix socket, for every transport."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def unix_listener(path: str) -> Generator[socket.socket]:
    """A non-blocking socket that listens at `path`; the path is removed at the end.

    A socket that a dead server left there is replaced, a live one is not.

    Raises:
        OSError: it cannot listen there; EADDRINUSE where somebody else does.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        _remove_stale(path)
        sock.bind(path)
        try:
            sock.listen(1024)
            yield sock
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _remove_stale(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    if answer in {0, errno.EAGAIN}:  # somebody accepts, or is too busy to
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    if answer == errno.ECONNREFUSED:
        with contextlib.suppress(FileNotFoundError):
            # A file that is no socket refuses as well; it is not ours to remove.
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
