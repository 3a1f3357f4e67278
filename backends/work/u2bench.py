"""An evaluation on U2-BENCH: its prompts as they are, places told from boxes and keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.job import Job
from backends.scoring.answer import Answer
from backends.scoring.u2bench import leaderboard, score_u2bench
from backends.scoring.u2bench_parse import in_pixels, options_in, sector
from backends.scoring.u2bench_tasks import SPATIAL, Question
from backends.scoring.u2bench_values import answer_values
from backends.work.benchmark import Benchmark, Key, Rows, evaluate
from backends.work.values import Values


def run(job: Job) -> dict[str, Any]:
    """Evaluate on the tasks that the data holds; see :func:`backends.work.benchmark.evaluate`.

    scores.json has besides ``leaderboard``: the published table with this run's row.
    """
    return evaluate(job, BENCHMARK)


def prepare(sample: Sample, seed: int) -> tuple[Sample, dict[str, Any]]:
    """The sample with its right answer, and its options and patient for the key."""
    data = sample.kind_data or {}
    options = data.get("options") or options_in(sample.question)
    entry = {"options": list(options), "patient": data.get("patient")}
    if sample.topic not in SPATIAL or sample.problem:
        return sample, entry
    place = data.get("keypoints") if sample.topic == "KD" else data.get("boxes")
    size = None
    if in_pixels(place):
        try:
            size = open_image(sample).size
        except ImageError:
            return sample, entry  # it fails when it is asked, with the reason
    return replace(sample, reference=sector(place, size) or sample.reference), entry


def score(answers: Sequence[Answer], key: Key, seed: int, resamples: int, partial: bool) -> Rows:
    """By the key of :func:`prepare`."""
    return score_u2bench(answers, _questions(key), seed=seed, resamples=resamples, partial=partial)


def values(answers: Sequence[Answer], key: Key) -> Values:
    """Right or wrong by both parsers, and of written texts their ROUGE-L; a clinical value has none."""
    return answer_values(answers, _questions(key))


def _questions(key: Key) -> dict[str, Question]:
    return {name: Question(tuple(entry["options"]), entry["patient"]) for name, entry in key.items()}


def beside(rows: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    return {"leaderboard": leaderboard(rows, model)}


BENCHMARK = Benchmark(prepare, score, beside, values=values)
