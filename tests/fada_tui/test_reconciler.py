"""The open panel keeps the queue going when the dispatcher is gone."""

from __future__ import annotations

import sys
import time
from contextlib import closing

from backends.jobs import store
from backends.jobs.ingest import adopt
from backends.jobs.spec import freeze
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from fada_tui.sources.reconciler import look


def test_queued_work_without_a_dispatcher_is_started(home: Home) -> None:
    run_id = store.allocate(home)
    words = [sys.executable, "-c", "pass"]
    store.create(home, run_id, freeze({"id": run_id, "kind": "run", "task": None, "title": "t", "command": words}))
    with closing(connect(home.runs_db)) as conn:
        adopt(conn, home, run_id)
        deadline = time.monotonic() + 240
        while (run := get_run(conn, run_id)) is None or not run.is_over:
            assert time.monotonic() < deadline
            look(conn, home)
            time.sleep(0.05)
        assert run.state == "done"
        changes = conn.total_changes
        look(conn, home)
        assert conn.total_changes == changes
