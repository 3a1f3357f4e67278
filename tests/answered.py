"""Runs that are over, with answers: made on the disk and read in, as a worker would have left them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from backends.scoring.score import score_answers
from backends.work.stored import _answer
from db.connect import connect
from db.home import Home

AGES = ("14 weeks", "20 weeks", "30 weeks")
RIGHT = tuple(AGES[at % 3] for at in range(40))
FLAT = ("20 weeks",) * 40


def record(at: int, said: str | None, true: str, question: str = "Gestational Age: Which range?") -> dict[str, Any]:
    name = f"{'AB'[at % 2]}/{at}.png"
    return {
        "id": f"{name}#{'Q5' if question.startswith('Gest') else 'Q6'}",
        "image_path": name,
        "category": name[0],
        "question": question,
        "prediction": said,
        "reference": true,
        "latency_s": 0.1,
        "output_tokens": 3,
        "error": None if said is not None else "died",
    }


def answered(home: Home, records: Sequence[dict[str, Any]], *, ended: bool = True, **parts: Any) -> int:
    """A run with these answers and its scores; ``ended=False`` leaves it queued, without scores."""
    run_id = store.allocate(home)
    spec = {
        "format": 1,
        "kind": "eval",
        "task": "gt",
        "created": 1.0,
        "seed": 0,
        "model": {"name": f"model {run_id}", "source": f"m{run_id}"},
        "data": {"sha256": "d" * 64, "limit": None},
        "scoring": {"embedding": None},
        "generation": {"max_new_tokens": 64},
        "fingerprint": f"f{run_id}",
        **parts,
    }
    store.create(home, run_id, spec)
    folder = home.run_dir(run_id)
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records))
    if ended:
        rows = [row | {"source": "run", "step": None} for row in score_answers([_answer(one) for one in records])]
        (folder / "scores.json").write_text(json.dumps({"scores": rows, "finished": True}))
        store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
    with closing(connect(home.runs_db)) as conn:
        adopt(conn, home, run_id)
        ingest(conn, home, run_id)
    return run_id


def ages(said: Sequence[str | None]) -> list[dict[str, Any]]:
    """One question to each of so many images, in two categories."""
    return [record(at, text, AGES[at % 3]) for at, text in enumerate(said)]
