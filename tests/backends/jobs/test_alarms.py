"""Alerts and the user's commands: told once, with facts, by the dispatcher, and not again by the next one."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import hook
from backends.jobs.alarms import Alarms, read_state, run_symptoms, state_file
from backends.jobs.planning import card_away
from backends.telemetry.sample import Gpu, GpuProcess, Host, Telemetry
from db.connect import immediate
from db.home import Home
from db.runs.curves import add_points, curve_id
from db.runs.rows import Run

GIB = 1 << 30
CARD = Gpu(0, "Card", "u", 0.9, 10 * GIB, 32 * GIB, 400.0, 575.0, 60.0)
WELL = Telemetry(1000.0, (CARD,), None, Host(0.5, 8, GIB, 16 * GIB, 100 * GIB))
FULL = replace(WELL, host=replace(WELL.host, disk_free=GIB))
Until = Callable[..., Run]


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.05)


def listen(home: Home, name: str, more: str = "") -> Path:
    """Have the facts of each call appended to a file, a call a line."""
    told = home.root / f"{name}.txt"
    words = "$FADA_EVENT|$FADA_ALERT|$FADA_ALERT_TEXT|$FADA_RUN|$FADA_STATE|$FADA_EXIT_CODE|$FADA_HOME"
    home.config.write_text(home.config.read_text() if home.config.exists() else "")
    with home.config.open("a") as file:
        file.write(f"{name} = '''echo \"{words}\" >> {told}; {more}'''\n")
    return told


def lines(path: Path) -> list[list[str]]:
    return [line.split("|") for line in path.read_text().splitlines()] if path.exists() else []


def test_an_alert_calls_the_command_once_and_a_new_dispatcher_does_not_again(
    home: Home, runs_conn: sqlite3.Connection
) -> None:
    told = listen(home, "on_alert")
    alarms = Alarms(home, runs_conn)
    alarms.look(WELL)
    assert not state_file(home).exists()
    for _ in range(3):
        alarms.look(FULL)
    soon(lambda: lines(told))
    Alarms(home, runs_conn).look(FULL)
    assert [alert.kind for alert in read_state(home)[0]] == ["disk"]
    later = Alarms(home, runs_conn)
    for seconds in (0, 20):
        later.look(replace(WELL, time=WELL.time + seconds))
    assert read_state(home)[0] == ()
    soon(lambda: "alert disk: exit 0" in (home.root / "hooks.log").read_text())
    assert lines(told) == [["alert", "disk", "disk nearly full: 1.0 GiB free", "", "", "", str(home.root)]]


def test_a_finished_run_is_told_of_by_the_real_dispatcher_with_its_facts(
    home: Home, queue_python: Callable[..., int], until: Until
) -> None:
    told = listen(home, "on_finish")
    first, second = queue_python("print(1)"), queue_python("raise SystemExit(3)")
    until(first), until(second)
    soon(lambda: len(lines(told)) == 2)
    found = {line[3]: line for line in lines(told)}
    assert found[str(first)][4:6] == ["done", "0"]
    assert found[str(second)][4:6] == ["failed", "3"]
    soon(lambda: read_state(home)[1] == {})


def test_the_end_of_a_run_is_told_also_where_the_dispatcher_was_killed_meanwhile(
    home: Home, runs_conn: sqlite3.Connection, queue_python: Callable[..., int], until: Until
) -> None:
    done = queue_python("print(1)")
    until(done)
    told = listen(home, "on_finish")
    alarms = Alarms(home, runs_conn)
    alarms.started(done, 1)  # the state that a killed one leaves
    Alarms(home, runs_conn).finished()
    soon(lambda: len(lines(told)) == 1)
    Alarms(home, runs_conn).finished()
    assert read_state(home)[1] == {}


@pytest.mark.parametrize(("state", "started", "times"), [("done", 1.0, 1), ("failed", None, 1), ("cancelled", None, 0)])
def test_a_run_that_an_engine_begins_and_ends_between_two_looks_is_told_of(
    home: Home, runs_conn: sqlite3.Connection, state: str, started: float | None, times: int
) -> None:
    told = listen(home, "on_finish")
    with immediate(runs_conn):
        runs_conn.execute(
            "INSERT INTO runs(id, kind, model, state, engine, attempt, created, position, exclusive, spec) "
            "VALUES (7, 'run', 't', 'queued', 'cluster', 1, 1.0, 1.0, 0, '{}')"
        )
    alarms = Alarms(home, runs_conn)
    alarms.finished()
    with immediate(runs_conn):
        runs_conn.execute("UPDATE runs SET state = ?, started = ? WHERE id = 7", (state, started))
    for _ in range(2):
        alarms.finished()
    assert read_state(home)[1] == {}
    soon(lambda: times == 0 or ((home.root / "hooks.log").exists() and lines(told)))
    assert [line[3:5] for line in lines(told)] == [["7", state]] * times


def test_a_command_that_hangs_is_ended_with_all_that_it_started_and_holds_nobody_up(home: Home) -> None:
    mark = home.root / "mark"
    started = hook.start_hook(home, f"sleep 1000 & echo $! > {mark}; wait", {"FADA_EVENT": "alert"}, 1.0)
    assert started.wait(timeout=60) == 124
    pid = int(mark.read_text())
    soon(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])
    assert "stopped after 1 s" in (home.root / "hooks.log").read_text()


def test_facts_are_never_part_of_the_command(home: Home) -> None:
    evil = f"$(touch {home.root}/owned); `id`\0'\""
    process = hook.start_hook(home, 'printf %s "$FADA_MODEL" > said', {"FADA_MODEL": evil}, 10.0)
    assert process.wait(timeout=60) == 0
    assert (home.root / "said").read_text() == evil.replace("\0", " ")
    assert not (home.root / "owned").exists()


def test_a_damaged_state_file_and_a_missing_shell_harm_nobody(
    home: Home, runs_conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_file(home).write_text('{"alerts": [{"key": 3}], "live": "x"}')
    listen(home, "on_alert")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    alarms = Alarms(home, runs_conn)
    alarms.look(FULL)
    alarms.finished()
    assert [alert.kind for alert in read_state(home)[0]] == ["disk"]


def running(home: Home, conn: sqlite3.Connection, queue: Callable[..., int], until: Until, **parts: Any) -> int:
    run = queue("import time; time.sleep(1000)", **parts)
    until(run, lambda now: now.state == "running")
    return run


def readings(home: Home, conn: sqlite3.Connection, sample: Telemetry) -> dict[str, float | None]:
    return {one.kind: one.value for one in run_symptoms(conn, home, sample)}


def test_what_a_run_tells_of_idleness_silence_and_a_loss_that_is_no_number(
    home: Home, runs_conn: sqlite3.Connection, queue_python: Callable[..., int], until: Until
) -> None:
    run = running(home, runs_conn, queue_python, until)
    now = replace(WELL, time=time.time())
    # A command that tells no events and reserved nothing of the card may be silent and idle.
    assert readings(home, runs_conn, now) == {"idle": None}
    held = replace(CARD, utilisation=0.02, processes=(GpuProcess(1, GIB, "me", run),))
    assert readings(home, runs_conn, replace(now, gpus=(held,))) == {"idle": 0.02}
    events = home.run_dir(run) / "events.jsonl"
    events.write_text('{"t": 1, "kind": "message", "text": "x"}\n')
    stamp = time.time() - 900
    os.utime(events, (stamp, stamp))
    for name in ("log.txt",):
        if (home.run_dir(run) / name).exists():
            os.utime(home.run_dir(run) / name, (stamp, stamp))
    silent = readings(home, runs_conn, replace(now, time=now.time + 700))["stalled"]
    assert silent is not None and silent >= 600
    with immediate(runs_conn):
        curve = curve_id(runs_conn, run, "loss")
        add_points(runs_conn, curve, [(curve, 1, 0.5, 1.0), (curve, 2, None, 2.0)])
    assert readings(home, runs_conn, now)["nan"] == 1
    with immediate(runs_conn):
        add_points(runs_conn, curve, [(curve, 3, 0.4, 3.0)])
    assert "nan" not in readings(home, runs_conn, now)


@pytest.mark.parametrize(
    ("sample", "away"),
    [
        (WELL, False),
        (replace(WELL, gpus=(), reason="no NVIDIA driver"), False),
        (replace(WELL, gpus=(), reason="it hangs", silent_s=3.0), True),
        (replace(WELL, gpus=(replace(CARD, reason="lost"),), reason="lost"), True),
        (replace(WELL, gpus=(replace(CARD, reason="lost"), replace(CARD, index=1))), False),
    ],
)
def test_when_the_card_is_away(sample: Telemetry, away: bool) -> None:
    assert (card_away(sample) is not None) == away
