"""The tool job ``rescore``: the present scorer on answers that a run has left, without its model or a card."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json, write_json
from backends.jobs.ingest import ingest
from backends.jobs.job import Job, JobError
from backends.scoring.duplicates import with_duplicates
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.score import KINDS, VERSION, score_answers
from backends.scoring.zeroshot import score_zero_shot
from backends.work.benchmark import rescored, rescored_values
from backends.work.stated import beside_ours, partial_alarm, with_alarms
from backends.work.stored import Stored, other_scores, stored_run
from backends.work.textonly import stored_text_only
from backends.work.trained import trained_of
from backends.work.values import values_of, write_values
from db.connect import SchemaMismatch, connect

_BENCHMARKS = {"u2bench": "backends.work.u2bench", "fetal-gauge": "backends.work.gauge"}


def run(job: Job) -> dict[str, Any]:
    """Score the answers of ``run`` (id) again; its scores.json is replaced whole, the one before kept as scores.N.json.

    ``embedding`` in the arguments takes another embedding than the run's own.

    Raises:
        JobError: the run cannot be read, is of a kind that this cannot score, or the embedding is not there.
    """
    arguments = job.spec["tool"]["args"]
    stored = stored_run(job, int(arguments["run"]))
    if stored.kind in _BENCHMARKS:
        return _benchmark(job, stored)
    if stored.kind == "zero-shot":
        return _zero_shot(job, stored)
    if stored.kind == "perf":
        raise JobError(
            f"run #{stored.run} is of kind perf: it measured speed, and its answers are not judged: nothing to rescore",
            f"measure again: fada retry {stored.run}",
        )
    if stored.kind not in KINDS:
        known = ", ".join((*KINDS, *_BENCHMARKS, "zero-shot"))
        raise JobError(f"run #{stored.run} is of kind {stored.kind}", f"can be rescored: {known}")
    if not stored.answers:
        raise JobError(f"no answer of run #{stored.run} has a reference", "import it with --data")
    embedder = _embedder(arguments.get("embedding") or stored.embedding) if stored.kind == "gt" else None
    job.events.started(device="cpu", versions={}, total=len(stored.answers), unit="texts")
    if stored.unmatched:
        job.events.message("warning", f"{stored.unmatched} answers have no reference and are not scored")
    rows = score_answers(
        stored.answers,
        kind=stored.kind,
        embedder=embedder,
        seed=int(stored.spec.get("seed") or 0),
        progress=lambda done, total: job.events.progress(done, total, "texts", "score"),
        text_only=stored_text_only(stored.folder),
    )
    if embedder and stored.embedding not in (None, embedder.name):
        mark(rows, f"scored with {embedder.name}; the run was queued to be scored with {stored.embedding}")
    rows = trained_of(stored.folder).mark(rows, stored.answers)
    asked = (stored.spec.get("data") or {}).get("samples") or 0
    rows = with_alarms(rows, partial_alarm(asked, asked - len(stored.answers)))
    rows = with_duplicates(rows, stored.spec, other_scores(job.home, stored.run))
    write_values(stored.folder, values_of(stored.answers, stored.kind, embedder))
    kept = replace_scores(stored, rows, embedder)
    _take_in(job, stored.run)
    overall = {row["metric"]: row["value"] for row in rows if row["question"] is None and row["category"] is None}
    return {"run": stored.run, "scores": overall, "scorer": VERSION, "kept": kept, "unmatched": stored.unmatched}


def _benchmark(job: Job, stored: Stored) -> dict[str, Any]:
    """A run on a benchmark, by the answer key in its directory."""
    job.events.started(device="cpu", versions={}, total=len(stored.answers), unit="answers")
    module = import_module(_BENCHMARKS[stored.kind])
    rows = rescored(module.BENCHMARK, stored)
    rows = with_duplicates(rows, stored.spec, other_scores(job.home, stored.run))
    model = stored.spec.get("model") or {}
    name = str(model.get("name") or model.get("source"))
    write_values(stored.folder, rescored_values(module.BENCHMARK, stored))
    return _replaced(job, stored, rows, module.BENCHMARK.beside(rows, name))


def _zero_shot(job: Job, stored: Stored) -> dict[str, Any]:
    """A classification, by its answers: the class that was nearest to each image, of those that there were.

    What was nearest does not change; other sentences or classes are another evaluation.
    """
    classes = (read_json(stored.folder / "scores.json") or {}).get("classes")
    if not classes:
        where = stored.folder / "scores.json"
        raise JobError(
            f"run #{stored.run} does not say which classes there were ({where})", "evaluate again: fada retry"
        )
    job.events.started(device="cpu", versions={}, total=len(stored.answers), unit="answers")
    rows = score_zero_shot(stored.answers, classes, seed=int(stored.spec.get("seed") or 0))
    rows = with_duplicates(rows, stored.spec, other_scores(job.home, stored.run))
    return _replaced(job, stored, rows, {})


def _replaced(job: Job, stored: Stored, rows: list[dict[str, Any]], beside: Mapping[str, Any]) -> dict[str, Any]:
    """Write and index the rows of a benchmark; the summary."""
    kept = replace_scores(stored, rows, None, beside)
    _take_in(job, stored.run)
    overall = {row["metric"]: row["value"] for row in rows if row["question"] is None and row["category"] is None}
    scorer = rows[0]["scorer"] if rows else None
    return {"run": stored.run, "scores": overall, "scorer": scorer, "kept": kept, "unmatched": stored.unmatched}


def _take_in(job: Job, run_id: int) -> None:
    """The scores are on disk by now: an index that this program cannot write to is no reason to fail."""
    try:
        with closing(connect(job.home.runs_db)) as conn:
            ingest(conn, job.home, run_id)
    except SchemaMismatch as error:
        job.events.message("warning", f"run #{run_id} has new scores; `fada reindex` takes them in ({error})")


def mark(rows: list[dict[str, Any]], text: str) -> None:
    """Put a fingerprint alarm beside every cosine: two embeddings give two different numbers."""
    for row in rows:
        if row["metric"] == "cosine":
            row["alarms"] = [*row["alarms"], {"kind": "fingerprint", "question": None, "text": text}]


def replace_scores(
    stored: Stored, rows: list[dict[str, Any]], embedder: Embedder | None, beside: Mapping[str, Any] | None = None
) -> str | None:
    """Write the run's scores.json in one step; the name that the one before has now, or None where there was none.

    Args:
        beside: What follows from the scores and stands beside them.
    """
    path = stored.folder / "scores.json"
    before = read_json(path) or {}
    document = {key: value for key, value in before.items() if key not in ("scores", "embedding", "rescored")}
    # What an imported run stated of itself stays beside what is measured here.
    stated = beside_ours(before.get("stated", []), rows)
    document |= {"scores": [*rows, *stated], "finished": True, "rescored": True, **(beside or {})}
    document |= {"stated": stated} if stated else {}
    if stored.unmatched:
        document["unmatched"] = stored.unmatched
    if embedder:
        document["embedding"] = embedder.loaded
    kept = _keep(path)
    write_json(path, document)
    return kept


def _keep(path: Path) -> str | None:
    """A copy under the first free name; the file itself stays until it is replaced."""
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return None
    number = 1
    while True:
        name = f"{path.stem}.{number}{path.suffix}"
        try:
            with open(path.with_name(name), "xb") as file:
                file.write(before)
        except FileExistsError:
            number += 1
        else:
            return name


def _embedder(name: str | None) -> Embedder | None:
    if name is None:
        return None
    try:
        return Embedder(name)
    except EmbeddingError as error:
        raise JobError(error.message, error.hint) from error
