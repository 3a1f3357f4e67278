"""The dispatcher's watch: alerts from samples and runs, and the user's commands when one is raised or a run ends.

What was told already stands in HOME/alerts.json, so a new dispatcher does not tell it again. The panel reads that
file, and watches the machine by itself where no dispatcher lives.
"""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from backends.jobs.files import complain, read_json, write_json
from backends.jobs.hook import start_hook
from backends.telemetry.rules import Alert, Known, Reading, alerts_of, step
from backends.telemetry.sample import Telemetry
from backends.telemetry.symptoms import Wishes, lasting, read_wishes, symptoms
from db.home import Home
from db.runs.queries import active_runs, get_run, scores
from db.runs.rows import Run, Score
from db.runs.states import END_STATES

RUNS_S = 5.0
"""So often the runs' files are looked at."""
_AT_ONCE = 8
"""More commands than this at a time are not started."""
_SIGNS_OF_LIFE = ("events.jsonl", "predictions.jsonl", "log.txt")


class Alarms:
    """One life of a dispatcher's watch."""

    def __init__(self, home: Home, conn: sqlite3.Connection) -> None:
        self._home = home
        self._conn = conn
        alerts, self._live = read_state(home)
        self._known = {alert.key: Known(alert=alert) for alert in alerts}
        self._runs: tuple[Reading, ...] = ()
        self._runs_at = float("-inf")
        self._hooks: list[subprocess.Popen[bytes]] = []
        self._wishes = Wishes()
        self._stamp: float | None = -1.0

    def look(self, sample: Telemetry) -> None:
        """Raise and end alerts by one sample."""
        wishes = self._current()
        if time.monotonic() - self._runs_at >= RUNS_S:
            self._runs_at = time.monotonic()
            self._runs = tuple(run_symptoms(self._conn, self._home, sample))
        readings = lasting(chain(symptoms(sample), self._runs), self._known)
        before = {key for key, one in self._known.items() if one.alert is not None}
        found = step(self._known, readings, wishes.limits, sample.time)
        self._known = found.known
        if found.raised or found.cleared or before != {alert.key for alert in alerts_of(found.known)}:
            self._write()
        for alert in found.raised:
            complain(f"alert: {alert.text}")
            self._call(wishes, wishes.on_alert, self._facts_of_alert(alert))

    def started(self, run: int, attempt: int) -> None:
        """A run was started: its end is to be told."""
        if self._live.get(run) != attempt:
            self._live[run] = attempt
            self._write()

    def finished(self) -> None:
        """Tell of the runs that have ended since the last look."""
        # An engine may begin and end a run between two looks.
        elsewhere = "SELECT id, attempt FROM runs WHERE state = 'queued' AND engine IS NOT NULL"
        now = dict(tuple(row) for row in self._conn.execute(elsewhere))
        now |= {run.id: run.attempt for run in active_runs(self._conn)}
        gone = [run for run, attempt in self._live.items() if now.get(run) != attempt]
        if not gone and now == self._live:
            return
        ended = [run for number in gone if (run := get_run(self._conn, number)) is not None]
        over = [run for run in ended if run.state in END_STATES and not _never_began(run)]
        waiting = {run.id: self._live[run.id] for run in ended if run.state not in END_STATES and run.id not in now}
        # One that was just started may not be seen as active yet; one that is gone for good is forgotten.
        self._live = waiting | now
        self._write()
        wishes = self._current()
        for run in over:
            self._call(wishes, wishes.on_finish, self._facts_of_run(run) | {"FADA_EVENT": "finish"})

    def _current(self) -> Wishes:
        """The user's wishes, read again where the file has changed."""
        try:
            stamp: float | None = self._home.config.stat().st_mtime
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp, self._wishes = stamp, read_wishes(self._home.config)
            for problem in self._wishes.problems:
                complain(f"{self._home.config}: {problem}")
        return self._wishes

    def _call(self, wishes: Wishes, command: str | None, facts: Mapping[str, str]) -> None:
        self._hooks = [hook for hook in self._hooks if hook.poll() is None]
        if command is None:
            return
        if len(self._hooks) >= _AT_ONCE:
            complain(f"{len(self._hooks)} commands of yours are running: not started for {facts}")
            return
        try:
            self._hooks.append(start_hook(self._home, command, facts, wishes.timeout_s))
        except OSError as error:
            complain(f"your command could not be started: {error}")

    def _facts_of_alert(self, alert: Alert) -> dict[str, str]:
        run = get_run(self._conn, alert.run) if alert.run is not None else None
        facts = self._facts_of_run(run) if run is not None else {}
        return facts | {
            "FADA_EVENT": "alert",
            "FADA_ALERT": alert.kind,
            "FADA_ALERT_KEY": alert.key,
            "FADA_ALERT_TEXT": alert.text,
        }

    def _facts_of_run(self, run: Run) -> dict[str, str]:
        found = scores(self._conn, run.id, overall_only=True)
        seconds = run.ended - run.started if run.ended is not None and run.started is not None else None
        facts = {
            "FADA_RUN": run.id,
            "FADA_KIND": run.kind,
            "FADA_TASK": run.task,
            "FADA_MODEL": run.model,
            "FADA_STATE": run.state,
            "FADA_REASON": run.reason,
            "FADA_EXIT_CODE": run.exit_code,
            "FADA_SECONDS": None if seconds is None else round(seconds),
            "FADA_SCORES": scores_text(found),
            "FADA_RUN_DIR": run.run_dir,
        }
        return {name: "" if value is None else str(value) for name, value in facts.items()}

    def _write(self) -> None:
        try:
            write_state(self._home, alerts_of(self._known), self._live)
        except OSError as error:
            complain(f"{state_file(self._home)}: {error}")


def scores_text(found: Sequence[Score]) -> str:
    """``cosine=0.6402 exact=0.35 alarms=collapse,coverage``: a score does not leave the house without its alarms."""
    values = [f"{score.metric}={score.value:.4g}" for score in found if score.value is not None]
    kinds = dict.fromkeys(alarm.kind for score in found for alarm in score.alarms)
    return " ".join([*values, *([f"alarms={','.join(kinds)}"] if kinds else [])])


def _never_began(run: Run) -> bool:
    """One that was taken out of an engine's queue is told as little as one that was taken out of ours."""
    return run.state == "cancelled" and run.started is None


def state_file(home: Home) -> Path:
    return home.root / "alerts.json"


def read_state(home: Home) -> tuple[tuple[Alert, ...], dict[int, int]]:
    """The alerts that are up, and the attempt of each run whose end is still to be told."""
    document = read_json(state_file(home)) or {}
    try:
        alerts = tuple(
            Alert(item["key"], item["kind"], item["text"], float(item["since"]), item.get("run"))
            for item in document.get("alerts", ())
        )
        return alerts, {int(run): int(attempt) for run, attempt in document.get("live", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return (), {}


def write_state(home: Home, alerts: tuple[Alert, ...], live: Mapping[int, int]) -> None:
    write_json(
        state_file(home),
        {"version": 1, "alerts": [asdict(alert) for alert in alerts], "live": {str(run): live[run] for run in live}},
    )


def run_symptoms(conn: sqlite3.Connection, home: Home, sample: Telemetry) -> Iterator[Reading]:
    """What the runs that claim to run tell, and what they do not."""
    for run in active_runs(conn):
        if run.state != "running":
            continue
        name = f"#{run.id} {run.label}"
        yield Reading(f"idle:{run.id}", "idle", _busy(conn, run, sample), f"{name} runs and the GPU is idle", run.id)
        still = _still_s(home.run_dir(run.id), run, sample.time)
        if still is not None:
            how_long = f"{still:.0f} s" if still < 120 else f"{still / 60:.0f} min"
            text = f"{name}: nothing heard of it for {how_long}"
            yield Reading(f"stalled:{run.id}", "stalled", still, text, run.id)
        lost = _lost_loss(conn, run.id)
        if lost is not None:
            yield Reading(f"nan:{run.id}", "nan", 1, f"{name}: {lost} is not a number", run.id)


def _busy(conn: sqlite3.Connection, run: Run, sample: Telemetry) -> float | None:
    """How busy the cards are that a run is on, or that it has reserved memory of; None where that is not known."""
    on = [gpu for gpu in sample.gpus if any(process.run == run.id for process in gpu.processes)]
    if not on and run.engine is not None:
        return None
    if not on:
        row = conn.execute("SELECT json_extract(spec, '$.reserve.memory') FROM runs WHERE id = ?", (run.id,)).fetchone()
        if not (run.reserved_bytes and row[0] == "VRAM"):
            return None
        on = list(sample.gpus)
    shares = [gpu.utilisation for gpu in on if gpu.utilisation is not None]
    return max(shares, default=None)


def _still_s(folder: Path, run: Run, now: float) -> float | None:
    """Since when a run has written nothing; None of a command that tells no events: it may be silent."""
    stamps = {}
    for name in _SIGNS_OF_LIFE:
        try:
            found = (folder / name).stat()
        except OSError:
            continue
        if found.st_size:
            stamps[name] = found.st_mtime
    if run.kind == "run" and "events.jsonl" not in stamps:
        return None
    return max(0.0, now - max([*stamps.values(), run.started or now]))


def _lost_loss(conn: sqlite3.Connection, run: int) -> str | None:
    """The name of a loss whose newest value is not a number."""
    for curve, name in conn.execute("SELECT id, name FROM curves WHERE run = ? AND name LIKE '%loss%'", (run,)):
        row = conn.execute("SELECT value FROM metrics WHERE curve = ? ORDER BY step DESC LIMIT 1", (curve,)).fetchone()
        if row is not None and row[0] is None:
            return str(name)
    return None
