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
from contextlib import closing
from pathlib import Path

from backends.jobs import lock
from backends.jobs.alarms import Alarms
from backends.jobs.energy import EnergyMeter
from backends.jobs.engines.watch import Watch
from backends.jobs.files import complain
from backends.jobs.peaks import note_vram
from backends.jobs.planning import Planner
from backends.jobs.reconcile import Rotas, tick, work_left, worker_pids
from backends.jobs.spawn import start_dispatcher
from backends.jobs.starts import Replaced
from backends.telemetry.codec import to_compact
from backends.telemetry.sample import Telemetry
from backends.telemetry.sampler import Sampler
from db.connect import SchemaMismatch, SchemaTooNew, bump, connect, immediate
from db.home import Home
from db.migrate import require_current
from db.runs.queries import active_runs
from db.runs.schema import MIGRATIONS
from db.runs.telemetry import add_sample

TICK_S = 0.5
TROUBLE_S = 5.0
SAMPLE_S = 1.0


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
        self._alarms = Alarms(home, conn)
        self._watch = Watch(home)
        self._rotas = Rotas()
        self._planner = Planner(home, conn, self._alarms)

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
        self._planner.start_what_fits(self._sample, self._held)

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
