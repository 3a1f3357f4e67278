"""The index of runs. Everything here can be rebuilt from the run directories (`fada reindex`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils


def _first(db: sqlite_utils.Database) -> None:
    db.table("changes").create({"topic": str, "counter": int}, pk="topic", not_null={"counter"})
    db.table("runs").create(
        {
            "id": int,
            "kind": str,
            "task": str,
            "model": str,
            "state": str,
            "reason": str,
            "exit_code": int,
            "signal": int,
            "attempt": int,
            "created": float,
            "started": float,
            "ended": float,
            "done": int,
            "total": int,
            "unit": str,
            "phase": str,
            "rate": float,
            "mark_time": float,
            "mark_done": int,
            "reserved_bytes": int,
            "peak_bytes": int,
            "fingerprint": str,
            "position": float,
            "exclusive": int,
            "device": str,
            "summary": str,
            "spec": str,
        },
        pk="id",
        not_null={"kind", "model", "state", "attempt", "created", "position", "spec"},
    )
    db.table("runs").create_index(["state"])
    db.table("runs").create_index(["model"])
    db.table("dependencies").create(
        {"run": int, "parent": int, "any_end": int}, pk=("run", "parent"), not_null={"any_end"}
    )
    db.table("offsets").create({"run": int, "file": str, "offset": int}, pk=("run", "file"), not_null={"offset"})
    db.table("metrics").create(
        {"run": int, "name": str, "step": int, "value": float, "t": float}, pk=("run", "name", "step")
    )
    db.table("messages").create({"id": int, "run": int, "t": float, "level": str, "text": str}, pk="id")
    db.table("messages").create_index(["run"])
    db.table("checkpoints").create({"run": int, "step": int, "path": str}, pk=("run", "step"))
    db.table("predictions").create(
        {
            "run": int,
            "id": str,
            "position": int,
            "image_path": str,
            "category": str,
            "question": str,
            "prediction": str,
            "reference": str,
            "latency_s": float,
            "output_tokens": int,
            "error": str,
        },
        pk=("run", "id"),
    )
    db.table("predictions").create_index(["run", "position"])
    db.table("scores").create(
        {
            "id": int,
            "run": int,
            "metric": str,
            "question": str,
            "category": str,
            "partial": int,
            "step": int,
            "body": str,
        },
        pk="id",
    )
    db.table("scores").create_index(["run"])
    db.table("samples").create({"t": float, "body": str}, pk="t")


MIGRATIONS = [_first]
