"""Results, their files, and what is made of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import charts, floors, report, results
from benchmarks.__main__ import main
from benchmarks.load import LoadGenerator
from benchmarks.results import Measurement, Result, Run, read
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS

# What was promised: floor and aim.
PROMISES = """
core, 32 B masked text in + out, one at a time, vs wsproto Connection: pure Python   10   15
core, 32 B masked text in + out, one at a time, vs wsproto Connection: accelerator   25   60
core, 32 B masked text in + out, 32 in one read, vs wsproto Connection: pure Python  10   15
core, 32 B masked text in + out, 32 in one read, vs wsproto Connection: accelerator  25   60
asyncio, 64x1x32B, vs picows websockets API                       0.9   1.1
asyncio, 8x32x32B, vs picows websockets API                       2.5   5
asyncio, 8x4x16KiB, vs picows websockets API                      1     1.4
asyncio, more than one in flight, vs websockets                   1.5   4
trio, 64x1x32B, vs trio-websocket                                 4     6
trio, 64x1x32B, vs raw-trio                                       1     1.3
trio, 8x32x32B, vs trio-websocket                                 15    30
trio, 8x4x16KiB, vs trio-websocket                                8     15
trio, more than one in flight, vs websockets-trio                 3     10
trio, one message in flight, vs raw TCP echo                      0.8   0.92
asyncio, one message in flight, vs raw TCP echo                   0.8   0.92
ASGI echo in uvicorn-wsproto, vs the bare one                     0.93  0.98
ASGI echo in uvicorn-websockets, vs the bare one                  0.93  0.98
ASGI echo in hypercorn-asyncio, vs the bare one                   0.93  0.98
ASGI echo in hypercorn-trio, vs the bare one                      0.93  0.98
ASGI echo in granian, vs the bare one                             0.93  0.98
handshakes/s, asyncio, vs websockets                              1.2   1.6
handshakes/s, trio, vs trio-websocket                             2.5   4
idle connection, asyncio, 2000 of them                            12    8
idle connection, asyncio, 10000 of them                           12    8
idle connection, trio, 2000 of them                               14    10
idle connection, trio, 10000 of them                              14    10
p99 of quiet connections while one floods, asyncio, vs no flood   3     1.5
p99 of quiet connections while one floods, trio, vs no flood      3     1.5
permessage-deflate echo, asyncio, vs websockets                   1.2   2
permessage-deflate echo, trio, vs websockets-trio                 1.2   2
"""


def a_run(**values: float) -> Run:
    """`server__scenario`, with _ for -, to its figure."""
    run = Run("2020-01-01T00:00:00+00:00", "python -m benchmarks", 2, 3, {}, {"python": "3"})
    for name, value in values.items():
        server, scenario = (part.replace("_", "-") for part in name.split("__"))
        kind = SCENARIOS[scenario].kind
        measurements = [Measurement(value * share, {"client_cpu": 0.5}) for share in (0.9, 1, 1.2)]
        run.results.append(
            Result(server, scenario, kind.value, kind.higher_is_better, measurements)
        )
    return run


def test_floors_are_those_that_were_promised() -> None:
    promised = []
    for line in PROMISES.strip().splitlines():
        title, floor, aim = line.rsplit(maxsplit=2)
        promised.append((title.strip(), float(floor), float(aim)))
    assert [(row.title, row.floor, row.aim) for row in floors.FLOORS] == promised


def verdicts(run: Run) -> dict[str, str]:
    return {row.title: row.judge(row.measure(run)) for row in floors.FLOORS}


@pytest.mark.parametrize(
    ("value", "verdict"), [(3.9, "MISSED"), (4.0, "floor"), (5.9, "floor"), (6.0, "aim")]
)
def test_a_verdict(value: float, verdict: str) -> None:
    run = a_run(windsock_trio__64x1x32B=value, trio_websocket__64x1x32B=1)
    assert verdicts(run)["trio, 64x1x32B, vs trio-websocket"] == verdict


def test_less_memory_is_better() -> None:
    run = a_run(windsock_trio__memory_2000=9, windsock_asyncio__memory_2000=13)
    found = verdicts(run)
    assert found["idle connection, trio, 2000 of them"] == "aim"
    assert found["idle connection, asyncio, 2000 of them"] == "MISSED"
    assert found["idle connection, trio, 10000 of them"] == "not measured"


def test_the_worst_scenario_counts_and_the_best_loop() -> None:
    run = a_run(
        windsock_asyncio__8x32x32B=10,
        windsock_uvloop__8x32x32B=20,
        websockets_asyncio__8x32x32B=4,
        websockets_uvloop__8x32x32B=5,
        windsock_asyncio__64x1x32B=3,
        websockets_asyncio__64x1x32B=1,
        windsock_asyncio__1x1x32B=1,
        websockets_asyncio__1x1x32B=1,
    )
    row = next(row for row in floors.FLOORS if row.title.endswith("in flight, vs websockets"))
    figure = row.measure(run)
    assert figure is not None
    assert figure.value == 3
    assert "worst of 2 scenarios: 64x1x32B" in figure.remark
    assert "MISSED" not in floors.report(run)
    assert row.judge(figure) == "floor"


def test_a_miss_is_printed_as_one() -> None:
    text = floors.report(a_run(windsock_trio__1x1x32B=1, raw_trio__1x1x32B=2))
    assert "0.50×" in text
    assert "MISSED" in text
    assert "1 MISS it" in text


def test_every_name_of_the_floors_is_a_server() -> None:
    named = [*floors.WINDSOCK_ASYNCIO, *floors.PICOWS, *floors.WEBSOCKETS]
    named += ["windsock-trio", "raw-trio", "raw-asyncio", "trio-websocket", "websockets-trio"]
    assert set(named) <= set(SERVERS)


def test_a_ratio_is_that_of_what_was_measured_together() -> None:
    run = a_run(windsock_trio__1x1x32B=1, raw_trio__1x1x32B=1)
    ours, theirs = run.results
    # A machine that was slow in its second round, and slower for some time in the third.
    ours.measurements = [Measurement(value) for value in (90, 45, 80)]
    theirs.measurements = [Measurement(value) for value in (100, 50, 40)]
    assert run.ratio("windsock-trio", "raw-trio", "1x1x32B") == 0.9
    assert run.ratio("windsock-trio", "raw-asyncio", "1x1x32B") is None
    theirs.measurements.pop()
    assert run.ratio("windsock-trio", "raw-trio", "1x1x32B") is None


def test_a_condensed_run_says_the_same() -> None:
    run = a_run(windsock_trio__64x1x32B=5, trio_websocket__64x1x32B=1)
    run.results[0].measurements[0].details["seconds"] = 2
    run.results.append(Result("failed", "64x1x32B", "messages/s", True, error="it fell over"))
    kept = run.condensed()
    assert floors.report(kept) == floors.report(run)
    assert kept.results[0].detail("client_cpu") == 0.5
    assert kept.results[0].detail("seconds") is None
    assert kept.results[2] == run.results[2]


def test_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    run = a_run(windsock_trio__1x1x32B=1, windsock_trio__memory_2000=9)
    run.results[0].error = "it fell over"
    run.core = {"wsproto/1x32B": 12.5}
    run.skipped = {"granian": "not installed: granian"}
    path = tmp_path / "new" / "run.json"
    run.save(path)
    assert read(path) == run
    path.write_text(json.dumps({"format": -1}))
    with pytest.raises(ValueError, match="no results of this version"):
        read(path)


def test_remarks() -> None:
    result = a_run(windsock_trio__1x1x32B=1).results[0]
    assert report.remark(result) == ""
    result.measurements = [Measurement(1, {"client_cpu": 0.85, "client_waited": 0.08})]
    assert report.remark(result) == "client-bound"
    result.measurements = [Measurement(1, {"client_cpu": 0.3, "client_waited": 0.08})]
    assert report.remark(result) == "disturbed: the client waited 8% for its core"
    result.error = "first line\nsecond line"
    assert report.remark(result) == "FAILED: first line"


def test_compare() -> None:
    before = a_run(windsock_trio__1x1x32B=100, windsock_trio__memory_2000=10)
    after = a_run(windsock_trio__1x1x32B=150, windsock_trio__memory_2000=5, aiohttp__1x1x32B=1)
    after.versions = {"python": "4"}
    lines = report.compare(before, after).splitlines()
    assert [line.split()[-1] for line in lines if line.endswith((".50", ".00"))] == ["1.50", "2.00"]
    assert "python: 3 → 4" in lines


def test_charts_are_svg(tmp_path: Path) -> None:
    run = a_run(windsock_trio__1x1x32B=100, raw_trio__1x1x32B=200, windsock_trio__memory_2000=10)
    written = charts.write(run, tmp_path / "charts")
    assert [path.name for path in written] == ["1x1x32B.svg", "memory-2000.svg"]
    root = ElementTree.parse(written[0]).getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.index("raw-trio") < texts.index("windsock-trio")


def test_the_command_line(
    load: LoadGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = f"{sys.executable} -m benchmarks.programs websockets-asyncio --port {{port}}"
    words = ["--quick", "--seconds", "0.1", "--only", "windsock-asyncio", "--scenario", "1x1x32B"]
    words += ["--server", own, "--output", str(tmp_path), "--baseline", "own-1"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "1 × 1 × 32 B [messages/s]" in printed
    (path,) = tmp_path.glob("*.json")
    run = read(path)
    assert [result.server for result in run.results] == ["own-1", "windsock-asyncio"]
    assert all(result.value for result in run.results)
    assert {"processor", "cores", "memory MiB"} <= set(run.machine)
    assert {"python", "windsock"} <= set(run.versions)
    assert run.command.startswith("python -m benchmarks --quick")
    assert (path.with_suffix("") / "1x1x32B.svg").exists()
    assert main(["floors", str(path)]) == 0
    assert main(["compare", str(path), str(path)]) == 0


def test_mistakes_on_the_command_line(
    load: LoadGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--only", "nonsense"]) == 1
    assert "no server is called nonsense" in capsys.readouterr().err
    assert main(["--scenario", "nonsense"]) == 1
    assert "no scenario is called nonsense" in capsys.readouterr().err
    assert main(["--server", "no port"]) == 1
    assert "no {port}" in capsys.readouterr().err
    assert main(["floors", str(tmp_path / "absent.json")]) == 1
    assert "absent.json" in capsys.readouterr().err


def test_a_published_run_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(windsock_trio__1x1x32B=3, raw_trio__1x1x32B=4)
    run.save(tmp_path / "run.json")
    published = tmp_path / "published.json"
    monkeypatch.setattr(results, "PUBLISHED", published)
    assert main(["publish", str(tmp_path / "run.json")]) == 0
    assert "docs/generate.py" in capsys.readouterr().out
    found = read(published)
    assert floors.judged(found) == floors.judged(run)
    assert found == run.condensed()
    assert found.results[0].client_bound is run.results[0].client_bound
