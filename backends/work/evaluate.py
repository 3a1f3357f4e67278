"""Ask a model every question of a data file, keep each answer, and score them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any

from transformers import set_seed

from backends.data.sample import Sample
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.models.base import VisionLanguageModel
from backends.models.device import versions
from backends.models.openai_server import ServerModel
from backends.scoring.answer import Answer
from backends.scoring.duplicates import with_duplicates
from backends.scoring.embedding import Embedder, EmbeddingError
from backends.scoring.score import score_answers
from backends.scoring.values import said_of
from backends.work.asking import Asked, Asker, Asking
from backends.work.common import Throttle, check_unchanged, how_loaded, read_samples
from backends.work.live import LiveScores
from backends.work.predictions import Predictions
from backends.work.serving import ServerAsker, open_model
from backends.work.stored import other_scores
from backends.work.textonly import ask_text_only, is_wanted
from backends.work.trained import Trained, look
from backends.work.values import values_of, write_values

PROGRESS_EVERY_S = 0.25
LIVE_RESAMPLES = 2_000


def evaluate(job: Job) -> dict[str, Any]:
    """Run an evaluation of kind ``gt`` or ``proxy``: the answers go to predictions.jsonl, the scores to scores.json.

    Answers already in predictions.jsonl are kept and not asked again.

    Returns:
        The summary: counts, speed and the overall scores; where it was asked to stop, how far it came.

    Raises:
        JobError: the spec, the data or the model cannot be used.
    """
    spec, data = job.spec, job.spec["data"]
    if data is None:
        raise JobError("an evaluation needs data", "give --data FILE.jsonl")
    seed = int(spec.get("seed") or 0)
    set_seed(seed)
    check_unchanged(data)
    samples = read_samples(data["path"], data.get("image_root"), data.get("limit"), seed, spec["task"])
    embedder = _embedder(spec["scoring"]["embedding"]) if spec["task"] == "gt" else None
    trained = look(job, samples)
    model = open_model(job)
    predictions = Predictions(job.predictions)
    job.events.started(
        device=model.device, versions=versions(), total=len(samples), unit="samples", **how_loaded(model)
    )
    try:
        speed = ask_all(job, asker_of(job, model), samples, predictions, _live(job, samples, embedder, seed, trained))
        wanted = is_wanted(spec) and not speed["stopped"]
        floor = ask_text_only(job, asker_of(job, model, "text_only."), samples) if wanted else None
        if wanted and floor is None:
            speed["stopped"] = f"{len(samples)} of {len(samples)} answers, and part of the floor text_only"
    finally:
        predictions.close()
    if speed["stopped"]:
        return {"stopped": speed["stopped"], "samples": len(samples), "seconds": speed["seconds"]}
    model.unload()
    answers = [predictions.answers[sample.id] for sample in samples]
    return _summary(answers, _score(job, answers, embedder, seed, trained, floor), speed)


def asker_of(job: Job, model: VisionLanguageModel, what: str = "") -> Asking:
    """Batches as the spec wants them, their sizes remembered in the run's directory; of a server single requests.

    Args:
        what: A name for other questions than the run's own, whose batches are remembered apart.
    """
    if isinstance(model, ServerModel):
        return ServerAsker(model, job.events.message)
    generation = job.spec["generation"]
    seed = int(job.spec.get("seed") or 0) if generation.get("do_sample") else None
    return Asker(model, int(generation["batch_size"]), remember=job.dir / f"{what}batches.json", seed=seed)


def _score(
    job: Job,
    answers: Sequence[Answer],
    embedder: Embedder | None,
    seed: int,
    trained: Trained,
    text_only: Mapping[str, str] | None,
) -> list[dict[str, Any]]:
    """The final scores, with an alarm for each other run that has the same; they are written to scores.json."""
    spec = job.spec
    rows = score_answers(answers, kind=spec["task"], embedder=embedder, seed=seed, text_only=text_only)
    rows = with_duplicates(trained.mark(rows, answers), spec, other_scores(job.home, job.run_id))
    loaded = embedder.loaded if embedder else None
    write_values(job.dir, values_of(answers, spec["task"], embedder))
    write_json(job.dir / "scores.json", {"scores": rows, "finished": True, "embedding": loaded})
    return rows


def _embedder(name: str) -> Embedder:
    try:
        return Embedder(name)
    except EmbeddingError as error:
        raise JobError(error.message, error.hint) from error


def ask_all(
    job: Job, asker: Asking, samples: Sequence[Sample], predictions: Predictions, live: LiveScores | None = None
) -> dict[str, Any]:
    """Ask what has no answer yet, keep each answer as it is made, and tell how it goes, also the growing scores.

    Returns:
        ``asked_now`` (questions), ``seconds``, ``tokens`` generated, ``halved`` (how often memory ran out),
        ``stopped``: None, or where it was asked to stop or its budget ended how far it came; and the asker's facts.

    Raises:
        JobError: as :meth:`backends.work.asking.Asker.run`.
    """
    kept = frozenset(predictions.answers)
    total, done = len(samples), sum(sample.id in kept for sample in samples)
    before = done
    if done:
        job.events.message("info", f"{done} of {total} answers are there already")
    job.events.progress(done, total, "samples", "ask")
    tell = Throttle(PROGRESS_EVERY_S)
    start, tokens, halved, stopped = time.perf_counter(), 0, 0, None
    with live or nullcontext(), closing(asker.run(samples, skip=kept)) as batches:
        if live is not None:
            live.feed(predictions.answers)
        for results in batches:
            stop = done + len(results) < total and job.stop_requested()
            for asked in [*results, *asker.rest()] if stop else results:
                keep(predictions, asked)
                tokens += (asked.reply.output_tokens or 0) if asked.reply else 0
                done += 1
            if live is not None:
                live.feed(predictions.answers)
            if asker.halved > halved:
                halved = asker.halved
                job.events.message("warning", f"out of memory: the batch is now {asker.batch_size}")
            if tell.ready():
                job.events.progress(done, total, "samples", "ask")
            if done < total and (stop or asker.ended):
                stopped = f"{done} of {total} answers"
                if live is not None:
                    live.hurry()
            if stop:
                break
        if stopped and asker.ended:
            stopped = f"{done} of {total} answers: {asker.ended}"
        seconds = time.perf_counter() - start
        # Leaving waits for the live scores.
        job.events.progress(done, total, "samples", "ask" if stopped else "score")
    return {
        "asked_now": done - before,
        "seconds": round(seconds, 3),
        "tokens": tokens,
        "halved": asker.halved,
        "stopped": stopped,
        **asker.facts(),
    }


def keep(predictions: Predictions, asked: Asked) -> None:
    """Append what came of one question."""
    reply = asked.reply
    predictions.add(
        asked.sample,
        prediction=reply.text if reply else None,
        latency_s=asked.latency_s,
        output_tokens=reply.output_tokens if reply else None,
        error=asked.error,
    )


def _live(job: Job, samples: Sequence[Sample], embedder: Embedder | None, seed: int, trained: Trained) -> LiveScores:
    """The overall scores; their intervals are rougher than the final ones."""

    def measure(answers: Sequence[Answer]) -> list[dict[str, Any]]:
        rows = score_answers(
            answers, kind=job.spec["task"], embedder=embedder, seed=seed, resamples=LIVE_RESAMPLES, partial=True
        )
        return trained.mark([row for row in rows if is_overall(row)], answers)

    def embed(answers: Sequence[Answer]) -> None:
        if embedder is not None:
            embedder.encode(["", *said_of(answers), *(answer.reference for answer in answers)])

    return LiveScores([sample.id for sample in samples], measure, job.events.score, embed)


def is_overall(score: Mapping[str, Any]) -> bool:
    """True for a row over all questions and categories."""
    return score.get("question") is None and score.get("category") is None


def _summary(answers: Sequence[Answer], scores: Sequence[Mapping[str, Any]], speed: dict[str, Any]) -> dict[str, Any]:
    failed = sum(answer.error is not None for answer in answers)
    seconds, asked = speed["seconds"], speed["asked_now"]
    overall = {str(row["metric"]): row["value"] for row in scores if is_overall(row)}
    return {
        "samples": len(answers),
        "answered": len(answers) - failed,
        "failed": failed,
        "samples_per_s": round(asked / seconds, 2) if asked and seconds else None,
        "tokens_per_s": round(speed["tokens"] / seconds, 1) if asked and seconds else None,
        **speed,
        "scores": overall,
    }
