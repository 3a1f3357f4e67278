"""The dispatcher: reconciles, admits, starts runners, records telemetry; stateless, so killing it is harmless.

Started on demand (``python -P -m backends.jobs.dispatcher --home HOME``), one at a time by flock; it ends when
nothing is queued or running.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs import lock
from backends.jobs.admission import MARGIN, Capacity, Claim, admit
from backends.jobs.alarms import Alarms
from backends.jobs.energy import EnergyMeter
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.engines.machine import capacity_of
from backends.jobs.engines.watch import Watch
from backends.jobs.files import complain
from backends.jobs.ingest import ingest
from backends.jobs.peaks import note_vram
from backends.jobs.reconcile import FULL, Rotas, set_reason, tick, unusable, waited_for, work_left, worker_pids
from backends.jobs.spawn import start_dispatcher
from backends.jobs.starts import Replaced, Starts
from backends.telemetry.codec import to_compact
from backends.telemetry.sample import Telemetry
from backends.telemetry.sampler import Sampler
from db.connect import SchemaMismatch, SchemaTooNew, bump, connect, immediate
from db.home import Home
from db.migrate import require_current
from db.runs.queries import active_runs, ready_here, ready_later, reasons_of_dependants, say_of_later
from db.runs.rows import Run
from db.runs.schema import MIGRATIONS
from db.runs.telemetry import add_sample

TICK_S = 0.5
TROUBLE_S = 5.0
SAMPLE_S = 1.0
SAY_S = 5.0
PLAN_S = 3.0
"""A queue that nothing has changed is planned anew so often: it may have been put in another order."""
_NOTICED = 64 << 20
"""Bytes that must have come free to plan anew before that."""
HEAD = 200
"""So many of those that could start are planned for, in the queue's order."""
AMONG_LATER = 20


@dataclass(frozen=True)
class Plan:
    """What the queue was last planned for."""

    of: tuple[Any, ...]
    external: int
    at: float


class Dispatcher:
    """One life of the dispatcher. It holds no state that a new one would miss."""

    def __init__(self, home: Home, conn: sqlite3.Connection) -> None:
        self._home = home
        self._conn = conn
        self._inode = home.runs_db.stat().st_ino
        self._sampler = Sampler(home)
        self._sample: Telemetry | None = None
        self._sampled_at = 0.0
        self._held: dict[int, int] = {}
        self._energy = EnergyMeter(home)
        self._starts = Starts()
        self._alarms = Alarms(home, conn)
        self._here = Local(home)
        self._watch = Watch(home)
        self._rotas = Rotas()
        self._plan: Plan | None = None
        self._said_at = float("-inf")

    def serve(self) -> None:
        """Serve until no work is left."""
        try:
            self._serve()
        finally:
            self._watch.end()
            self._energy.write()
            self._sampler.close()

    def _serve(self) -> None:
        """A full disk is waited for: what is queued must go on when there is room."""
        while True:
            pause = TICK_S
            try:
                if self._set_aside():
                    return
                self._alarms.finished()
                if not work_left(self._conn):
                    return
                tick(self._conn, self._home, self._rotas)
                self._watch.glance(self._conn)
                self._record_sample()
                self._start_what_fits()
            except (sqlite3.OperationalError, OSError) as error:
                if not _may_pass(error):
                    raise
                complain(f"dispatcher: {error}; trying again")
                pause = TROUBLE_S
            time.sleep(pause)

    def _set_aside(self) -> bool:
        """The index was damaged, and is not in its place any more or has another in its place."""
        try:
            return self._home.runs_db.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _start_what_fits(self) -> None:
        assert self._sample is not None
        active = [run for run in active_runs(self._conn) if run.engine is None]
        if not self._may_differ(active):
            return
        self._say_after()
        head = ready_here(self._conn, HEAD)
        if len(head) == HEAD:
            head += self._from_later(head[-1], active)
        ready = self._without_card([run for run in head if not self._waits(run)])
        capacity = capacity_of(self._sample)
        alone = self._alone()
        claims = [[self._claim(run, capacity, run.id in alone) for run in runs] for runs in (ready, active)]
        verdicts = admit(claims[0], claims[1], capacity)
        runs = {run.id: run for run in ready}
        for verdict in verdicts:
            if verdict.reason is None and self._start(runs[verdict.run]):
                self._starts.note(verdict.run, runs[verdict.run].attempt)
                self._alarms.started(verdict.run, runs[verdict.run].attempt)
                ingest(self._conn, self._home, verdict.run)
                self._plan = None
            elif verdict.reason is not None:
                self._say(runs[verdict.run], verdict.reason)

    def _may_differ(self, active: Sequence[Run]) -> bool:
        """Whether the queue or what runs has changed since the last plan, or memory came free; and now and then."""
        assert self._sample is not None
        queued = tuple(self._conn.execute("SELECT count(*), total(id) FROM runs WHERE state = 'queued'").fetchone())
        held = tuple((run.id, run.attempt, run.state, run.peak_bytes, self._held.get(run.id)) for run in active)
        now = (queued, held, card_away(self._sample))
        capacity, last = capacity_of(self._sample), self._plan
        if (
            last is not None
            and last.of == now
            and capacity.external + _NOTICED >= last.external
            and time.monotonic() - last.at < PLAN_S
        ):
            return False
        self._plan = Plan(now, capacity.external, time.monotonic())
        return True

    def _from_later(self, last: Run, active: Sequence[Run]) -> list[Run]:
        """Of a long queue the head is planned for, and of the others what fits into what is free, or only downloads."""
        assert self._sample is not None
        if time.monotonic() - self._said_at >= SAY_S:
            self._said_at = time.monotonic()
            say_of_later(self._conn, last, f"behind {HEAD} others")
        capacity = capacity_of(self._sample)
        taken = [run for run in active if run.task != "download"]
        held = sum(max(run.reserved_bytes or 0, self._held.get(run.id, 0)) for run in taken)
        free = capacity.total - capacity.external - held - MARGIN
        return ready_later(self._conn, last, free if len(taken) < capacity.slots else -1, AMONG_LATER)

    def _waits(self, run: Run) -> bool:
        """One whose runner ends before it begins, for a while."""
        reason = self._starts.waits(run.id, run.attempt)
        if reason is not None:
            self._say(run, reason)
        return reason is not None

    def _say_after(self) -> None:
        """Of those that wait for other runs, for which."""
        waits = waited_for(self._conn)
        if not waits:
            return
        for run, said in reasons_of_dependants(self._conn).items():
            if run in waits:
                reason = "after " + ", ".join(f"#{parent}" for parent in waits[run])
                if reason != said:
                    set_reason(self._conn, run, reason)

    def _say(self, run: Run, reason: str | None) -> None:
        """Why it waits; a transaction only where that has changed."""
        if run.reason != reason:
            set_reason(self._conn, run.id, reason)

    def _start(self, run: Run) -> bool:
        """False where it cannot be started now; what is wrong with one run's directory holds up no other run."""
        try:
            return self._here.submit([Order(run.id, run.attempt, {}, run.reserved_bytes or 0)], "")[0] is not None
        except OSError as error:
            if error.errno in FULL:
                raise
            set_reason(self._conn, run.id, unusable(error))
            return False

    def _without_card(self, ready: list[Run]) -> list[Run]:
        """Those that may start: where the card is lost or its driver hangs, what wants its memory waits."""
        assert self._sample is not None
        why = card_away(self._sample)
        if why is None:
            return ready
        left = []
        for run in ready:
            row = self._conn.execute(
                "SELECT json_extract(spec, '$.reserve.memory') FROM runs WHERE id = ?", (run.id,)
            ).fetchone()
            if run.reserved_bytes and row[0] == "VRAM":
                self._say(run, f"waits for the card: {why}")
            else:
                left.append(run)
        return left

    def _alone(self) -> set[int]:
        """Runs that need the machine alone."""
        rows = self._conn.execute(
            "SELECT id FROM runs WHERE exclusive = 1 AND state IN ('queued', 'starting', 'running', 'paused')"
        )
        return {row[0] for row in rows}

    def _claim(self, run: Run, capacity: Capacity, alone: bool) -> Claim:
        seen = max(run.peak_bytes or 0, self._held.get(run.id, 0))
        # What ran here once can run here again, whatever the sum of its processes' pages came to.
        most = max(run.reserved_bytes or 0, min(seen, capacity.total - MARGIN))
        return Claim(run.id, most, alone, aside=run.task == "download")

    def _record_sample(self) -> None:
        if time.monotonic() - self._sampled_at < SAMPLE_S and self._sample is not None:
            return
        self._sampled_at = time.monotonic()
        self._sample = self._sampler.sample(worker_pids(self._conn, self._home))
        self._note_peaks(self._sample)
        with immediate(self._conn):
            add_sample(self._conn, to_compact(self._sample))
            bump(self._conn, "samples")
        self._alarms.look(self._sample)

    def _note_peaks(self, sample: Telemetry) -> None:
        """What each live run was seen to take of the card goes into its directory, the peak before it can be over."""
        held = vram_by_run(sample)
        attempts = {run.id: run.attempt for run in active_runs(self._conn)} if sample.gpus else {}
        self._energy.add(sample, attempts)
        self._held = {
            run: note_vram(self._home.run_dir(run), attempts[run], size)
            for run, size in held.items()
            if run in attempts
        }


def vram_by_run(sample: Telemetry) -> dict[int, int]:
    """Bytes of card memory that each run's processes hold."""
    held: dict[int, int] = {}
    for process in (process for gpu in sample.gpus for process in gpu.processes):
        if process.run is not None and process.memory:
            held[process.run] = held.get(process.run, 0) + process.memory
    return held


def card_away(sample: Telemetry) -> str | None:
    """Why no card can be used now although there is one; None where one answers, or there is none at all."""
    if sample.silent_s is not None or (sample.gpus and all(gpu.reason for gpu in sample.gpus)):
        return sample.reason or "it does not answer"
    return None


def _may_pass(error: sqlite3.OperationalError | OSError) -> bool:
    """Whether it is the disk or a busy file, not a file that this program cannot read."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    passing = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in passing


def run(home: Home) -> None:
    """Serve while there is work. After letting the lock go it looks once more: work queued in that moment
    found the lock held, so nobody else was started for it.

    Raises:
        SchemaMismatch: The index is not one of this version.
    """
    while True:
        descriptor = lock.take(home.dispatcher_lock)
        if descriptor is None:
            return
        try:
            overtaken = _serve_until_overtaken(home)
        finally:
            os.close(descriptor)
        if overtaken:
            start_dispatcher(home)  # from what is on disk now
            return
        if not home.runs_db.exists():
            return  # whoever sets it aside makes a new one, and starts a dispatcher
        with closing(connect(home.runs_db)) as conn:
            if not work_left(conn):
                return


def _serve_until_overtaken(home: Home) -> bool:
    """Serve until no work is left, or, which is True, until a newer version of the program has come."""
    with closing(connect(home.runs_db)) as conn:
        require_current(conn, MIGRATIONS, home.runs_db)
        try:
            Dispatcher(home, conn).serve()
        except (SchemaTooNew, Replaced) as error:
            complain(f"dispatcher: {error}; a new one takes over")
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="backends.jobs.dispatcher")
    parser.add_argument("--home", type=Path, required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(Home(args.home))
    except SchemaMismatch as error:
        complain(f"dispatcher: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
