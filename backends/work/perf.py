"""An evaluation of speed: the questions asked one after the other, timed; what they take of memory and energy."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.models.base import Reply, Request, VisionLanguageModel, question_messages
from backends.models.device import versions
from backends.models.openai_http import Refused
from backends.models.openai_server import GivenUp
from backends.models.transformers_loader import TransformersModel
from backends.scoring.answer import Answer
from backends.scoring.speed import Timing, score_speed
from backends.work.asking import Asker
from backends.work.common import check_unchanged, generation_of, load_model, read_samples
from backends.work.evaluate import ask_all
from backends.work.ledger import BudgetUsed
from backends.work.live import LiveScores
from backends.work.predictions import Predictions
from backends.work.serving import ServerAsker, open_server

WARM_UP = 3
"""Questions that are asked first and not timed: kernels are chosen and memory is claimed then."""
LIVE_RESAMPLES = 500


def run(job: Job) -> dict[str, Any]:
    """Time a model on every question of a data file; the answers are kept, and not judged.

    Latency is from the decoded image to the text, in batches as the spec wants them (one question, as queued). A run
    that was stopped goes on; first tokens, memory and energy are then of the last attempt.

    Returns:
        The summary: counts, and every figure, None where it could not be measured (energy without a card that tells).

    Raises:
        JobError: the spec, the data or the model cannot be used.
    """
    spec, data = job.spec, job.spec["data"]
    if data is None:
        raise JobError("an evaluation needs data", "give --data PATH")
    seed = int(spec.get("seed") or 0)
    check_unchanged(data)
    samples = read_samples(data["path"], data.get("image_root"), data.get("limit"), seed, "perf")
    if spec.get("server"):
        return time_server(job, samples, seed)
    model = load_model(job, generation_of(spec))
    warm_up(model, samples)
    timed = Timed(model)
    device = model.torch_device
    batch_size = int(spec["generation"]["batch_size"])
    shared = {
        "device": model.device,
        "batch_size": batch_size,
        "dtype": str(model.model.dtype).removeprefix("torch."),
    }
    job.events.started(device=model.device, versions=versions(), total=len(samples), unit="samples")
    predictions = Predictions(job.predictions)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    joules = energy_counter(device)
    start = joules()
    try:
        speed = ask_all(job, Asker(timed, batch_size), samples, predictions, _live(job, samples, shared))
    finally:
        predictions.close()
    end = joules()
    if speed["stopped"]:
        return {"stopped": speed["stopped"], "samples": len(samples), "seconds": speed["seconds"]}
    answers = [predictions.answers[sample.id] for sample in samples]
    drawn = None if start is None or end is None or not speed["asked_now"] else (end - start) / speed["asked_now"]
    costs = {"peak_memory_bytes": peak_memory(device), "energy_j_per_answer": drawn}
    first = [one for one in timed.first_tokens if one is not None]
    rows = score_speed(answers, timings_of(job), shared, first_tokens=first, costs=costs, seed=seed)
    write_json(job.dir / "scores.json", {"scores": rows, "finished": True})
    failed = sum(answer.failed for answer in answers)
    figures = {**dict.fromkeys(("first_token_p50_s", *costs)), **{row["metric"]: row["value"] for row in rows}}
    return {"samples": len(samples), "answered": len(samples) - failed, "failed": failed, **speed, "scores": figures}


def time_server(job: Job, samples: Sequence[Sample], seed: int) -> dict[str, Any]:
    """Time a server's model, one request after the other; streamed answers tell when the first text came.

    What a server takes of memory and energy is not known here. Requests that had to be made again count with the time
    of the one that was answered.
    """
    model = open_server(job)
    model.stream = model.server.stream
    asker = ServerAsker(model, job.events.message)
    if not model.server.is_hosted:
        warm_up(model, samples, 1)  # a server may load the model with the first request
    shared = {"device": model.device, "batch_size": 1, "concurrency": model.server.concurrency, "dtype": None}
    job.events.started(device=model.device, versions=versions(), total=len(samples), unit="samples")
    predictions = Predictions(job.predictions)
    try:
        speed = ask_all(job, asker, samples, predictions, _live(job, samples, shared))
    finally:
        predictions.close()
    if speed["stopped"]:
        return {"stopped": speed["stopped"], "samples": len(samples), "seconds": speed["seconds"]}
    model.unload()
    answers = [predictions.answers[sample.id] for sample in samples]
    first = asker.first_tokens
    rows = score_speed(answers, timings_of(job), shared, first_tokens=first, costs={}, seed=seed)
    if not speed["tokens"]:
        rows = [row for row in rows if row["metric"] != "tokens_per_s"]
    write_json(job.dir / "scores.json", {"scores": rows, "finished": True})
    failed = sum(answer.failed for answer in answers)
    unknown = ("tokens_per_s", "first_token_p50_s", "peak_memory_bytes", "energy_j_per_answer")
    figures = {**dict.fromkeys(unknown), **{row["metric"]: row["value"] for row in rows}}
    reasons = {} if first else {"first_token_p50_s": "the server did not stream its answers"}
    if not speed["tokens"]:
        reasons["tokens_per_s"] = "the server does not count tokens"
    counts = {"samples": len(samples), "answered": len(samples) - failed, "failed": failed}
    return {**counts, **speed, "scores": figures, "unknown": reasons}


class Timed:
    """A model whose inputs are made when it is asked, not ahead, and that notes when its first token was there.

    Satisfies :class:`backends.models.base.VisionLanguageModel`.
    """

    def __init__(self, model: TransformersModel) -> None:
        self.model = model
        self.first_tokens: list[float | None] = []
        """Seconds from asking to the first token of each batch, in order; None where the model does not tell."""

    @property
    def device(self) -> str:
        return self.model.device

    @property
    def revision(self) -> str | None:
        return self.model.revision

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        start = time.perf_counter()
        with first_forward(self.model) as moment:
            replies = self.model.ask(batch)
        first = moment()
        self.first_tokens.append(None if first is None else first - start)
        return replies

    def unload(self) -> None:
        self.model.unload()


@contextmanager
def first_forward(model: TransformersModel) -> Iterator[Callable[[], float | None]]:
    """Notes when the first forward pass is over, the one that reads the prompt; with greedy decoding the first token
    is then known. The yielded function gives that moment, or None.
    """
    found: list[float] = []
    network = model.model.get_base_model() if hasattr(model.model, "get_base_model") else model.model

    def note(*_: Any) -> None:
        if not found:
            if model.torch_device.type == "cuda":
                torch.cuda.synchronize(model.torch_device)
            found.append(time.perf_counter())

    hook = network.register_forward_hook(note)
    try:
        yield lambda: found[0] if found else None
    finally:
        hook.remove()


def warm_up(model: VisionLanguageModel, samples: Sequence[Sample], times: int = WARM_UP) -> None:
    """Ask the first question whose image can be read a few times; what goes wrong will be told when it is timed."""
    for sample in samples:
        try:
            request = Request(open_image(sample), question_messages(sample.question, sample.system))
        except ImageError:
            continue
        for _ in range(times):
            try:
                model.ask([request])
            except (ValueError, RuntimeError, IndexError, GivenUp, Refused, BudgetUsed):
                return
        return


def timings_of(job: Job) -> dict[str, Timing]:
    """Of the answers in predictions.jsonl so far, by id; failures have none."""
    found = {}
    with open(job.predictions, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                record = json.loads(line)
                if record["error"] is None and record["latency_s"] is not None:
                    found[record["id"]] = Timing(record["latency_s"], record["output_tokens"] or 0)
    return found


def _live(job: Job, samples: Sequence[Sample], shared: dict[str, Any]) -> LiveScores:
    def measure(answers: Sequence[Answer]) -> list[dict[str, Any]]:
        return score_speed(answers, timings_of(job), shared, resamples=LIVE_RESAMPLES, partial=True)

    return LiveScores([sample.id for sample in samples], measure, job.events.score)


def peak_memory(device: torch.device) -> int:
    """Bytes: on a card what this process's tensors held at most, on the CPU the most that the process was given."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def energy_counter(device: torch.device) -> Callable[[], float | None]:
    """Joules that the device's card has drawn, whoever used it, since the driver was loaded; None if unknown."""
    if device.type != "cuda":
        return lambda: None
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except Exception:  # noqa: BLE001 - without a driver's library there is no energy, and that is no failure
        return lambda: None

    def joules() -> float | None:
        try:
            torch.cuda.synchronize(device)
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return None

    return joules
