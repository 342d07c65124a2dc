"""Node's `ws`, in a process that is told what to do."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from typing import Any, Final

from tests.certificates import write_authority
from tests.interop.loops import TIMEOUT
from tests.interop.places import Place

from .base import ClientSocket, Close, Compression, Offer, Refused

_HOME: Final = Path(__file__).parents[1] / "node"


def why_not() -> str | None:
    """Why there is no Node peer here, None if there is one."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (_HOME / "node_modules" / "ws").is_dir():
        return "the `ws` package is not in tests/interop/node/node_modules (`make test` gets it)"
    return None


class Node:
    """The process, and the answers it gives."""

    def __init__(self, process: subprocess.Popen[str], ca: Path) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._answers: dict[int, Queue[dict[str, Any]]] = {}
        self.ca = ca
        """Certificate of the authority to trust."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer.pop("number")].put(answer)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Have something done; its answer."""
        number = next(self._numbers)
        queue = self._answers[number] = Queue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"number": number, "do": do, **request}) + "\n")
        self._process.stdin.flush()
        answer = queue.get(timeout=TIMEOUT)
        del self._answers[number]
        if "error" in answer:
            raise AssertionError(f"Node: {answer['error']}")
        return answer


@contextlib.contextmanager
def run(directory: Path) -> Iterator[Node]:
    """The process, until the context is left."""
    ca = directory / "authority.pem"
    write_authority(ca)
    with subprocess.Popen(
        ["node", str(_HOME / "client.js")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield Node(process, ca)
        finally:
            process.kill()


class _Socket(ClientSocket):
    def __init__(self, node: Node, number: int, opened: dict[str, Any]) -> None:
        self._node = node
        self._number = number
        self.subprotocol = opened["subprotocol"]
        self.headers = opened["headers"]

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        return self._node.ask(do, socket=self._number, **request)

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._ask("send", text=message, fin=True)
        else:
            self._ask("send", binary=base64.b64encode(message).decode(), fin=True)

    def send_fragments(self, parts: Sequence[str]) -> None:
        for part in parts[:-1]:
            self._ask("send", text=part, fin=False)
        self._ask("send", text=parts[-1], fin=True)

    def receive(self) -> str | bytes | Close:
        found = self._ask("receive")
        if "close" in found:
            return Close(found["close"], found["reason"])
        if "binary" in found:
            return base64.b64decode(found["binary"])
        text: str = found["text"]
        return text

    def ping(self, payload: bytes) -> None:
        answer = self._ask("ping", payload=base64.b64encode(payload).decode())
        assert base64.b64decode(answer["payload"]) == payload

    def close(self, code: int, reason: str) -> None:
        self._ask("close", code=code, reason=reason)


@contextlib.contextmanager
def connect(node: Node, place: Place, offer: Offer) -> Iterator[ClientSocket]:
    number = next(_socket_numbers)
    url = place.url(offer.target)
    if place.unix is not None:
        url = f"ws+unix:{place.unix}:{offer.target}"
    opened = node.ask(
        "open",
        socket=number,
        url=url,
        subprotocols=list(offer.subprotocols),
        headers=dict(offer.headers),
        compression=offer.compression is Compression.DEFLATE,
        **({} if place.tls is None else {"ca": str(node.ca)}),
    )
    if "status" in opened:
        raise Refused(opened["status"], base64.b64decode(opened["body"]))
    try:
        yield _Socket(node, number, opened)
    finally:
        node.ask("drop", socket=number)


_socket_numbers = itertools.count()
