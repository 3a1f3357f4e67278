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
from backends.work.benchmark import rescored
from backends.work.stored import Stored, other_scores, stored_run
from db.connect import connect

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
    if stored.kind not in KINDS:
        known = ", ".join((*KINDS, *_BENCHMARKS))
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
    )
    if embedder and stored.embedding not in (None, embedder.name):
        mark(rows, f"scored with {embedder.name}; the run was queued to be scored with {stored.embedding}")
    rows = with_duplicates(rows, stored.spec.get("fingerprint"), other_scores(job.home, stored.run))
    kept = replace_scores(stored, rows, embedder)
    with closing(connect(job.home.runs_db)) as conn:
        ingest(conn, job.home, stored.run)
    overall = {row["metric"]: row["value"] for row in rows if row["question"] is None and row["category"] is None}
    return {"run": stored.run, "scores": overall, "scorer": VERSION, "kept": kept, "unmatched": stored.unmatched}


def _benchmark(job: Job, stored: Stored) -> dict[str, Any]:
    """A run on a benchmark, by the answer key in its directory."""
    job.events.started(device="cpu", versions={}, total=len(stored.answers), unit="answers")
    module = import_module(_BENCHMARKS[stored.kind])
    rows = rescored(module.BENCHMARK, stored)
    rows = with_duplicates(rows, stored.spec.get("fingerprint"), other_scores(job.home, stored.run))
    model = stored.spec.get("model") or {}
    name = str(model.get("name") or model.get("source"))
    kept = replace_scores(stored, rows, None, module.BENCHMARK.beside(rows, name))
    with closing(connect(job.home.runs_db)) as conn:
        ingest(conn, job.home, stored.run)
    overall = {row["metric"]: row["value"] for row in rows if row["question"] is None and row["category"] is None}
    scorer = rows[0]["scorer"] if rows else None
    return {"run": stored.run, "scores": overall, "scorer": scorer, "kept": kept, "unmatched": stored.unmatched}


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
    document |= {"scores": [*rows, *before.get("stated", [])], "finished": True, "rescored": True, **(beside or {})}
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
