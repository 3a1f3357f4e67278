"""What the model under evaluation was trained on by us, and what that says of its scores: images in common, and
categories or questions that training never showed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backends.data.composition import Composition, composition, composition_warnings
from backends.data.contamination import Hashes, ImageHash, Overlap, overlap_words, shared_images
from backends.data.hashcache import cache_file, cached_hashes
from backends.data.sample import Sample
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.jobs.settings import training_seed
from backends.jobs.store import read_spec
from backends.scoring.answer import Answer
from backends.work.common import read_samples
from db.home import Home

RECORD, FOUND = "trained_on.json", "training_overlap.json"
"""In a fine-tune's directory what it trained on, in an evaluation's what it shares with that."""
Row = dict[str, Any]


@dataclass(frozen=True)
class TrainingSet:
    """What one fine-tune was trained on."""

    run: int
    images: Hashes
    composition: Composition


@dataclass(frozen=True)
class Trained:
    """What an evaluation must say of its model's training; of a model that none of our fine-tunes made, nothing."""

    runs: tuple[int, ...] = ()
    overlap: Mapping[str, Overlap] = field(default_factory=dict)
    """By evaluation image."""
    missing: tuple[str, ...] = ()
    """What the evaluation asks and training never showed, in words."""
    categories: frozenset[str] = frozenset()
    questions: frozenset[str] = frozenset()
    """Those that training never showed."""

    def mark(self, rows: Iterable[Row], answers: Sequence[Answer]) -> list[Row]:
        """The rows, each with the alarms ``contamination`` and ``composition`` where they concern it."""
        if not (self.overlap or self.missing):
            return list(rows)
        known: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
        marked = []
        for row in rows:
            key = row["question"], row["category"]
            if key not in known:
                known[key] = self._alarms(*key, answers)
            marked.append({**row, "alarms": [*row["alarms"], *known[key]]})
        return marked

    def _alarms(self, question: str | None, category: str | None, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        asked = {
            answer.image_path
            for answer in answers
            if question in (None, answer.topic) and category in (None, answer.category)
        }
        texts = []
        here = [one for name, one in self.overlap.items() if name in asked]
        if here:
            texts.append(("contamination", overlap_words(here, len(asked), self.runs)))
        overall = question is None and category is None
        if self.missing and (overall or category in self.categories or question in self.questions):
            texts.append(("composition", "; ".join(self.missing)))
        return [{"kind": kind, "question": question, "text": text} for kind, text in texts]

    def save(self, folder: Path) -> None:
        """Keep it beside the answers, for scoring them again."""
        if self.runs:
            document = asdict(self) | {"overlap": [asdict(one) for one in self.overlap.values()]}
            document |= {name: sorted(document[name]) for name in ("categories", "questions")}
            write_json(folder / FOUND, document)


def trained_of(folder: Path) -> Trained:
    """What :meth:`Trained.save` has left in an evaluation's directory."""
    document = read_json(folder / FOUND)
    if document is None:
        return Trained()
    return Trained(
        tuple(document["runs"]),
        {one["image"]: Overlap(**one) for one in document["overlap"]},
        tuple(document["missing"]),
        frozenset(document["categories"]),
        frozenset(document["questions"]),
    )


# ------------------------------------------------------------------ at the fine-tune
def record_training(job: Job, samples: Sequence[Sample]) -> TrainingSet:
    """Hash a fine-tune's images and keep what it is trained on in its directory: the data may be gone one day."""
    data = job.spec["data"]
    hashed = hashes_of(job, samples, data)
    counts = composition(samples)
    if hashed.whole:
        write_json(
            job.dir / RECORD,
            {
                "path": data["path"],
                "categories": counts.categories,
                "cells": [[*cell, count] for cell, count in counts.cells.items()],
                "samples": counts.samples,
                "images": {
                    name: [f"{value.coarse:016x}", f"{value.fine:064x}", hashed.contents.get(name)]
                    for name, value in hashed.values.items()
                },
                "failed": list(hashed.failed),
            },
        )
    return TrainingSet(job.run_id, hashed, counts)


def hashes_of(job: Job, samples: Iterable[Sample], data: Mapping[str, Any]) -> Hashes:
    """By the cache of the data set in HOME."""
    kept = cache_file(job.home.image_hashes, data["path"], data.get("image_root"))
    return cached_hashes(samples, kept, stop=job.stop_requested)


def held_out_overlap(job: Job, training: TrainingSet, held_out: Sequence[Sample], data: Mapping[str, Any]) -> Trained:
    """Images that the held-out data share with the training, said as a warning; for the held-out scores."""
    found = shared_images(training.images, hashes_of(job, held_out, data))
    if found:
        images = len({sample.image_path for sample in held_out})
        job.events.message("warning", f"held-out data: {overlap_words(found, images)}")
    return Trained((job.run_id,), {one.image: one for one in found})


# ------------------------------------------------------------------ at the evaluation
def look(job: Job, samples: Sequence[Sample]) -> Trained:
    """Compare the samples with what each fine-tune behind the spec's model was trained on; kept in the directory.

    A training set that is gone and was never recorded is said, and nothing is claimed of it.
    """
    ancestors = list(fine_tunes(job.home, job.spec))
    if not ancestors:
        return Trained()
    tell = job.events.message
    sets = [one for run, spec in ancestors if (one := _training_set(job, run, spec, tell)) is not None]
    if not sets:
        return Trained()
    hashed = hashes_of(job, samples, job.spec["data"])
    overlap: dict[str, Overlap] = {}
    for one in sets:
        for found in shared_images(one.images, hashed):
            overlap.setdefault(found.image, found)
    asked = composition(samples)
    shown = _merged(one.composition for one in sets)
    trained = Trained(
        tuple(one.run for one in sets),
        overlap,
        tuple(composition_warnings(shown, asked)),
        frozenset(asked.categories.keys() - shown.categories.keys()),
        frozenset(asked.topics.keys() - shown.topics.keys()),
    )
    if overlap:
        tell("warning", overlap_words(list(overlap.values()), asked.images, trained.runs))
    for text in trained.missing:
        tell("warning", text)
    trained.save(job.dir)
    return trained


def fine_tunes(home: Home, spec: Mapping[str, Any]) -> Iterable[tuple[int, dict[str, Any]]]:
    """Id and spec of each fine-tune of ours that the model of ``spec`` came through, the last one first."""
    seen: set[int] = set()
    while (run := _made_by(home, spec)) is not None and run not in seen:
        seen.add(run)
        found = read_spec(home.run_dir(run))
        if found is None:
            return
        if found.get("kind") == "finetune":
            yield run, found
        spec = found


def _made_by(home: Home, spec: Mapping[str, Any]) -> int | None:
    """The run that left the spec's model: named, or in whose directory the model lies."""
    model = spec.get("model") or {}
    if model.get("from_run") is not None:
        return int(model["from_run"])
    source = Path(str(model.get("source") or ""))
    if source.is_absolute() and source.is_relative_to(home.runs):
        first = source.relative_to(home.runs).parts[:1]
        return int(first[0]) if first and first[0].isdigit() else None
    return None


def _training_set(job: Job, run: int, spec: Mapping[str, Any], tell: Callable[[str, str], None]) -> TrainingSet | None:
    """As it was recorded, else from the data as they are now."""
    document = read_json(job.home.run_dir(run) / RECORD)
    if document is not None:
        counts = {(category, topic): count for category, topic, count in document["cells"]}
        values = {name: ImageHash(int(one[0], 16), int(one[1], 16)) for name, one in document["images"].items()}
        contents = {name: one[2] for name, one in document["images"].items() if one[2]}
        return TrainingSet(run, Hashes(values, tuple(document["failed"]), contents), _of_cells(counts, len(values)))
    data = spec.get("data") or {}
    limit, sampling = data.get("limit"), data.get("sampling")
    try:
        samples = read_samples(data["path"], data.get("image_root"), limit, training_seed(spec), sampling=sampling)
    except Exception as error:  # noqa: BLE001 - whatever it was, the evaluation itself is none the worse
        tell("warning", f"what #{run} was trained on cannot be read, contamination is not checked: {error}")
        return None
    return TrainingSet(run, hashes_of(job, samples, data), composition(samples))


def _of_cells(cells: Mapping[tuple[str, str], int], images: int) -> Composition:
    categories: dict[str, int] = {}
    topics: dict[str, int] = {}
    for (category, topic), count in cells.items():
        categories[category] = categories.get(category, 0) + count
        topics[topic] = topics.get(topic, 0) + count
    return Composition(sum(cells.values()), images, categories, topics, dict(cells))


def _merged(parts: Iterable[Composition]) -> Composition:
    cells: dict[tuple[str, str], int] = {}
    images = 0
    for part in parts:
        images += part.images
        for cell, count in part.cells.items():
            cells[cell] = cells.get(cell, 0) + count
    return _of_cells(cells, images)
