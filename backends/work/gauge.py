"""An evaluation on multiple-choice questions (FETAL-GAUGE): options shuffled, answered by letter or text."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.data.sample import Sample
from backends.jobs.job import Job
from backends.scoring.answer import Answer
from backends.scoring.choice import LETTERS
from backends.scoring.gauge import Question, is_right, leaderboard, score_gauge
from backends.work.benchmark import Benchmark, Key, Rows, evaluate
from backends.work.values import Values

INSTRUCTION = "Answer with the letter of the right option only."


def run(job: Job) -> dict[str, Any]:
    """Evaluate; see :func:`backends.work.benchmark.evaluate`.

    scores.json has besides ``leaderboard``: the published table with this run's row.
    """
    return evaluate(job, BENCHMARK)


def prepare(sample: Sample, seed: int) -> tuple[Sample, dict[str, Any]]:
    """The sample with its options shuffled into the question, and its key.

    The order depends on ``seed`` and the sample's id alone: the same in every run and however many samples there are.
    """
    data = sample.kind_data or {}
    options = list(data["options"])
    right = options[data["answer"]]
    random.Random(f"{seed}\0{sample.id}").shuffle(options)
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    asked = replace(sample, question="\n".join([sample.question, *lines, INSTRUCTION]))
    entry = {"options": options, "answer": options.index(right)}
    return asked, entry | {name: data.get(name) for name in ("source", "box_size")}


def score(answers: Sequence[Answer], key: Key, seed: int, resamples: int, partial: bool) -> Rows:
    """By the key of :func:`prepare`."""
    return score_gauge(answers, _questions(key), seed=seed, resamples=resamples, partial=partial)


def values(answers: Sequence[Answer], key: Key) -> Values:
    """1 for each answer that takes the right option."""
    questions = _questions(key)
    return {one.id: {"accuracy": float(is_right(one, questions[one.id]))} for one in answers if one.id in questions}


def _questions(key: Key) -> dict[str, Question]:
    return {
        name: Question(tuple(entry["options"]), entry["answer"], entry["source"], entry["box_size"])
        for name, entry in key.items()
    }


def beside(rows: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    return {"leaderboard": leaderboard(rows, model)}


BENCHMARK = Benchmark(prepare, score, beside, values=values)
