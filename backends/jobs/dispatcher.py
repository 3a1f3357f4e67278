"""The dispatcher: reconciles, admits, starts runners, records telemetry; stateless, so killing it is harmless.

Started on demand (``python -P -m backends.jobs.dispatcher --home HOME``), one at a time by flock; it ends when
nothing is queued or running.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

from backends.jobs import lock
from backends.jobs.admission import Capacity, Claim, admit
from backends.jobs.engines import local
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import set_reason, tick, waits_for, work_left, worker_pids
from backends.telemetry.codec import to_dict
from backends.telemetry.sample import Telemetry
from backends.telemetry.sampler import Sampler
from db.connect import bump, connect, immediate
from db.home import Home
from db.migrate import require_current
from db.runs.queries import active_runs, runs_in_state
from db.runs.rows import Run
from db.runs.schema import MIGRATIONS

TICK_S = 0.5
SAMPLE_S = 1.0
KEEP_SAMPLES_S = 24 * 3600.0


class Dispatcher:
    """One life of the dispatcher. It holds no state that a new one would miss."""

    def __init__(self, home: Home, conn: sqlite3.Connection) -> None:
        self._home = home
        self._conn = conn
        self._sampler = Sampler(home)
        self._sample: Telemetry | None = None
        self._sampled_at = 0.0

    def serve(self) -> None:
        """Tick until no work is left."""
        while work_left(self._conn):
            tick(self._conn, self._home)
            self._record_sample()
            self._start_what_fits()
            time.sleep(TICK_S)

    def _start_what_fits(self) -> None:
        assert self._sample is not None
        active = active_runs(self._conn)
        ready: list[Run] = []
        for run in runs_in_state(self._conn, "queued"):
            parents = waits_for(self._conn, run.id)
            if parents:
                set_reason(self._conn, run.id, "after " + ", ".join(f"#{parent}" for parent in parents))
            else:
                ready.append(run)
        capacity = capacity_of(self._sample)
        verdicts = admit([self._claim(run) for run in ready], [self._claim(run) for run in active], capacity)
        for verdict in verdicts:
            if verdict.reason is None and local.start(self._home, verdict.run):
                ingest(self._conn, self._home, verdict.run)
            else:
                set_reason(self._conn, verdict.run, verdict.reason)

    def _claim(self, run: Run) -> Claim:
        row = self._conn.execute("SELECT exclusive FROM runs WHERE id = ?", (run.id,)).fetchone()
        return Claim(run.id, max(run.reserved_bytes or 0, run.peak_bytes or 0), bool(row[0]))

    def _record_sample(self) -> None:
        if time.monotonic() - self._sampled_at < SAMPLE_S and self._sample is not None:
            return
        self._sampled_at = time.monotonic()
        self._sample = self._sampler.sample(worker_pids(self._conn, self._home))
        with immediate(self._conn):
            self._conn.execute(
                "INSERT OR REPLACE INTO samples(t, body) VALUES (?, ?)",
                (self._sample.time, json.dumps(to_dict(self._sample))),
            )
            self._conn.execute("DELETE FROM samples WHERE t < ?", (self._sample.time - KEEP_SAMPLES_S,))
            bump(self._conn, "samples")


def capacity_of(sample: Telemetry) -> Capacity:
    """The first card's VRAM, or where there is none the host's RAM; one slot a core.

    ``external`` is what processes hold that are not in any run's tree.
    """
    gpu = next((gpu for gpu in sample.gpus if gpu.memory_total), None)
    if gpu is not None:
        ours = sum(process.memory or 0 for process in gpu.processes if process.run is not None)
        return Capacity(gpu.memory_total or 0, max(0, (gpu.memory_used or 0) - ours), sample.host.cores, "VRAM")
    ours = sum(job.memory for job in sample.host.jobs)
    external = max(0, sample.host.memory_used - ours)
    return Capacity(sample.host.memory_total, external, sample.host.cores, "RAM")


def run(home: Home) -> None:
    """Serve while there is work. After letting the lock go it looks once more: work queued in that moment
    found the lock held, so nobody else was started for it.
    """
    while True:
        descriptor = lock.take(home.dispatcher_lock)
        if descriptor is None:
            return
        conn = connect(home.runs_db)
        try:
            require_current(conn, MIGRATIONS, home.runs_db)
            Dispatcher(home, conn).serve()
        finally:
            os.close(descriptor)
        again = work_left(conn)
        conn.close()
        if not again:
            return


def main() -> None:
    parser = argparse.ArgumentParser(prog="backends.jobs.dispatcher")
    parser.add_argument("--home", type=Path, required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run(Home(args.home))


if __name__ == "__main__":
    main()
