"""The program is replaced while jobs run: they come to their right end, what waits starts, nothing is lost or invented."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from tests.conftest import end_processes
from tests.e2e.conftest import Tmux
from tests.e2e.releases import Release

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(900)]
PATIENCE_S = 240.0

LONG = """
import json, os, sys, time
file = open(os.environ["FADA_EVENTS"], "a", buffering=1)
open(sys.argv[1] + ".starts", "a").write("x")
number = 0
while not os.path.exists(sys.argv[1]):
    file.write(json.dumps({"t": time.time(), "kind": "message", "level": "info", "text": str(number)}) + "\\n")
    number += 1
    time.sleep(0.02)
open(sys.argv[1] + ".said", "w").write(str(number))
sys.exit(int(sys.argv[2]))
"""
"""Speaks until its file is there, then ends with a code."""
WAITING = """
import os, fada_tui
print("version", fada_tui.__version__)
print("under", open(f"/proc/{os.getppid()}/cmdline").read().split("\\0")[3])
"""
EVALUATE = """
import sys
from pathlib import Path
from backends.jobs.queue import enqueue_eval
from db.home import Home
print(enqueue_eval(Home(Path(sys.argv[1])), sys.argv[2], data=sys.argv[3], generation={"batch_size": 1}))
"""


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


class Site:
    """One HOME, and the release that is installed now."""

    def __init__(self, folder: Path) -> None:
        self.release = Release(folder / "venv")
        self.home = Home(folder / "home")
        self._marks = folder

    def fada(self, *words: str) -> Any:
        done = self.release.run("--home", str(self.home.root), "--json", *words)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def queue(self, *command: str) -> int:
        return int(self.fada("run", "--", *command)["runs"][0])

    def long(self, name: str, code: int = 0) -> int:
        return self.queue(self.release.python, "-c", LONG, str(self._marks / name), str(code))

    def end(self, name: str) -> None:
        (self._marks / name).touch()

    def noted(self, name: str) -> str:
        return (self._marks / name).read_text()

    def jobs(self) -> dict[int, dict[str, Any]]:
        return {job["id"]: job for job in self.fada("jobs")}

    def state(self, run: int) -> str:
        return str(self.jobs()[run]["state"])

    def log(self, run: int) -> str:
        return (self.home.run_dir(run) / "log.txt").read_text()

    def attempt(self, run: int) -> dict[str, Any]:
        path = self.home.run_dir(run) / "attempts/1.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.home.runs_db}?mode=ro", uri=True)) as conn:
            return conn.execute(query).fetchall()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.fada("jobs")
    yield made
    end_processes(made.home)


def said_once(site: Site, run: int, name: str) -> None:
    """Every message that the job wrote is in the index, exactly once."""
    found = Counter(row[0] for row in site.rows(f"SELECT text FROM messages WHERE run = {run} AND level = 'info'"))
    assert found == Counter(str(number) for number in range(int(site.noted(f"{name}.said"))))
    assert site.noted(f"{name}.starts") == "x"


def test_a_new_release_with_a_new_schema_takes_over_what_runs_and_what_waits(
    site: Site, tmux: Tmux, tiny_checkpoint: Path, phantom_set: dict[str, str]
) -> None:
    good, bad = site.long("good"), site.long("bad", 3)
    until(lambda: {site.state(good), site.state(bad)} == {"running"})
    site.end("bad")
    until(lambda: site.state(bad) == "failed")
    words = [str(site.home.root), str(tiny_checkpoint), phantom_set["train"]]
    evaluation = int(subprocess.check_output([site.release.python, "-P", "-c", EVALUATE, *words], text=True))
    answers = site.home.run_dir(evaluation) / "predictions.jsonl"
    until(lambda: answers.exists() and answers.read_text().count("\n") >= 3)
    site.fada("pause", str(evaluation))
    before = answers.read_text().count("\n")
    waiting = [site.queue(site.release.python, "-P", "-c", WAITING) for _ in range(3)]
    tmux.start(120, 40, *site.release.fada, "--home", str(site.home.root))
    tmux.until(lambda screen: f"#{good}" in screen and "Tier 1" in screen)

    site.release.upgrade(schema=True)
    states = {run: job["state"] for run, job in site.jobs().items()}
    assert states == {good: "running", bad: "failed", evaluation: "paused", **dict.fromkeys(waiting, "queued")}
    tmux.until(lambda screen: "newer version" in screen)
    for key in ("?", "Escape", "2", "l", "Escape", "i", "Escape", "e", "Escape", "h"):
        tmux.keys(key)
        time.sleep(0.3)
    tmux.until(lambda screen: "newer version" in screen)
    until(lambda: "written by a newer version of fada-tui" in site.log(good))
    site.fada("resume", str(evaluation))
    site.end("good")
    until(lambda: all(job["ended"] for job in site.jobs().values()))
    jobs = site.jobs()
    assert {run: job["state"] for run, job in jobs.items()} == {
        good: "done",
        bad: "failed",
        evaluation: "done",
        **dict.fromkeys(waiting, "done"),
    }, [site.log(run) for run in jobs]
    said_once(site, good, "good")
    said_once(site, bad, "bad")
    assert site.log(good).count("written by a newer version") == 1
    for run in waiting:
        assert site.log(run).split() == ["version", "99.0", "under", "backends.jobs.attendant"]
    ids = Counter(json.loads(line)["id"] for line in answers.read_text().splitlines())
    asked = json.loads((site.home.run_dir(evaluation) / "spec.json").read_text())["data"]["samples"]
    assert len(ids) == asked > before and set(ids.values()) == {1} and jobs[evaluation]["attempt"] == 1
    assert site.rows(f"SELECT count(*) FROM predictions WHERE run = {evaluation}") == [(asked,)]
    scores = [score for score in site.fada("scores") if score["run"] == evaluation]
    assert {score["n"] for score in scores if score["question"] is None and score["category"] is None} == {asked}
    tmux.keys("Escape")
    time.sleep(0.5)  # together they would be another key
    tmux.keys("q")
    tmux.until(lambda screen: not screen.strip())


def test_what_waits_starts_under_a_release_that_came_unannounced(site: Site) -> None:
    """Nobody runs a command after the upgrade: the old dispatcher finds that what it starts is not there any more."""
    runs = [site.long("one"), site.long("two", 4)]
    until(lambda: {site.state(run) for run in runs} == {"running"})
    slots = len(os.sched_getaffinity(0))
    fillers = [site.long(f"filler{number}") for number in range(max(0, slots - 2))]
    waiting = site.queue(site.release.python, "-P", "-c", WAITING)
    site.release.upgrade(schema=False)
    for name in ("one", "two", *(f"filler{number}" for number in range(len(fillers)))):
        site.end(name)
    until(lambda: site.attempt(waiting).get("ended"))
    assert re.findall(r"version 99.0|under \S+", site.log(waiting)) == ["version 99.0", "under backends.jobs.attendant"]
    jobs = site.jobs()
    assert [(jobs[run]["state"], jobs[run]["exit_code"]) for run in (*runs, waiting)] == [
        ("done", 0),
        ("failed", 4),
        ("done", 0),
    ]
    said_once(site, runs[0], "one")
    said_once(site, runs[1], "two")


def test_an_older_release_refuses_a_newer_database_and_changes_nothing(site: Site, tmp_path: Path) -> None:
    old = Release(tmp_path / "old")
    first = site.queue("true")
    site.release.upgrade(schema=True)
    until(lambda: site.state(first) == "done")
    before = site.rows("SELECT id, state FROM runs")
    (version,) = site.rows("PRAGMA user_version")
    for words in (["jobs"], ["run", "--", "true"], ["reindex"], ["rm", str(first)], ["done", "1"], ["models"], []):
        done = old.run("--home", str(site.home.root), *words)
        assert done.returncode == (1 if words else 2), done  # the panel misses a terminal first
        if words:
            assert "written by a newer version of fada-tui" in done.stderr and "update" in done.stderr, done.stderr
            assert "Traceback" not in done.stderr
    checks = {
        check["check"]: check for check in json.loads(old.run("--home", str(site.home.root), "--json", "doctor").stdout)
    }
    assert "newer version" in checks["run index"]["detail"] and checks["tracker database"]["state"] == "ok"
    assert site.rows("SELECT id, state FROM runs") == before and site.rows("PRAGMA user_version") == [version]
    assert sorted(os.listdir(site.home.runs)) == sorted([".last_id", str(first)])
    assert site.state(site.queue("true")) in ("queued", "starting", "running", "done")
