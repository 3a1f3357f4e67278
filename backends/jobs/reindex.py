"""Rebuild runs.db from the run directories alone."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import closing

from backends.jobs.ingest import adopt, empty_index, ingest
from backends.jobs.store import run_ids
from db.connect import bump, connect, immediate
from db.connect import is_damaged as database_is_damaged
from db.home import Home
from db.migrate import migrate


def reindex(home: Home) -> int:
    """Empty the index and take every run directory in again; how many runs there are. Samples are kept."""
    with closing(connect(home.runs_db)) as conn:
        with immediate(conn):
            empty_index(conn)
            bump(conn, "runs", "metrics", "predictions", "scores", "messages")
        count = 0
        for run_id in run_ids(home):
            if adopt(conn, home, run_id):
                ingest(conn, home, run_id)
                count += 1
        return count


def is_damaged(home: Home) -> bool:
    """Whether there is an index that SQLite cannot read."""
    return database_is_damaged(home.runs_db)


def mend(home: Home) -> str | None:
    """Where the index is damaged, set it aside and make a new one; the old one's new name, None where it is whole."""
    descriptor = os.open(home.root / "reindex.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # whoever comes second finds it whole
        if not is_damaged(home):
            return None
        kept = set_aside(home)
        migrate(home)
        reindex(home)
        return kept
    finally:
        os.close(descriptor)


def set_aside(home: Home) -> str:
    """Move a damaged index out of the way; its new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = home.runs_db.with_name(f"runs.db.damaged-{stamp}")
    home.runs_db.rename(target)
    for suffix in ("-wal", "-shm"):
        side = home.runs_db.with_name(home.runs_db.name + suffix)
        if side.exists():
            side.rename(target.with_name(target.name + suffix))
    return target.name
