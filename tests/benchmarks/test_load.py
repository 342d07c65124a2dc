"""The load generator against a strict server."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import pytest

from benchmarks import payloads
from benchmarks.cores import Cores
from benchmarks.load import LoadError, LoadGenerator, build
from benchmarks.processes import free_port

from .strict_server import PATH, TIMEOUT, StrictServer

BRIEF = {"path": PATH, "seconds": 0.15, "warmup": 0.05}


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("size", [1, 32, 125, 126, 65535, 65536, 1024 * 1024])
def test_frames_are_right(load: LoadGenerator, cores: Cores, size: int, kind: str) -> None:
    with StrictServer() as server:
        arguments = {**BRIEF, "port": server.port, "connections": 3, "window": 2, "size": size}
        found = load.run({**arguments, "kind": kind}, core=cores.client, timeout=TIMEOUT)
    assert server.complaints == []
    assert {opcode for opcode, _ in server.messages} == {1 if kind == "text" else 2}
    assert {len(payload) for _, payload in server.messages} == {size}
    assert 0 < found["messages"] <= len(server.messages)
    assert len(server.keys) >= 2  # they change from frame to frame
    assert 0 <= found["client_cpu"] <= 1.05
    if size >= 65536:
        assert set(server.pongs) == {b"still there?"}


def test_it_never_has_more_in_flight_than_the_window(load: LoadGenerator, cores: Cores) -> None:
    with StrictServer(mute=True) as server:
        arguments = {**BRIEF, "port": server.port, "connections": 2, "window": 5}
        found = load.run(arguments, core=cores.client, timeout=TIMEOUT)
    assert found["messages"] == 0
    assert len(server.messages) == 2 * 5


def test_compressed_messages(load: LoadGenerator, cores: Cores, payload_file: Path) -> None:
    documents = payloads.documents(1024)
    payloads.write(payload_file, [payloads.compress(text) for text in documents])
    with StrictServer() as server:
        arguments = {**BRIEF, "port": server.port, "deflate": 1, "payloads": str(payload_file)}
        load.run(arguments, core=cores.client, timeout=TIMEOUT)
    assert server.complaints == []
    inflated = [
        zlib.decompressobj(wbits=-9).decompress(payload + b"\x00\x00\xff\xff")
        for _, payload in server.messages
    ]
    expected = documents * (len(inflated) // len(documents) + 1)
    assert inflated == expected[: len(inflated)]


def test_handshakes_end_with_a_close_frame(load: LoadGenerator, cores: Cores) -> None:
    with StrictServer() as server:
        arguments = {**BRIEF, "port": server.port, "mode": "handshakes", "connections": 4}
        found = load.run(arguments, core=cores.client, timeout=TIMEOUT)
    assert server.complaints == []
    assert set(server.closes) == {(1000).to_bytes(2, "big")}
    assert 0 < found["handshakes"] <= len(server.closes) + 4
    assert server.messages == []


def test_latency_of_every_message(load: LoadGenerator, cores: Cores) -> None:
    with StrictServer() as server:
        arguments = {**BRIEF, "port": server.port, "mode": "latency", "connections": 5}
        found = load.run(
            {**arguments, "interval_us": 20000, "flood": 1}, core=cores.client, timeout=TIMEOUT
        )
    assert server.complaints == []
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["p999_us"] <= found["max_us"]
    assert found["flood_messages"] > found["messages"] > 0


def test_idle_connections_are_held_until_the_end(load: LoadGenerator) -> None:
    with StrictServer() as server:
        arguments = {"port": server.port, "path": PATH, "mode": "idle", "connections": 70}
        with subprocess.Popen(
            load.command(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert len(server.messages) == 70
            process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert server.complaints == []


def test_a_wrong_echo_is_noticed(load: LoadGenerator, cores: Cores) -> None:
    with (
        StrictServer(damage=True) as server,
        pytest.raises(LoadError, match="not what was sent"),
    ):
        load.run({**BRIEF, "port": server.port}, core=cores.client, timeout=TIMEOUT)


def test_no_server(load: LoadGenerator, cores: Cores) -> None:
    with pytest.raises(LoadError, match="refused"):
        load.run({**BRIEF, "port": free_port()}, core=cores.client, timeout=TIMEOUT)


def test_a_compiler_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    with pytest.raises(LoadError, match=r"no no-such-compiler here .* install a C compiler"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_documents_have_their_size() -> None:
    documents = payloads.documents(1024)
    assert {len(text) for text in documents} == {1024}
    assert len(set(documents)) == len(documents)
