"""What the evaluations on benchmarks share: ask every question, keep an answer key beside the answers, score by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transformers import set_seed

from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job, JobError
from backends.models.base import VisionLanguageModel
from backends.models.device import versions
from backends.scoring.answer import Answer
from backends.scoring.duplicates import with_duplicates
from backends.scoring.rows import RESAMPLES
from backends.work.common import check_unchanged, how_loaded, read_samples
from backends.work.evaluate import LIVE_RESAMPLES, ask_all, asker_of, is_overall
from backends.work.live import LiveScores
from backends.work.predictions import Predictions
from backends.work.serving import open_model
from backends.work.stored import Stored, other_scores
from backends.work.trained import Trained, look, trained_of
from backends.work.values import Values, write_values

KEY = "key.json"
"""In the run's directory: what scoring needs of each question besides its answer, by id."""
Rows = list[dict[str, Any]]
Key = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Benchmark:
    """One kind of benchmark.

    ``prepare`` makes of a data set's sample the one that is asked, and its entry in the key. ``score`` is given the
    answers, the key, the seed, the number of resamples and whether the run goes on. ``beside`` makes what stands in
    scores.json beside the scores, of them and the model's name. ``load`` gives the model that is asked. ``values``
    gives what single answers are worth (see :mod:`backends.work.values`).
    """

    prepare: Callable[[Sample, int], tuple[Sample, dict[str, Any]]]
    score: Callable[[Sequence[Answer], Key, int, int, bool], Rows]
    beside: Callable[[Sequence[Mapping[str, Any]], str], dict[str, Any]]
    load: Callable[[Job], VisionLanguageModel] = open_model
    values: Callable[[Sequence[Answer], Key], Values] = field(default=lambda answers, key: {})


@dataclass
class Questions:
    """The samples that are asked, in the order of the data, and their key."""

    samples: list[Sample] = field(default_factory=list)
    key: dict[str, dict[str, Any]] = field(default_factory=dict)


def questions_of(job: Job, benchmark: Benchmark) -> Questions:
    """Read and prepare the data of a spec; the key is written down.

    Raises:
        JobError: there is no data in the spec, or it changed since it was queued.
        backends.data.errors.DataError: it cannot be read.
    """
    spec, data = job.spec, job.spec["data"]
    if data is None:
        raise JobError("an evaluation needs data", "give --data PATH")
    seed = int(spec.get("seed") or 0)
    check_unchanged(data)
    found = Questions()
    for sample in read_samples(data["path"], data.get("image_root"), data.get("limit"), seed, spec["task"]):
        asked, entry = benchmark.prepare(sample, seed)
        found.samples.append(asked)
        found.key[asked.id] = {"topic": asked.topic, **entry, **_place(asked)}
    write_json(job.dir / KEY, found.key)
    return found


def _place(sample: Sample) -> dict[str, Any]:
    """Where an image inside a table lies, so that whoever looks at the answer need not read the table."""
    cell = (sample.kind_data or {}).get("cell")
    return {"image": [str(sample.image_file.absolute()), *cell]} if cell else {}


def rescored_values(benchmark: Benchmark, stored: Stored) -> Values:
    """What single answers of a run that is over are worth, by the key that it has left."""
    key = read_json(stored.folder / KEY) or {}
    return benchmark.values([replace(one, topic=key[one.id]["topic"]) for one in stored.answers if one.id in key], key)


def rescored(benchmark: Benchmark, stored: Stored) -> Rows:
    """The rows of a run that is over, by the present scorer and the key that it has left.

    Raises:
        JobError: it has left no key.
    """
    key = read_json(stored.folder / KEY)
    if key is None:
        raise JobError(f"run #{stored.run} has no answer key ({stored.folder / KEY})", "evaluate again: fada retry")
    answers = [replace(answer, topic=key[answer.id]["topic"]) for answer in stored.answers if answer.id in key]
    rows = benchmark.score(answers, key, int(stored.spec.get("seed") or 0), RESAMPLES, False)
    return trained_of(stored.folder).mark(rows, answers)


def evaluate(job: Job, benchmark: Benchmark) -> dict[str, Any]:
    """Ask a model all of a benchmark's questions and score its answers; a run that was stopped goes on.

    Returns:
        The summary: counts, speed and the overall scores; where it was asked to stop, how far it came.

    Raises:
        JobError: the spec, the data or the model cannot be used.
        backends.data.errors.DataError: the data cannot be read.
    """
    spec, seed = job.spec, int(job.spec.get("seed") or 0)
    set_seed(seed)
    questions = questions_of(job, benchmark)
    trained = look(job, questions.samples)
    model = benchmark.load(job)
    predictions = Predictions(job.predictions)
    total = len(questions.samples)
    job.events.started(device=model.device, versions=versions(), total=total, unit="samples", **how_loaded(model))
    live = _live(job, benchmark, questions, seed, trained)
    try:
        speed = ask_all(job, asker_of(job, model), questions.samples, predictions, live)
    finally:
        predictions.close()
    if speed["stopped"]:
        return {"stopped": speed["stopped"], "samples": total, "seconds": speed["seconds"]}
    model.unload()
    job.events.progress(total, total, "samples", "score")
    answers = [predictions.answers[sample.id] for sample in questions.samples]
    rows = trained.mark(benchmark.score(answers, questions.key, seed, RESAMPLES, False), answers)
    rows = with_duplicates(rows, spec, other_scores(job.home, job.run_id))
    name = str(spec["model"].get("name") or spec["model"]["source"])
    write_values(job.dir, benchmark.values(answers, questions.key))
    write_json(job.dir / "scores.json", {"scores": rows, "finished": True, **benchmark.beside(rows, name)})
    failed = sum(answer.failed for answer in answers)
    overall = {str(row["metric"]): row["value"] for row in rows if is_overall(row)}
    tasks = {
        f"{row['question']} {row['metric']}": row["value"] for row in rows if row["question"] and not row["category"]
    }
    counts = {"samples": total, "answered": total - failed, "failed": failed}
    return {**counts, **speed, "scores": overall or tasks}


def _live(job: Job, benchmark: Benchmark, questions: Questions, seed: int, trained: Trained) -> LiveScores:
    def measure(answers: Sequence[Answer]) -> Rows:
        rows = trained.mark(benchmark.score(answers, questions.key, seed, LIVE_RESAMPLES, True), answers)
        overall = [row for row in rows if is_overall(row)]
        return overall or [row for row in rows if row["category"] is None]

    return LiveScores([sample.id for sample in questions.samples], measure, job.events.score)
