"""The answers, spec and scores that another run has left, read without touching them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json
from backends.jobs.job import Job, JobError
from backends.jobs.state import derive
from backends.jobs.store import read_spec
from backends.scoring.answer import Answer
from backends.work.predictions import topic_in
from db.home import Home
from db.runs.states import END_STATES


@dataclass(frozen=True)
class Stored:
    """A run that is over. ``unmatched`` counts answers without a reference; they cannot be scored."""

    run: int
    folder: Path
    spec: dict[str, Any]
    answers: list[Answer]
    unmatched: int

    @property
    def kind(self) -> str:
        return str(self.spec.get("task") or self.spec.get("kind"))

    @property
    def embedding(self) -> str | None:
        """The name of the embedding that it was scored with."""
        name = (self.spec.get("scoring") or {}).get("embedding")
        return None if name is None else str(name)

    def alarms(self) -> list[dict[str, Any]]:
        """Of its overall scores, once each: they go wherever its numbers go."""
        rows = (read_json(self.folder / "scores.json") or {}).get("scores")
        overall = [
            row
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict) and row.get("question") is None and row.get("category") is None
        ]
        found = [alarm for row in overall for alarm in row.get("alarms") or ()]
        return list({(alarm["kind"], alarm["text"]): alarm for alarm in found}.values())


def stored_run(job: Job, run_id: int) -> Stored:
    """Read a run's spec and answers.

    Raises:
        JobError: there is no such run, it is not over, or it has no answers.
    """
    folder = job.home.run_dir(run_id)
    spec = read_spec(folder)
    if spec is None:
        raise JobError(f"there is no run #{run_id} in {folder.parent}", "fada jobs lists them")
    state = derive(folder).name
    if state not in END_STATES:
        raise JobError(f"run #{run_id} is {state}: its answers are not all there", "wait for it: --after")
    path = folder / "predictions.jsonl"
    try:
        records = list(_records(path))
    except FileNotFoundError:
        records = []
    if not records:
        raise JobError(f"run #{run_id} has no answers ({path})", "only evaluations have answers")
    answers = {record["id"]: _answer(record) for record in records if record["reference"] is not None}
    unmatched = len({record["id"] for record in records} - answers.keys())
    return Stored(run_id, folder, spec, list(answers.values()), unmatched)


def other_scores(home: Home, run_id: int) -> Iterator[tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    """Id, spec and final scores of every other run that has some, but for the fine-tune whose result was evaluated.

    What that scored at its end is the same model on what may be the same questions: it should be the same.
    """
    maker = ((read_spec(home.run_dir(run_id)) or {}).get("model") or {}).get("from_run")
    for folder in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        if folder.name.isdigit() and int(folder.name) not in (run_id, maker):
            rows = (read_json(folder / "scores.json") or {}).get("scores")
            if isinstance(rows, list) and rows:
                yield int(folder.name), read_spec(folder) or {}, [row for row in rows if isinstance(row, dict)]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Complete lines only: a torn last one was never an answer."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
                _answer(record)
            except (ValueError, KeyError, TypeError) as error:
                raise JobError(f"{path}:{number}: not an answer ({error})", "mend or remove the line") from error
            yield record


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(
        id=record["id"],
        image_path=record["image_path"],
        category=record["category"],
        topic=record.get("topic") or topic_in(record),
        reference=record["reference"],
        prediction=record["prediction"],
        error=record.get("error"),
    )
