"""`fada gpu`: recording, playing back, exporting; files that are none of ours."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.telemetry.codec import to_compact
from backends.telemetry.sample import Gpu, GpuProcess, Host, Telemetry, Xid
from db.connect import connect, immediate
from db.home import Home
from db.runs.telemetry import add_sample
from fada_tui.cli import run
from fada_tui.sources.record import open_record, read_record, write_sample
from fada_tui.sources.replay import summarised
from tests.fada_tui.panel import gpu_sample

NOW = time.time()


@pytest.fixture
def recorded(panel_home: Home) -> Iterator[Home]:
    """A HOME whose queue recorded an old minute and a few seconds."""
    with closing(connect(panel_home.runs_db)) as conn, immediate(conn):
        add_sample(conn, to_compact(replace(gpu_sample(0.25), time=NOW - 3 * 86400)))
        for second in range(5):
            xids = (Xid(NOW - 10 + second, 0, 79, "fell off"),) if second == 2 else ()
            add_sample(conn, to_compact(replace(gpu_sample(second / 10), time=NOW - 10 + second, xids=xids)))
    yield panel_home


def fada(home: Home, *words: str) -> int:
    return run(["gpu", *words, "--home", str(home.root)])


def test_recording_goes_on_until_interrupted_and_again_into_the_same_file(tmp_path: Path, panel_home: Home) -> None:
    target = tmp_path / "night.jsonl"
    command = [
        sys.executable,
        "-m",
        "fada_tui",
        "gpu",
        "--record",
        str(target),
        "--json",
        "--home",
        str(panel_home.root),
    ]
    for _ in range(2):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        ) as process:
            before = len(target.read_text().splitlines()) if target.exists() else 0
            deadline = time.monotonic() + 60
            while not target.exists() or len(target.read_text().splitlines()) < before + 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            assert json.loads(process.stdout.read())["samples"] >= 1
            assert process.wait(timeout=30) == 0
        with target.open("a") as file:
            file.write('{"time": 3, "gpus')  # the machine went down
    record = read_record(target)
    assert record.torn == 2
    assert len(record.samples) >= 2
    assert json.loads(target.read_text().splitlines()[0])["version"] == 1


def test_an_export_is_a_table_a_document_or_a_record_that_can_be_played(
    recorded: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fada(recorded, "--export", str(tmp_path / "day.csv")) == 0
    with (tmp_path / "day.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["utilisation"] for row in rows] == ["0.0", "0.1", "0.2", "0.3", "0.4"]
    assert rows[0]["runs"] == "12"
    assert fada(recorded, "--export", str(tmp_path / "week.json"), "--since", "7d") == 0
    week = json.loads((tmp_path / "week.json").read_text())
    assert [document.get("minute") for document in week] == [True, None, None, None, None, None]
    assert week[0]["gpus"][0]["utilisation"] == 0.25
    assert fada(recorded, "--export", str(tmp_path / "week.jsonl"), "--since", "7d") == 0
    capsys.readouterr()
    assert fada(recorded, "--replay", str(tmp_path / "week.jsonl"), "--json") == 0
    played: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert len(played) == 6
    assert fada(recorded, "--replay", str(tmp_path / "week.jsonl")) == 0
    assert "Xid 79" in capsys.readouterr().out


def night(path: Path, home: Path) -> Path:
    """A card that grows too hot for its owner, with a job on it that does nothing."""
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text("[alerts]\ntemperature = 70\nidle_minutes = 1\n")
    process = GpuProcess(1, 1 << 30, None, run=12)
    with open_record(path) as file:
        for second in range(0, 200, 5):
            heat = 75.0 if 20 <= second < 60 else 40.0
            gpu = Gpu(0, "NVIDIA GeForce RTX 5090", "GPU-a", 0.0, 1, 2, 30.0, 575.0, heat, processes=(process,))
            write_sample(file, Telemetry(1000.0 + second, (gpu,), None, Host(0.1, 2, 1, 2, 1 << 40)))
    return path


def test_a_replay_tells_the_alerts_that_the_night_would_have_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / "home")
    path = night(tmp_path / "night.jsonl", home.root)
    assert fada(home, "--replay", str(path)) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line[0].isdigit()]
    assert lines == ["⚠ GPU 0: 75 °C", "⚠ #12 runs and the GPU is idle", "over: GPU 0: 75 °C"]
    assert fada(home, "--replay", str(path), "--json") == 0
    played: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    kinds = [[alert["kind"] for alert in one["alerts"]] for one in played]
    assert kinds[0] == [] and ["temperature"] in kinds and kinds[-1] == ["idle"]


def test_one_sample_also_tells_the_errors_of_the_day(recorded: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert fada(recorded, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [(xid["gpu"], xid["code"]) for xid in document["xids"]] == [(0, 79)]
    assert document["alerts"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "8h"], "--export"),
        (["--panel"], "--replay"),
        (["--export", "x.xlsx"], ".csv"),
        (["--export", "x.csv", "--since", "soon"], "no time"),
        (["--replay", "absent.jsonl"], "cannot be read"),
        (["--replay", "other.jsonl"], "no record"),
        (["--replay", "newer.jsonl"], "newer version"),
        (["--replay", "empty.jsonl"], "no sample"),
        (["--record", "other.jsonl"], "no record"),
        (["--replay", "empty.jsonl", "--panel", "--speed", "0"], "--speed"),
        (["-w", "--record", "y"], "not allowed"),
    ],
)
def test_what_cannot_be_done_is_said(
    panel_home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.jsonl").write_text("a shopping list\n")
    (tmp_path / "newer.jsonl").write_text('{"format": "fada-telemetry", "version": 9}\n')
    (tmp_path / "empty.jsonl").write_text('{"format": "fada-telemetry", "version": 1}\n')
    assert fada(panel_home, *words) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "other.jsonl").read_text() == "a shopping list\n"


def test_nothing_recorded_is_said(panel_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fada(panel_home, "--export", str(tmp_path / "x.csv")) == 1
    assert "nothing was recorded" in capsys.readouterr().err


def test_a_record_summed_up_has_its_jobs_marked() -> None:
    idle = gpu_sample(0.1)
    idle = replace(idle, host=replace(idle.host, jobs=()))
    samples = [replace(idle if at in (0, 3) else gpu_sample(0.9), time=1000.0 + at) for at in range(4)]
    found = summarised(samples, 1000.0, 1003.0)
    assert [(mark.time, mark.run, mark.begins) for mark in found.marks] == [(1001.0, 12, True), (1003.0, 12, False)]
    assert [round(span.utilisation or 0, 1) for span in found.spans if span.gpu == 0] == [0.1, 0.9, 0.9, 0.1]


def test_doctor_says_whether_the_commands_are_there(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    panel_home.config.write_text(
        'on_alert = "no-such-program --loud"\non_finish = "FOO=1 sh -c true"\n[alerts]\nx = 1\n'
    )
    run(["doctor", "--json", "--home", str(panel_home.root)])
    found = {check["check"]: check for check in json.loads(capsys.readouterr().out)}
    assert (found["on_alert"]["state"], found["on_finish"]["state"], found["alerts"]["state"]) == (
        "missing",
        "ok",
        "warn",
    )
    assert "no-such-program" in found["on_alert"]["detail"]
