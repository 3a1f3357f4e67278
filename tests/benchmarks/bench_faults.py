"""Random kill -9 of panel, dispatcher, runners, workers and commands over a queue of real jobs; then all is checked.

``python tests/benchmarks/bench_faults.py --kills 300``. One JSON line; ``violations`` must be empty: every job in its
right state and without a process that it left, every complete event line in the index exactly once, no job twice at the
same time, nothing called done that was not, and of each evaluation every answer, once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import psutil
from faults_evals import go_on, queue_evaluations, wrong_answers
from terminal import Terminal

from backends.jobs.errors import QueueError
from backends.jobs.orphan import processes_of
from backends.jobs.queue import resume
from backends.jobs.reconcile import tick_and_wake
from backends.jobs.reindex import reindex
from backends.jobs.store import run_ids
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.runs.queries import list_runs, runs_in_state
from db.runs.rows import Run

JOB = Path(__file__).with_name("faults_job.py")
WAITING = 6
"""Jobs kept in the queue while the killing goes on."""
PATIENCE_S = 240.0
WEIGHTS = {"dispatcher": 3, "runner": 4, "worker": 4, "command": 1, "panel": 1}
"""How often each kind of process is struck at; commands less, else no job is ever queued."""


class Chaos:
    """One HOME, its jobs, and what was done to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.home = Home(folder / "home").ensure()
        migrate(self.home)
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.chance = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.hurt: set[int] = set()
        """Runs whose worker or runner was killed."""
        self.commands: list[subprocess.Popen[bytes]] = []
        self.asked_to_end: set[int] = set()
        self.evaluations: set[int] = set()
        self.fallen: list[int] = []
        """Exit codes of panels that nobody killed."""
        self.panel = self._open_panel()

    def _open_panel(self) -> Terminal:
        return Terminal([sys.executable, "-P", "-m", "fada_tui", "--home", str(self.home.root)])

    def look(self) -> None:
        """As somebody who sits at the panel: walk about in it, and open it again where it is gone."""
        code = self.panel.process.poll()
        if code is not None:
            if code != -9:
                self.fallen.append(code)
            self.panel.close()
            self.panel = self._open_panel()
        self.panel.read_for(0.01)
        if self.chance.random() < 0.3:
            self.panel.press(self.chance.choice((b"1", b"2", b"4", b"j", b"k", b"\t")))

    def leave(self) -> None:
        """Quit the panel, which must end well; where the last kill struck it, a new one."""
        self.look()
        self.panel.read_for(5.0, b"Tier 1")
        self.panel.press(b"q")
        deadline = time.monotonic() + PATIENCE_S
        while (code := self.panel.process.poll()) is None and time.monotonic() < deadline:
            self.panel.read_for(0.1)
        if code != 0:
            self.fallen.append(-1 if code is None else code)
        self.panel.close()

    def fada(self, *words: str) -> None:
        """Start a command and do not wait for it."""
        self.commands.append(
            subprocess.Popen(
                [sys.executable, "-P", "-m", "fada_tui", "--home", str(self.home.root), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    def command(self) -> None:
        """One of the things that people do."""
        runs = run_ids(self.home)
        one = str(self.chance.choice(runs)) if runs else None
        dice = self.chance.random()
        if dice < 0.6 or one is None:
            lines, code = self.chance.randrange(1, 60), self.chance.choice((0, 0, 0, 3))
            after = ["--after-any", one] if one and dice < 0.1 else []
            words = [sys.executable, str(JOB), str(self.notes), str(lines), str(code)]
            self.fada("run", *after, "--", *words)
        elif dice < 0.68:
            self.asked_to_end.add(int(one))
            self.fada("cancel", one)
        elif dice < 0.76:
            self.fada("retry", str(self.chance.choice([run for run in runs if run not in self.evaluations] or runs)))
        elif dice < 0.80:
            self.fada("reindex")
        elif dice < 0.88:
            self.fada("pause", self._running() or one)
        elif dice < 0.92:
            self.fada("resume", one)
        else:
            self.fada("jobs", "--json")

    def _running(self) -> str | None:
        with closing(connect(self.home.runs_db)) as conn:
            runs = [run.id for run in runs_in_state(conn, "running", "paused")]
        return str(self.chance.choice(runs)) if runs else None

    def waiting(self) -> int:
        with closing(connect(self.home.runs_db)) as conn:
            return int(conn.execute("SELECT count(*) FROM runs WHERE state IN ('queued', 'starting')").fetchone()[0])

    def strike(self) -> None:
        """Kill one process of a kind chosen by chance."""
        victims = self._victims()
        kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if not victims[kind]:
            return
        process, run = self.chance.choice(victims[kind])
        with suppress(psutil.NoSuchProcess):
            if run is not None:
                self.hurt.add(run)
            process.kill()
            self.kills[kind] += 1

    def _victims(self) -> dict[str, list[tuple[psutil.Process, int | None]]]:
        found: dict[str, list[tuple[psutil.Process, int | None]]] = {
            "dispatcher": [],
            "runner": [],
            "worker": [],
            "command": [],
            "panel": [(psutil.Process(self.panel.process.pid), None)] if self.panel.process.poll() is None else [],
        }
        own = {command.pid for command in self.commands if command.poll() is None}
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if process.pid in own:
                found["command"].append((process, None))
            elif str(self.home.root) in words and "backends.jobs.dispatcher" in words:
                found["dispatcher"].append((process, None))
            elif str(self.home.root) in words and "backends.jobs.runner" in words:
                found["runner"].append((process, int(words[words.index("--run") + 1])))
            elif str(self.home.root) in words and "backends.worker" in words:
                found["worker"].append((process, int(words[words.index("--run") + 1])))
            elif str(JOB) in words and str(self.notes) in words:
                with suppress(psutil.Error, KeyError):
                    found["worker"].append((process, int(process.environ()["FADA_RUN"])))
        return found

    def settle(self) -> list[Run]:
        """Wait, as a person who looks now and then, until every job is over."""
        for command in self.commands:
            command.wait()
        deadline, before = time.monotonic() + PATIENCE_S, 0
        with closing(connect(self.home.runs_db)) as conn:
            while True:
                tick_and_wake(conn, self.home)
                runs = list_runs(conn)
                for run in runs:
                    if run.state == "paused":
                        with suppress(QueueError):
                            resume(self.home, run.id)
                self.panel.read_for(0.01)
                if (size := self._written()) != before:  # a slow machine is not a job that stands still
                    deadline, before = time.monotonic() + PATIENCE_S, size
                if (all(run.is_over for run in runs) and not go_on(self.home, runs)) or time.monotonic() > deadline:
                    return runs
                time.sleep(0.2)

    def _written(self) -> int:
        """What the jobs have to say, in bytes, their attempts included."""
        return sum(path.stat().st_size for path in self.home.runs.glob("*/*") if path.suffix in (".jsonl", ".txt"))

    def noted(self, name: str) -> list[str]:
        path = self.notes / name
        return path.read_text().splitlines() if path.exists() else []


def violations(chaos: Chaos, runs: list[Run]) -> list[str]:
    """Everything that is not as it must be."""
    found = [f"#{run} ran twice at the same time" for run in chaos.noted("overlaps")]
    starts = Counter(map(int, chaos.noted("starts")))
    found += [f"#{run} was started {count} times" for run, count in starts.items() if count > 1]
    ends = {int(run): int(code) for run, code in map(str.split, chaos.noted("ends"))}
    if missing := set(starts) - {run.id for run in runs}:
        found.append(f"jobs that ran are not in the index: {sorted(missing)}")
    found += [f"the panel ended by itself with {code}" for code in chaos.fallen]
    found += [f"#{run.id} has left a process" for run in runs if processes_of(chaos.home.run_dir(run.id))]
    for run in runs:
        if run.kind == "run":
            found += [f"#{run.id} {text}" for text in wrong_state(run, chaos, starts[run.id], ends.get(run.id))]
    with closing(connect(chaos.home.runs_db)) as conn:
        before = snapshot(conn)
        for run in runs:
            if run.kind == "run":
                found += [f"#{run.id}: {text}" for text in wrong_events(chaos.home, conn, run.id)]
            else:
                found += [f"#{run.id}: {text}" for text in wrong_answers(chaos.home, conn, run)]
        reindex(chaos.home)
        if snapshot(conn) != before:
            found.append("reindex gave other rows")
    return found


def wrong_state(run: Run, chaos: Chaos, started: int, code: int | None) -> list[str]:
    """The state against what the job itself noted and what was done to it."""
    if not run.is_over:
        return [f"is still {run.state}: {run.reason}"]
    hurt = run.id in chaos.hurt
    right = {
        "done": code == 0 and run.exit_code == 0,
        "failed": (code not in (0, None) and run.exit_code == code) or (hurt and run.signal == 9),
        "cancelled": run.id in chaos.asked_to_end or (not started and bool(run.after)),
        "lost": hurt,
    }[run.state]
    if not right:
        return [f"is {run.state} ({run.reason}), but it noted {code}, started {started} times, hurt: {hurt}"]
    if not hurt and run.id not in chaos.asked_to_end and started and run.state not in ("done", "failed"):
        return [f"is {run.state} though nothing happened to it"]
    return []


def wrong_events(home: Home, conn: sqlite3.Connection, run_id: int) -> list[str]:
    """Complete lines of the file against the rows."""
    path = home.run_dir(run_id) / "events.jsonl"
    written: Counter[str] = Counter()
    steps = set()
    for line in (path.read_bytes() if path.exists() else b"").split(b"\n")[:-1]:
        with suppress(ValueError):
            event = json.loads(line)
            if event["kind"] == "message":
                written[event["text"]] += 1
            elif event["kind"] == "metric":
                steps.add(event["step"])
    rows = Counter(
        row[0] for row in conn.execute("SELECT text FROM messages WHERE run = ? AND level = 'info'", (run_id,))
    )
    points = {
        row[0]
        for row in conn.execute(
            "SELECT step FROM metrics WHERE curve IN (SELECT id FROM curves WHERE run = ?)", (run_id,)
        )
    }
    found = []
    if rows != written:
        found.append(f"messages differ: {list((rows - written) + (written - rows))[:3]}")
    if points != steps:
        found.append(f"metrics differ: {sorted(points ^ steps)[:3]}")
    return found


def snapshot(conn: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    queries = (
        "SELECT id, state, exit_code, signal, attempt, started, ended, position FROM runs ORDER BY id",
        "SELECT run, parent, any_end FROM dependencies ORDER BY 1, 2",
        "SELECT run, file, offset FROM offsets ORDER BY 1, 2",
        "SELECT run, level, text FROM messages ORDER BY run, id",
        "SELECT c.run, c.name, m.step, m.value FROM metrics m JOIN curves c ON c.id = m.curve ORDER BY 1, 2, 3",
    )
    return [[tuple(row) for row in conn.execute(query)] for query in queries]


def rampage(chaos: Chaos, kills: int) -> None:
    """Strike until there were so many kills, with always something in the queue."""
    while sum(chaos.kills.values()) < kills:
        chaos.commands = [command for command in chaos.commands if command.poll() is None]
        if len(chaos.commands) < 3 and (chaos.waiting() < WAITING or chaos.chance.random() < 0.3):
            chaos.command()
        time.sleep(chaos.chance.uniform(0, 0.3))
        chaos.look()
        chaos.strike()


def explain(chaos: Chaos, runs: list[Run]) -> None:
    """On standard error, what is known of jobs that did not come to their end."""
    for run in runs:
        if not run.is_over:
            folder = chaos.home.run_dir(run.id)
            for path in (folder / "control.json", *sorted((folder / "attempts").glob("*.json"))):
                print(path, path.read_text(), file=sys.stderr)
            print((folder / "log.txt").read_text(errors="replace")[-2000:], file=sys.stderr)
    for process in psutil.process_iter(["pid", "ppid", "status", "cmdline"]):
        if str(chaos.home.root) in (process.info["cmdline"] or []):
            print(process.info, file=sys.stderr)


def end_processes(home: Home) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(str(home.root.parent)) for word in process.info["cmdline"] or []):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=3, help="of a tiny model, among the other jobs")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    os.environ.pop("FADA_EVENTS", None)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        chaos = Chaos(Path(name), args.seed)
        try:
            if args.evaluations:
                queue_evaluations(chaos.home, Path(name), args.evaluations)
                chaos.evaluations.update(run_ids(chaos.home))
            rampage(chaos, args.kills)
            runs = chaos.settle()
            if not all(run.is_over for run in runs):
                explain(chaos, runs)
            chaos.leave()
            found = violations(chaos, runs)
        finally:
            end_processes(chaos.home)
    states = Counter(run.state for run in runs)
    figure = {"figure": "random kill -9", "value": sum(chaos.kills.values()), "unit": "kills", "killed": chaos.kills}
    ends = {"runs": len(runs), "states": states, "seconds": round(time.monotonic() - begin), "seed": args.seed}
    print(json.dumps({**figure, **ends, "violations": found}))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
