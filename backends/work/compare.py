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
from backends.work.values import read_values

_BY_REFERENCE = {"gt", "proxy", "finetune"}
"""Kinds whose answers say the same as a reference or do not; the others need their own scorer."""


def run(job: Job) -> dict[str, Any]:
    """Compare ``runs`` (ids) by ``metrics``, on one ``question`` or ``category`` where named.

    Without metrics: ``keyword`` where all are proxy runs, of a benchmark what its single answers are worth (in
    values.jsonl: ``accuracy`` and the like), else ``exact``, and ``cosine`` where all were scored with an embedding;
    and ``also``, where that is one that can be compared answer by answer (else it is in ``left_out``). The first run's
    embedding is used for all.

    ``comparisons`` and ``ranks`` go to the run's scores.json, shaped as :func:`backends.scoring.compare.compare_all`
    and :func:`backends.scoring.compare.ranks` say, ``explored`` as :func:`backends.scoring.apart.explored`, and where
    they part as :mod:`backends.work.parted` says; ``inputs`` tell whether a run has changed since.

    Raises:
        JobError: fewer than two runs, one that cannot be read, kinds that do not compare, or no such metric.
    """
    arguments = job.spec["tool"]["args"]
    ids = list(dict.fromkeys(int(one) for one in arguments["runs"]))
    if len(ids) < 2:
        raise JobError("a comparison needs two runs", "fada compare RUN RUN…")
    inputs = stamps(job.home, ids)
    stored = [stored_run(job, one) for one in ids]
    worth = _worth(stored)
    metrics = _metrics(arguments.get("metrics"), stored, worth)
    metrics, left_out = _with_also(metrics, arguments.get("also"), stored, worth)
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
        runs = compared[metric] = [
            _contestant(one, answers[one.run], metric, embedder, worth.get(one.run)) for one in stored
        ]
        document["comparisons"] += [row | wanted for row in compare_all(runs, metric, unlike=differing, seed=seed)]
        document["ranks"] += [row | wanted for row in ranks(runs, metric, seed=seed)]
        for a, b in combinations(runs, 2):
            document["explored"] += explored(a, b, metric, seed=seed)
        job.events.progress(done, len(metrics), "metrics", "compare")
    document["parted"] = write_parted(job.dir, compared, by_value=bool(worth))
    if embedder:
        document["embedding"] = embedder.loaded
    write_json(job.dir / "scores.json", document)
    return {"runs": ids, "metrics": metrics, "comparisons": len(document["comparisons"])}


Worth = Mapping[int, Mapping[str, Mapping[str, float]]]
"""Of each run on a benchmark what its answers are worth, by id and metric."""


def _worth(stored: Sequence[Stored]) -> Worth:
    """Nothing of runs whose answers are compared with references; a benchmark's scorer alone can read its answers.

    Raises:
        JobError: the kinds do not compare, or a run did not keep what its answers are worth.
    """
    kinds = {one.kind for one in stored}
    if kinds <= _BY_REFERENCE:
        return {}
    if len(kinds) > 1:
        said = ", ".join(f"#{one.run} {one.kind}" for one in stored)
        raise JobError(f"runs of unlike kinds do not compare ({said})", "compare runs of one kind")
    if kinds == {"perf"}:
        raise JobError("runs of kind perf measured speed: their answers are not judged", "fada leaderboard --kind perf")
    found = {one.run: read_values(one.folder) for one in stored}
    for one in stored:
        if not found[one.run]:
            raise JobError(
                f"run #{one.run} kept no value of each answer", f"fada rescore {one.run}, then compare again"
            )
    return found


def _shared(worth: Worth) -> list[str]:
    """Metrics that every run has values of, in the order of the first one's."""
    each = [dict.fromkeys(name for values in one.values() for name in values) for one in worth.values()]
    return [name for name in each[0] if all(name in names for names in each)]


def _with_also(
    metrics: list[str], also: str | None, stored: Sequence[Stored], worth: Worth
) -> tuple[list[str], list[str]]:
    """The metrics with one more where every run has values of it; else that one apart."""
    if also is None or also in metrics:
        return metrics, []
    if worth:
        there = also in _shared(worth)
    else:
        there = also in PER_ANSWER and (
            all(one.embedding for one in stored)
            if also == "cosine"
            else all(per_answer(also, one.answers) for one in stored)
        )
    return ([also, *metrics], []) if there else (metrics, [also])


def _metrics(named: Sequence[str] | None, stored: Sequence[Stored], worth: Worth) -> list[str]:
    known = _shared(worth) if worth else PER_ANSWER
    if named:
        unknown = [name for name in named if name not in known]
        if unknown:
            raise JobError(f"no metric {unknown[0]!r} to compare answer by answer", f"known: {', '.join(known)}")
        return list(dict.fromkeys(named))
    if worth:
        if not known:
            raise JobError("the runs share no metric of single answers", "compare runs on the same tasks")
        return list(known)
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


def _contestant(
    one: Stored,
    answers: Sequence[Answer],
    metric: str,
    embedder: Embedder | None,
    worth: Mapping[str, Mapping[str, float]] | None,
) -> Contestant:
    notes = []
    if one.unmatched:
        notes.append(f"#{one.run}: {one.unmatched} answers have no reference")
    if one.kind == "proxy" and metric != "keyword":
        notes.append(f"#{one.run} is a proxy run")
    notes += [f"#{one.run} {alarm['kind']}: {alarm['text']}" for alarm in one.alarms()]
    if worth is None:
        values = per_answer(metric, answers, embedder)
    else:
        values = {answer.id: worth[answer.id][metric] for answer in answers if metric in worth.get(answer.id, ())}
    return Contestant(one.run, {answer.id: answer for answer in answers}, values, tuple(notes))


def _differing(stored: Sequence[Stored]) -> Mapping[tuple[int, int], Sequence[str]]:
    return {(a.run, b.run): unlike(a.spec, b.spec) for a, b in combinations(stored, 2)}
