"""A long queue: what a tick of the dispatcher and the Queue pane cost with 1,000 waiting and 200 running, and 10,000
waiting, here; and on a real Slurm (as root, with its packages) what the watch's turn costs, jobs that sleep.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from backends.jobs import lock
from backends.jobs.dispatcher import Dispatcher
from backends.jobs.engines.submission import Submission, write_submission
from backends.jobs.engines.tending import Tending
from backends.jobs.ingest import insert_row
from backends.jobs.outlook import outlook
from backends.jobs.process import identity
from backends.jobs.reconcile import tick
from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.queries import Known, list_runs
from fada_tui.sources.views import RunList
from fada_tui.widgets.queuepane import QueuePane

FEW = (100, 20)
SIZES = ((1_000, 200), (10_000, 0))
ROUNDS = 5
SLURM_QUEUED, SLURM_RUNNING = 1_000, 200


@contextmanager
def queue_of(waiting: int, running: int, engine: dict[str, Any] | None = None) -> Iterator[Home]:
    """A HOME with so many runs; those that run here hold their locks through this process."""
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name)).ensure()
        migrate(home)
        held = []
        me = identity(os.getpid())
        parts = {"kind": "run", "task": None, "title": "sleep", "command": ["sleep", "600"], "created": 1.0}
        # More than any machine has: none of them is started.
        parts |= {"reserve": {"bytes": 1 << 50, "memory": "RAM"}, "env": {f"VARIABLE_{n}": "x" * 40 for n in range(40)}}
        if engine is not None:
            parts["engine"] = engine
        with closing(connect(home.runs_db)) as conn, immediate(conn):
            for run in range(1, waiting + running + 1):
                folder = home.run_dir(run)
                (folder / "attempts").mkdir(parents=True)
                (folder / "spec.json").write_text(json.dumps(parts))
                (folder / "control.json").write_text(json.dumps({"position": float(run)}))
                if run <= running and engine is None:
                    held.append(lock.take(folder / "lock"))
                    attempt = {"number": 1, "runner": vars(me), "worker": vars(me), "started": 1.0}
                    (folder / "attempts/1.json").write_text(json.dumps(attempt))
                insert_row(conn, run, parts, folder)
        time.sleep(1.5)  # what was written just now is looked at again
        try:
            yield home
        finally:
            for descriptor in held:
                if descriptor is not None:
                    os.close(descriptor)


def cost(work: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """The median of some rounds, in seconds; the first, which learns, is not counted."""
    taken = []
    for _ in range(ROUNDS + 1):
        begin = clock()
        work()
        taken.append(clock() - begin)
    return statistics.median(taken[1:])


def planned(dispatcher: Dispatcher) -> None:
    dispatcher._planner._plan = None
    dispatcher._start_what_fits()


def local_costs(waiting: int, running: int) -> dict[str, float]:
    with queue_of(waiting, running) as home, closing(connect(home.runs_db)) as conn:
        dispatcher = Dispatcher(home, conn)
        dispatcher._record_sample()
        known: Known = {}
        runs = tuple(list_runs(conn, limit=200))
        pane = QueuePane(str)
        pane.set_reactive(QueuePane.loaded, True)
        pane.set_reactive(QueuePane.runs, RunList(runs=runs))
        return {
            "a tick of a command": cost(lambda: tick(conn, home)),
            "a tick of the dispatcher": cost(lambda: tick(conn, home, dispatcher._rotas)),
            "planning the queue": cost(lambda: planned(dispatcher)),
            "a look at a queue that nothing has changed": cost(dispatcher._start_what_fits),
            "reading the queue for the panel": cost(lambda: list_runs(conn, limit=200)),
            "reading it again": cost(lambda: list_runs(conn, limit=200, known=known)),
            "its forecast": cost(lambda: outlook(conn)),
            "the Queue pane's rows": cost(lambda: pane.build(60, 14)),
        }


def tell(figure: str, value: float, against: str, ratio: float, unit: str = "ms") -> None:
    document = {"figure": figure, "value": round(value, 2), "unit": unit, "against": against, "ratio": round(ratio, 2)}
    print(json.dumps(document), flush=True)


def on_slurm() -> None:
    """Real jobs that sleep, 200 running and 1,000 waiting; runs that were handed on as those jobs."""
    sys.path.append(str(Path(__file__).parents[2]))
    from tests.servers.slurm import SlurmCluster, missing_for_slurm

    missing = missing_for_slurm()
    if missing:
        print(json.dumps({"figure": "Slurm", "value": None, "unit": "ms", "against": missing, "ratio": None}))
        return
    with tempfile.TemporaryDirectory(prefix="fada-slurm-") as name:
        cluster = SlurmCluster(Path(name), cpus=SLURM_RUNNING)
        try:
            cluster.start()
            _turns(cluster)
        finally:
            cluster.stop()


def _turns(cluster: Any) -> None:
    words = ("sbatch", "--parsable", "--output=/dev/null", "--wrap", "exec sleep 900")
    running = cluster.ask(*words, f"--array=0-{SLURM_RUNNING - 1}").strip()
    waiting = cluster.ask(*words, f"--array=0-{SLURM_QUEUED - 1}").strip()
    jobs = [f"{running}_{n}" for n in range(SLURM_RUNNING)] + [f"{waiting}_{n}" for n in range(SLURM_QUEUED)]
    deadline = time.monotonic() + 240
    while sum(state == "RUNNING" for _, state in cluster.queue()) < SLURM_RUNNING and time.monotonic() < deadline:
        time.sleep(1)
    known = sum(state == "RUNNING" for _, state in cluster.queue())
    engine = {"name": "cluster", "conf": str(cluster.conf), "poll_s": 0.001}
    with queue_of(SLURM_QUEUED, SLURM_RUNNING, engine) as home, closing(connect(home.runs_db)) as conn:
        for run, job in enumerate(jobs, 1):
            write_submission(home.run_dir(run), Submission("cluster", 1, f"bench-{run}", time.time(), job=job))
        tending = Tending(home, conn)
        with suppress(OSError):
            squeue = cost(lambda: cluster.ask("squeue", "--json", "--me", "--states=all"), time.monotonic)
            ours, wall = cost(tending.turn), cost(tending.turn, time.monotonic)
            said = f"{SLURM_QUEUED:,} waiting and {known} running Slurm jobs"
            tell(f"a turn of the watch with {said} (processor)", ours * 1000, "squeue --json alone", ours / squeue)
            tell(f"a turn of the watch with {said} (elapsed)", wall * 1000, "squeue --json alone", wall / squeue)
        ticks = cost(lambda: tick(conn, home))
        tell(f"a tick with {said}", ticks * 1000, "a turn of the watch", ticks / ours)


def main() -> None:
    few = local_costs(*FEW)
    for waiting, running in SIZES:
        for name, seconds in local_costs(waiting, running).items():
            figure = f"{name} with {waiting:,} waiting" + (f" and {running} running" if running else "")
            against = f"with {FEW[0]} and {FEW[1]}: {few[name] * 1000:.2f} ms"
            tell(figure, seconds * 1000, against, seconds / few[name])
    on_slurm()


if __name__ == "__main__":
    main()
