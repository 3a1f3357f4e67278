"""Real evaluations of a tiny model among the jobs of the fault test: each answer is there, once, at the end."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import suppress
from pathlib import Path

from backends.jobs.errors import QueueError
from backends.jobs.queue import enqueue_eval, resume
from db.home import Home
from db.runs.rows import Run

IMAGES = 40


def queue_evaluations(home: Home, folder: Path, number: int) -> None:
    """Evaluations that ask one question at a time, so that kills fall between answers."""
    from backends.models.tiny import build_tiny
    from backends.work.phantoms import answers_corpus, make_phantoms

    model = build_tiny(folder / "tiny", answers_corpus(), seed=0)
    data = make_phantoms(folder / "phantoms", train=0, val=0, test=IMAGES, seed=0)
    for _ in range(number):
        enqueue_eval(home, str(model), data=data["test"], generation={"batch_size": 1, "max_new_tokens": 4})


def go_on(home: Home, runs: list[Run]) -> bool:
    """Resume what did not come to its end, as a person would; whether there was something."""
    broken = [run for run in runs if run.kind == "eval" and run.is_over and run.state != "done"]
    for run in broken:
        with suppress(QueueError):
            resume(home, run.id)
    return bool(broken)


def wrong_answers(home: Home, conn: sqlite3.Connection, run: Run) -> list[str]:
    """What is not as an undisturbed evaluation would have left it."""
    if run.state != "done":
        return [f"the evaluation is {run.state}: {run.reason}"]
    folder = home.run_dir(run.id)
    text = (folder / "predictions.jsonl").read_text()
    ids = Counter(json.loads(line)["id"] for line in text.splitlines())
    rows = {row[0] for row in conn.execute("SELECT id FROM predictions WHERE run = ?", (run.id,))}
    asked = json.loads((folder / "spec.json").read_text())["data"]["samples"]
    scored = json.loads((folder / "scores.json").read_text())["scores"]
    overall = {score["n"] for score in scored if score.get("question") is None and score.get("category") is None}
    found = []
    if len(ids) != asked or set(ids.values()) != {1}:
        found.append(f"{len(ids)} different answers of {asked}, {sum(ids.values())} in all")
    if rows != set(ids):
        found.append(f"{len(rows)} answers are in the index, {len(ids)} in the file")
    if overall != {asked}:
        found.append(f"its scores are of {sorted(overall)} answers")
    return found
