"""The tool job ``compare``: runs beside each other on the questions that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from backends.jobs.comparison import FORMAT, stamps
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.scoring.answer import Answer
from backends.scoring.apart import explored
from backends.scoring.compare import Contestant, compare_all, ranks
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.fingerprints import unlike
from backends.scoring.values import PER_ANSWER, per_answer
from backends.work.parted import write_parted
from backends.work.stored import Stored, stored_run


def run(job: Job) -> dict[str, Any]:
    """Compare ``runs`` (ids) by ``metrics``, on one ``question`` or ``category`` where named.

    Without metrics: ``keyword`` where all are proxy runs, else ``exact``, and ``cosine`` where all were scored with an
    embedding; and ``also``, where that is one that can be compared answer by answer (else it is in ``left_out``).
    The first run's embedding is used for all.

    ``comparisons`` and ``ranks`` go to the run's scores.json, shaped as :func:`backends.scoring.compare.compare_all`
    and :func:`backends.scoring.compare.ranks` say, ``explored`` as :func:`backends.scoring.apart.explored`, and where
    they part as :mod:`backends.work.parted` says; ``inputs`` tell whether a run has changed since.

    Raises:
        JobError: fewer than two runs, one that cannot be read, or a metric that is not there.
    """
    arguments = job.spec["tool"]["args"]
    ids = list(dict.fromkeys(int(one) for one in arguments["runs"]))
    if len(ids) < 2:
        raise JobError("a comparison needs two runs", "fada compare RUN RUN…")
    inputs = stamps(job.home, ids)
    stored = [stored_run(job, one) for one in ids]
    metrics = _metrics(arguments.get("metrics"), stored)
    metrics, left_out = _with_also(metrics, arguments.get("also"), stored)
    job.events.started(device="cpu", versions={}, total=len(metrics), unit="metrics")
    embedder = _embedder(stored[0]) if "cosine" in metrics else None
    wanted = {key: arguments.get(key) for key in ("question", "category")}
    answers = {one.run: _chosen(one.answers, **wanted) for one in stored}
    differing = _differing(stored)
    document: dict[str, Any] = {"scores": [], "finished": True, "format": FORMAT, "inputs": inputs}
    document |= {"metrics": metrics, "left_out": left_out, "comparisons": [], "ranks": [], "explored": []}
    seed = int(job.spec.get("seed") or 0)
    compared: dict[str, list[Contestant]] = {}
    for done, metric in enumerate(metrics, 1):
        runs = compared[metric] = [_contestant(one, answers[one.run], metric, embedder) for one in stored]
        document["comparisons"] += [row | wanted for row in compare_all(runs, metric, unlike=differing, seed=seed)]
        document["ranks"] += [row | wanted for row in ranks(runs, metric, seed=seed)]
        for a, b in combinations(runs, 2):
            document["explored"] += explored(a, b, metric, seed=seed)
        job.events.progress(done, len(metrics), "metrics", "compare")
    document["parted"] = write_parted(job.dir, compared)
    if embedder:
        document["embedding"] = embedder.loaded
    write_json(job.dir / "scores.json", document)
    return {"runs": ids, "metrics": metrics, "comparisons": len(document["comparisons"])}


def _with_also(metrics: list[str], also: str | None, stored: Sequence[Stored]) -> tuple[list[str], list[str]]:
    """The metrics with one more where every run has values of it; else that one apart."""
    if also is None or also in metrics:
        return metrics, []
    there = also in PER_ANSWER and (
        all(one.embedding for one in stored)
        if also == "cosine"
        else all(per_answer(also, one.answers) for one in stored)
    )
    return ([also, *metrics], []) if there else (metrics, [also])


def _metrics(named: Sequence[str] | None, stored: Sequence[Stored]) -> list[str]:
    if named:
        unknown = [name for name in named if name not in PER_ANSWER]
        if unknown:
            raise JobError(f"no metric {unknown[0]!r} to compare answer by answer", f"known: {', '.join(PER_ANSWER)}")
        return list(dict.fromkeys(named))
    if all(one.kind == "proxy" for one in stored):
        return ["keyword"]
    return [*(["cosine"] if all(one.embedding for one in stored) else []), "exact"]


def _embedder(first: Stored) -> Embedder:
    if first.embedding is None:
        raise JobError(f"run #{first.run} names no embedding", "compare by exact, or name a gt run first")
    try:
        return Embedder(first.embedding)
    except EmbeddingError as error:
        raise JobError(error.message, error.hint) from error


def _chosen(answers: Sequence[Answer], question: str | None, category: str | None) -> list[Answer]:
    return [
        answer
        for answer in answers
        if (question is None or answer.topic == question) and (category is None or answer.category == category)
    ]


def _contestant(one: Stored, answers: Sequence[Answer], metric: str, embedder: Embedder | None) -> Contestant:
    notes = []
    if one.unmatched:
        notes.append(f"#{one.run}: {one.unmatched} answers have no reference")
    if one.kind == "proxy" and metric != "keyword":
        notes.append(f"#{one.run} is a proxy run")
    notes += [f"#{one.run} {alarm['kind']}: {alarm['text']}" for alarm in one.alarms()]
    return Contestant(
        one.run, {answer.id: answer for answer in answers}, per_answer(metric, answers, embedder), tuple(notes)
    )


def _differing(stored: Sequence[Stored]) -> Mapping[tuple[int, int], Sequence[str]]:
    return {(a.run, b.run): unlike(a.spec, b.spec) for a, b in combinations(stored, 2)}
