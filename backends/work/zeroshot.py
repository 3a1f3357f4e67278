"""An evaluation of a contrastive model: each image to the class whose sentences are nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from backends.data.door import open_data
from backends.data.sample import Sample
from backends.jobs.job import Job, JobError
from backends.jobs.settings import TEMPLATES
from backends.models.base import VisionLanguageModel
from backends.models.contrastive import ZeroShot, load_contrastive
from backends.models.download import fetch
from backends.scoring.answer import Answer
from backends.scoring.published import published
from backends.scoring.values import said_of
from backends.scoring.zeroshot import score_zero_shot
from backends.work.benchmark import Benchmark, Key, Rows, evaluate
from backends.work.values import Values


def run(job: Job) -> dict[str, Any]:
    """Classify every image by the sentences of the spec (``prompt.templates``).

    See :func:`backends.work.benchmark.evaluate`. scores.json has besides ``classes``, ``templates`` and ``published``:
    figures of other models on data of their own.
    """
    spec, data = job.spec, job.spec["data"]
    if data is None:
        raise JobError("an evaluation needs data", "give --data FOLDER")
    classes = classes_of(data)
    if len(classes) < 2:
        raise JobError(f"{data['path']} has one class only", "a classification needs two")
    templates = tuple((spec.get("prompt") or {}).get("templates") or TEMPLATES)

    def score(answers: Sequence[Answer], key: Key, seed: int, resamples: int, going_on: bool) -> Rows:
        return score_zero_shot(answers, classes, seed=seed, resamples=resamples, partial=going_on)

    def beside(rows: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
        told = [dict(row) for row in published("zero-shot")]
        return {"classes": list(classes), "templates": list(templates), "published": told}

    load = partial(_load, classes=classes, templates=templates)
    return evaluate(job, Benchmark(_prepare, score, beside, load=load, values=_values))


def classes_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """All classes of the data, sorted, whatever the limit: fewer choices would be an easier question."""
    root = Path(data["image_root"]) if data.get("image_root") else None
    found: set[str] = set()
    for sample in open_data(Path(data["path"]), "zero-shot", root):
        kind_data = sample.kind_data or {}
        if kind_data.get("options"):
            return tuple(kind_data["options"])
        found.add(str(kind_data["label"]))
    return tuple(sorted(found))


def words_of(name: str) -> str:
    """A class's name as it stands in a sentence: "Trans-thalamic_plane" is "Trans thalamic plane"."""
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def _values(answers: Sequence[Answer], key: Key) -> Values:
    said = said_of(answers)
    return {one.id: {"accuracy": float(text == one.reference)} for one, text in zip(answers, said, strict=True)}


def _prepare(sample: Sample, seed: int) -> tuple[Sample, dict[str, Any]]:
    return sample, {}


def _load(job: Job, classes: Sequence[str], templates: Sequence[str]) -> VisionLanguageModel:
    part = job.spec["model"]
    if part.get("from_run") is not None:
        raise JobError("a fine-tuned chat model is no contrastive one", "leave --adapter out, or take --kind gt")
    source = part["source"]
    if not Path(source).is_absolute():
        source = str(fetch(job, source, part.get("revision"), allow_pickle=bool(part.get("allow_pickle"))))
    model = load_contrastive(
        source,
        part.get("loader") or "transformers",
        job.spec.get("device") or "auto",
        int(job.spec.get("threads") or 1),
    )
    sentences = [[template.format(words_of(name)) for template in templates] for name in classes]
    return ZeroShot(model, classes, sentences)
