"""Finished evaluations made of answers that are known, scored by the real scorer."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing

from backends.jobs import store
from backends.jobs.files import write_json
from backends.jobs.ingest import adopt, ingest
from backends.scoring.answer import Answer
from backends.scoring.score import score_answers
from db.connect import connect
from db.home import Home

CATEGORIES = ("Femur", "Abdomen", "Heart", "Brain")
TOPICS = ("Q1", "Q2", "Q3")
Says = Callable[[int, str], tuple[str | None, str | None]]
"""From the number of a question and its reference to an answer or an error."""


def right_but_every(nth: int) -> Says:
    return lambda at, reference: ("something else " + str(at % 7) if at % nth == 0 else reference, None)


def always_the_same(at: int, reference: str) -> tuple[str | None, str | None]:
    return "Femur Q1", None


def failing_every(nth: int) -> Says:
    return lambda at, reference: (None, "CUDA error") if at % nth == 0 else (reference, None)


def put_eval(home: Home, model: str, says: Says, images: int = 40) -> int:
    """A run that asked three questions of each image; its id."""
    answers = []
    for at in range(3 * images):
        category, topic = CATEGORIES[at // 3 % 4], TOPICS[at % 3]
        image, reference = f"{category}/{at // 3}.png", f"{category} {topic}"
        said, error = says(at, reference)
        answers.append(Answer(f"{image}#{topic}", image, category, topic, reference, said, error))
    run = store.allocate(home)
    folder = home.run_dir(run)
    data = {"path": "/data/test.jsonl", "image_root": "/data", "sha256": "a" * 64, "limit": None, "format": "chat"} | {
        "samples": 3 * images
    }
    spec = {"format": 1, "id": run, "kind": "eval", "task": "gt", "data": data, "seed": 0, "after": [], "created": 1.0}
    spec |= {"model": {"name": model, "source": model, "from_run": None, "revision": None}, "versions": {}}
    spec |= {"generation": {"max_new_tokens": 64, "batch_size": 8}, "scoring": {"embedding": None}}
    (folder / "events.jsonl").touch()
    with open(folder / "predictions.jsonl", "w", encoding="utf-8") as file:
        for one in answers:
            record = {"id": one.id, "image_path": one.image_path, "category": one.category, "question": one.topic}
            record |= {"prediction": one.prediction, "reference": one.reference, "error": one.error}
            file.write(json.dumps(record | {"latency_s": 0.1, "output_tokens": 3}) + "\n")
    write_json(folder / "scores.json", {"scores": score_answers(answers, resamples=200), "finished": True})
    store.write_attempt(folder, store.Attempt(1, ended=store.now(), exit_code=0))
    store.create(home, run, spec)
    with closing(connect(home.runs_db)) as conn:
        adopt(conn, home, run)
        ingest(conn, home, run)
    return run
