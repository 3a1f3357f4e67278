"""A fine-tune with what follows it: its result and its base evaluated on the same held-out questions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from backends.jobs.asked import EvalAsked, FinetuneAsked
from backends.jobs.engines.config import grouped
from backends.jobs.ingest import ingest
from backends.jobs.labelling import tag
from backends.jobs.launch import plan_eval, reserved
from backends.jobs.launch_finetune import plan_finetune
from backends.jobs.spec import fingerprint, installed_versions
from backends.jobs.store import read_spec
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home

_REUSED = ("done", "running", "starting", "paused", "queued")
"""States of an evaluation of the base that need not be made again, the best first."""
_LOOKED_AT = 500
"""So many of the newest evaluations are looked through."""


@dataclass(frozen=True)
class Followed:
    """The runs of one fine-tune; ``tuned`` and ``base`` are None where nothing is evaluated after it."""

    tune: int
    tuned: int | None = None
    base: int | None = None
    reused: bool = False
    """``base`` was there before."""

    @property
    def queued(self) -> list[int]:
        """What was queued, the fine-tune first."""
        others = (self.tuned, None if self.reused else self.base)
        return [self.tune, *(run for run in others if run is not None)]


def enqueue_finetune_with_evals(
    home: Home, model: str, *, evaluate: bool = True, tags: Sequence[str] = (), **wanted: Any
) -> list[int]:
    """Queue a fine-tune and, where it has held-out data, the evaluations of its result and of its base on them.

    The base is not evaluated again where a run with the same fingerprint is done or waits already. The result is
    evaluated after the fine-tune: where that does not end well, its evaluation is cancelled with that reason.

    Args:
        evaluate: False queues the fine-tune alone.
        tags: For the fine-tune and the evaluation of its result.
        wanted: As :func:`backends.jobs.launch_finetune.plan_finetune` takes them, whose errors are raised.

    Returns:
        The runs that were queued, the fine-tune first.
    """
    return follow(home, [plan_finetune(home, model, FinetuneAsked(**wanted))], evaluate=evaluate, tags=[tags])[0].queued


def follow(
    home: Home, plans: Sequence[dict[str, Any]], *, evaluate: bool = True, tags: Sequence[Sequence[str]] = ()
) -> list[Followed]:
    """Queue planned fine-tunes, each with its evaluations; all of these are checked before the first is queued.

    Args:
        tags: For each fine-tune and the evaluation of its result. Several plans are a sweep: they get ``sweep:ID``
            besides, with the id of the first of them.

    Raises:
        QueueError: An evaluation cannot be made; nothing was queued.
    """
    bases = [_base(home, plan) if evaluate else None for plan in plans]
    tunes = [submit(home, plan) for plan in grouped(plans)]
    made = [_evaluated(home, tune, base) for tune, base in zip(tunes, bases, strict=True)]
    sweep = [f"sweep:{tunes[0]}"] if len(tunes) > 1 else []
    for at, one in enumerate(made):
        words = [*sweep, *(tags[at] if at < len(tags) else ())]
        for run in (one.tune, one.tuned) if words else ():
            if run is not None:
                tag(home, run, words)
    return made


def _base(home: Home, plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parts of the base's evaluation on the held-out data; None where there are none."""
    held_out, model = plan["training"].get("eval_data"), plan["model"]
    if not held_out:
        return None
    parts = plan_eval(
        home,
        model["source"],
        EvalAsked(
            data=held_out["path"],
            image_root=held_out["image_root"],
            generation=plan["generation"],
            name=model["name"],
            after=plan["after"],
            after_any=plan["after_any"],
            held=plan["held"],
            precision=model.get("precision") or "auto",
            allow_pickle=bool(model.get("allow_pickle")),
            engine=(plan.get("engine") or {}).get("name"),
        ),
    )
    # The very model that is trained: the same commit, the same numbers.
    return {**parts, "model": dict(model)}


def _evaluated(home: Home, tune: int, base: dict[str, Any] | None) -> Followed:
    if base is None:
        return Followed(tune)
    parent = (read_spec(home.run_dir(tune)) or {})["fingerprint"]
    tuned = {**base, "model": {**base["model"], "from_run": tune, "parent": parent}, "after": [tune]}
    asked = submit(home, reserved(home, tuned | {"after_any": False, "held": False}))
    known = same_run(home, base)
    return Followed(tune, asked, known or submit(home, base), known is not None)


def same_run(home: Home, parts: Mapping[str, Any]) -> int | None:
    """A run that gives what these parts would: done and still with its answers, else one that is to do it."""
    wanted = fingerprint({**parts, "versions": installed_versions()})
    with closing(connect(home.runs_db)) as conn:
        for state in _REUSED:
            for run in _with_fingerprint(conn, wanted, state):
                if state != "done":
                    ingest(conn, home, run)
                elif not (home.run_dir(run) / "predictions.jsonl").is_file():
                    continue
                return run
    return None


def _with_fingerprint(conn: sqlite3.Connection, wanted: str, state: str) -> list[int]:
    rows = conn.execute(
        "SELECT id FROM runs WHERE fingerprint = ? AND state = ? AND kind = 'eval' ORDER BY id DESC", (wanted, state)
    )
    return [row[0] for row in rows]


def evaluated_pair(conn: sqlite3.Connection, tune: int) -> tuple[int, int] | None:
    """The newest finished ``gt`` evaluations of a fine-tune's base and of its result that asked the same."""
    row = conn.execute("SELECT spec FROM runs WHERE id = ?", (tune,)).fetchone()
    model = _maker(json.loads(row[0])) if row else None
    rows = conn.execute(
        "SELECT id, spec, from_run FROM runs WHERE kind = 'eval' AND task = 'gt' AND state = 'done' ORDER BY id DESC "
        "LIMIT ?",
        (_LOOKED_AT,),
    ).fetchall()
    known = [(run, json.loads(spec), from_run) for run, spec, from_run in rows]
    bases = [(run, spec) for run, spec, from_run in known if from_run is None and _maker(spec) == model]
    for tuned, asked, from_run in known:
        if from_run == tune:
            found = next((run for run, spec in bases if _asked(spec) == _asked(asked)), None)
            if found is not None:
                return found, tuned
    return None


def _maker(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one base from another."""
    model = spec.get("model") or {}
    known_by = ("content",) if model.get("content") else ("source", "revision")
    return tuple(model.get(key) for key in (*known_by, "quantisation"))


def _asked(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """What was asked, and how."""
    data = spec.get("data") or {}
    return data.get("sha256"), data.get("limit"), spec.get("generation"), spec.get("scoring"), spec.get("seed")
