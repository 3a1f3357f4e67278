"""What evaluating and fine-tuning share: the samples of a spec, its model, images, and careful writing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from backends.data.door import open_data
from backends.data.sample import Sample
from backends.data.validate import file_sha256
from backends.jobs.job import Job, JobError
from backends.jobs.store import read_spec
from backends.models.base import Generation, LoadedHere, VisionLanguageModel
from backends.models.download import fetch
from backends.models.unsloth_import import LOADER
from backends.worker import say

if TYPE_CHECKING:
    from backends.models.transformers_loader import TransformersModel


def read_samples(
    path: str,
    image_root: str | None,
    limit: int | None,
    seed: int,
    kind: str | None = None,
    sampling: str | None = None,
) -> list[Sample]:
    """The samples of a data file or folder that ``limit`` and ``seed`` take, in file order.

    Args:
        kind: What they are for, as for :func:`backends.data.door.open_data`.
        sampling: How the limit draws, likewise.

    Raises:
        backends.data.errors.DataError: there is nothing to read, or a line cannot be read.
    """
    return list(open_data(Path(path), kind, Path(image_root) if image_root else None, limit, seed, sampling=sampling))


def check_unchanged(data: Mapping[str, Any]) -> None:
    """The data file must be the one that was queued: its hash is part of the run's fingerprint.

    Raises:
        JobError: it changed since.
    """
    frozen, path = data.get("sha256"), Path(data["path"])
    if frozen and file_sha256(path) != frozen:
        hint = "put the file back and retry, or queue a new run for what it is now"
        raise JobError(f"{path}: the data changed after this run was queued", hint)


def load_model(
    job: Job,
    generation: Generation,
    *,
    trainable: bool = False,
    dtype: torch.dtype | None = None,
    by: Callable[..., TransformersModel] | None = None,
) -> TransformersModel:
    """The model of a spec, with the adapter or instead the model that ``from_run`` has left.

    Args:
        by: What loads it, instead of what the spec's ``model.loader`` says.

    Raises:
        JobError: the run left nothing, or the model does not load.
    """
    model = job.spec["model"]
    source, adapter = model["source"], None
    run = model.get("from_run")
    if run is not None:
        left = job.home.run_dir(int(run))
        if (left / "adapter").is_dir():
            adapter = left / "adapter"
        elif (left / "model").is_dir():
            source = str(left / "model")
        else:
            raise JobError(f"run {run} left neither adapter/ nor model/ in {left}", f"see fada job {run}")
    allow_pickle, repo = bool(model.get("allow_pickle")), None if Path(source).is_absolute() else source
    if repo:
        source = str(fetch(job, repo, model.get("revision"), allow_pickle=allow_pickle))
    loaded = (by or _loader(model))(
        source,
        adapter,
        job.spec.get("device") or "auto",
        int(job.spec.get("threads") or 1),
        generation=generation,
        trainable=trainable,
        dtype=dtype,
        precision=model.get("precision") or "auto",
        allow_pickle=allow_pickle,
        known_as=repo,
    )
    if adapter is not None and run is not None:
        _see_as_trained(job, int(run), loaded)
    say(", ".join(f"{name} {value}" for name, value in loaded.facts().items()))
    for warning in loaded.warnings:
        job.events.message("warning", warning)
    return loaded


def _loader(model: Mapping[str, Any]) -> Callable[..., TransformersModel]:
    # Late: what is imported by every worker must import under the oldest transformers of any environment.
    if model.get("loader") == LOADER:
        from backends.models.unsloth_loader import load as load_by_unsloth

        return load_by_unsloth
    from backends.models.transformers_loader import load

    return load


def _see_as_trained(job: Job, run: int, loaded: TransformersModel) -> None:
    """An adapter sees images as large as in its training: its base's processor may pass on larger ones."""
    pixels = ((read_spec(job.home.run_dir(run)) or {}).get("training") or {}).get("max_pixels")
    if pixels:
        from backends.models.pixels import limit_pixels

        limit_pixels(loaded.processor, int(pixels))


def how_loaded(model: VisionLanguageModel) -> dict[str, dict[str, str]]:
    """What the event ``started`` says besides of a model that was loaded here: its numbers and attention kernel."""
    return {"loaded": model.facts()} if isinstance(model, LoadedHere) else {}


def generation_of(spec: dict[str, Any]) -> Generation:
    """The spec's generation settings, defaults where they are absent."""
    given = spec.get("generation") or {}
    return Generation(int(given.get("max_new_tokens") or 64), bool(given.get("do_sample")))


class Throttle:
    """``ready()`` is True at most once every ``seconds``; the first time at once where ``at_once``."""

    def __init__(self, seconds: float, *, at_once: bool = True) -> None:
        self.seconds = seconds
        self._next = 0.0 if at_once else time.monotonic() + seconds

    def ready(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self.seconds
        return True

    def spent(self, seconds: float, share: float = 0.05) -> None:
        """After work that took ``seconds``: wait so long that it stays below ``share`` of the time."""
        self._next = time.monotonic() + max(self.seconds, seconds / share)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
