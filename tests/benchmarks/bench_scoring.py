"""How long 15,000 answers take to score: 10,000 resamples of their images, every floor, every alarm.

Against one pass of what a resample is made of: as many random numbers and one matrix product of the same size.
The embedding is a stand-in that maps a text to a fixed vector, as loading and running one is no part of the scoring.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.scoring.answer import Answer
from backends.scoring.intervals import Column, intervals
from backends.scoring.score import score_answers

IMAGES = 1_890
RESAMPLES = 10_000
DIMENSIONS = 384
WORDS = {
    "Q1": ("skull", "midline falx", "thalami", "cavum septum pellucidum", "femur", "stomach", "liver", "heart"),
    "Q2": ("cephalic", "breech", "spine to the left", "spine to the right"),
    "Q3": ("transthalamic plane", "femur plane", "abdominal plane", "four chamber view"),
    "Q4": ("BPD 52 mm", "HC 190 mm", "AC 170 mm", "femur length 36 mm"),
    "Q5": ("14 to 20 weeks", "21 to 28 weeks", "29 to 36 weeks"),
    "Q6": ("poor", "fair", "good", "excellent"),
    "Q7": ("normal", "normal", "abnormal"),
    "Q8": ("routine follow-up", "repeat the scan in two weeks", "refer to a specialist"),
}


class StandIn:
    """The same unit vector for the same text."""

    def __init__(self) -> None:
        self.loaded = {"name": "stand-in"}
        self._vectors: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray[Any, np.dtype[np.float32]]:
        for text in texts:
            if text not in self._vectors:
                vector = np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIMENSIONS).astype(np.float32)
                self._vectors[text] = vector / np.linalg.norm(vector)
        return np.stack([self._vectors[text] for text in texts])

    def units(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        vectors = self.encode(texts).astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def cosine(self, left: Sequence[str], right: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.einsum("nd,nd->n", self.units(left), self.units(right))


def make() -> list[Answer]:
    """Eight questions an image, fourteen categories; free text in Q1, Q4 and Q8."""
    rng = np.random.default_rng(0)
    answers = []
    for image in range(IMAGES):
        category = f"category {image % 14}"
        name = f"{category}/{image}.png"
        for topic, words in WORDS.items():
            many = 3 if topic in ("Q1", "Q4", "Q8") else 1
            true, said = (", ".join(rng.choice(words, many)) for _ in range(2))
            if topic in ("Q4", "Q8"):
                true = f"{true}, number {image}"
            said = true if rng.random() < 0.6 else said
            answers.append(Answer(f"{name}#{topic}", name, category, topic, true, said))
    return answers


def seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bare(columns: int) -> None:
    rng = np.random.default_rng(0)
    sums = rng.random((IMAGES, columns)).astype(np.float32)
    rows = 1_000
    for _ in range(RESAMPLES // rows):
        drawn = rng.integers(0, IMAGES, (rows, IMAGES), dtype=np.int32)
        _ = drawn.astype(np.float32) @ sums


def main() -> None:
    answers = make()
    images = np.repeat(np.arange(IMAGES), len(WORDS))
    topics = [np.arange(len(answers)) % len(WORDS) == at for at in range(len(WORDS))]
    right = (np.random.default_rng(1).random(len(answers)) < 0.6).astype(np.float64)
    columns = [Column(right, images), *(Column(right[mask], images[mask]) for mask in topics)]
    against = seconds(lambda: bare(2 * len(columns)))
    figures = {
        f"{RESAMPLES} resamples of {len(answers)} answers, overall and {len(topics)} questions": seconds(
            lambda: intervals(columns, resamples=RESAMPLES)
        ),
        f"all scores of {len(answers)} answers": seconds(lambda: score_answers(answers, embedder=StandIn())),  # type: ignore[arg-type]
        f"overall scores of {len(answers)} answers while the run goes on": seconds(
            lambda: score_answers(answers, resamples=0, partial=True)
        ),
    }
    for figure, value in figures.items():
        line = {"figure": figure, "value": round(value, 3), "unit": "s"}
        print(json.dumps({**line, "against": "random numbers and one product", "ratio": round(value / against, 2)}))


if __name__ == "__main__":
    main()
