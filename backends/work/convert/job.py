"""The job of an export: ask the original, convert, ask the exported file, and record how far they agree."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.data.sample import Sample
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.models.base import VisionLanguageModel
from backends.models.device import versions
from backends.models.openai_server import ServerModel
from backends.work.common import check_unchanged, generation_of, how_loaded, load_model, read_samples
from backends.work.convert.check import Compared, ask, compared
from backends.work.convert.exported import Exported, bytes_of, weights_bytes
from backends.work.convert.merge import load_folder, save_merged
from backends.worker import say


def convert(job: Job) -> dict[str, Any]:
    """Export the spec's model. The files lie in the run's directory when they are whole.

    Returns:
        The summary: ``files`` with their bytes, ``bytes`` in all and ``bytes_before`` of the weights they were made
        of, and ``check``: how many questions were asked, ``agreement`` and the scores of both; or why there is none.

    Raises:
        JobError: It does not load, or the exporter fails.
    """
    wanted, data = job.spec["convert"], job.spec.get("data")
    start = time.perf_counter()
    samples: list[Sample] = []
    if data is not None:
        check_unchanged(data)
        seed = int(job.spec.get("seed") or 0)
        samples = read_samples(data["path"], data.get("image_root"), data.get("limit"), seed)
    stages = _Stages(job, wanted, bool(samples))
    original = _ask_original(job, samples, stages)
    exported, before = _export(job, wanted, stages)
    files = [{"path": path.name, "bytes": bytes_of(path)} for path in exported.files]
    total = sum(int(str(one["bytes"])) for one in files)
    _say_sizes(job, wanted, before, total)
    check, rows = _check(job, samples, original, exported, stages)
    write_json(job.dir / "scores.json", {"scores": rows, "finished": True})
    stages.done()
    return {
        "to": wanted["to"],
        "quant": wanted.get("quant"),
        "files": files,
        "bytes": total,
        "bytes_before": before,
        **exported.facts,
        "check": check,
        "seconds": round(time.perf_counter() - start, 3),
    }


class _Stages:
    """Progress in stages, by name."""

    def __init__(self, job: Job, wanted: dict[str, Any], checked: bool) -> None:
        self.job, self.at = job, 0
        self.names = [
            *(["ask the original"] if checked else []),
            *(["merge"] if wanted["to"] != "merged" else []),
            wanted["to"],
            *(["ask the exported"] if checked else []),
        ]

    def begin(self, name: str) -> None:
        say(name)
        self.at = self.names.index(name) if name in self.names else self.at
        self.job.events.progress(self.at, len(self.names), "stages", name)

    def done(self) -> None:
        self.job.events.progress(len(self.names), len(self.names), "stages", "done")


def _ask_original(job: Job, samples: list[Sample], stages: _Stages) -> list[Any]:
    """The answers of the model as it is, from its own weights; without questions only the start is told."""
    if not samples:
        job.events.started(device="cpu", versions=versions(), total=len(stages.names), unit="stages")
        return []
    model = load_model(job, generation_of(job.spec))
    job.events.started(
        device=model.device, versions=versions(), total=len(stages.names), unit="stages", **how_loaded(model)
    )
    stages.begin("ask the original")
    try:
        return ask(job, model, samples, job.dir / "original.jsonl")
    finally:
        model.unload()


def _export(job: Job, wanted: dict[str, Any], stages: _Stages) -> tuple[Exported, int]:
    """What was exported, and the bytes of the weights it was made of."""
    if wanted["to"] == "merged":
        stages.begin("merged")
        folder = save_merged(job, job.dir / "model")
        return Exported((folder,), lambda: load_folder(job, folder)), weights_bytes(folder)
    stages.begin("merge")
    whole = save_merged(job, job.dir / "whole")
    stages.begin(wanted["to"])
    before = weights_bytes(whole)
    try:
        exported = _exporter(wanted["to"])(job, whole)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return exported, before


def _exporter(to: str) -> Callable[[Job, Path], Exported]:
    if to == "gguf":
        from backends.work.convert.gguf import export
    elif to == "onnx":
        from backends.work.convert.onnx import export
    else:
        raise JobError(f"there is no export {to!r}", "use merged, gguf or onnx")
    return export


def _check(
    job: Job, samples: list[Sample], original: list[Any], exported: Exported, stages: _Stages
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask the exported file what the original was asked; the record of it, and its score rows."""
    if not samples:
        return {"why_not": "no questions were given to check it on"}, []
    if exported.open is None:
        job.events.message("warning", f"the exported file was not run: {exported.why_not}")
        return {"why_not": exported.why_not}, []
    stages.begin("ask the exported")
    with contextmanager(exported.open)() as model:
        answers = ask(job, model, samples, job.predictions)
        again = _ask_with_margins(job, model, samples, exported.margins)
    found: Compared = compared(job, original, answers, one_tile=exported.one_tile, with_margins=again)
    level = "info" if found.close else "warning"
    job.events.message(level, found.words())
    return found.facts(), found.rows


def _ask_with_margins(
    job: Job, model: VisionLanguageModel, samples: list[Sample], margins: tuple[str, str]
) -> list[Any] | None:
    """The answers to what the original was asked to the letter; None where a plain request is that already."""
    if not any(margins) or not isinstance(model, ServerModel):
        return None
    model.margins = margins
    return ask(job, model, samples, job.dir / "with_margins.jsonl")


def _say_sizes(job: Job, wanted: dict[str, Any], before: int, after: int) -> None:
    called = " ".join(str(word) for word in (wanted["to"], wanted.get("quant")) if word)
    job.events.message("info", f"{called}: {after / 1e6:,.1f} MB, of {before / 1e6:,.1f} MB of weights")
