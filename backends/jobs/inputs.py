"""What a run needs from outside its own directory, and which runs need what another has left."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.jobs.environments import in_environment
from backends.jobs.errors import QueueError
from db.home import Home
from db.runs.states import END_STATES


def check_inputs(spec: Mapping[str, Any], home: Home) -> None:
    """A spec that is queued again may speak of what is gone by now.

    Raises:
        QueueError: Names the first path that is not there.
    """
    for what, path in _paths(spec):
        if not Path(path).exists():
            raise QueueError(f"its {what} is not there any more", where=path, hint="queue a new run with other paths")
    in_environment(home, dict(spec))
    parent = (spec.get("model") or {}).get("from_run")
    if parent is not None and not home.run_dir(parent).is_dir():
        raise QueueError(f"it evaluates what #{parent} left, and that run was removed")


def _paths(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model, data = spec.get("model") or {}, spec.get("data") or {}
    held_out = (spec.get("training") or {}).get("eval_data") or {}
    if model.get("loader") != "openai" and str(model.get("source") or "").startswith("/"):
        yield "model", model["source"]
    for name, part in (("data", data), ("held-out data", held_out)):
        if part:
            yield name, part["path"]
            yield f"{name}'s image root", part["image_root"]


def users_of(conn: sqlite3.Connection, home: Home, run_id: int) -> tuple[list[int], list[int]]:
    """Runs that read what this one has left: those that are not over, and those that are."""
    rows = conn.execute(
        "SELECT id, state FROM runs WHERE id != :run AND (from_run = :run OR instr(spec, :folder) > 0) ORDER BY id",
        {"run": run_id, "folder": f'"{home.run_dir(run_id)}/'},
    ).fetchall()
    over = [row["id"] for row in rows if row["state"] in END_STATES]
    return [row["id"] for row in rows if row["id"] not in over], over
