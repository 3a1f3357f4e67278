"""What evaluating and fine-tuning share: the samples of a spec, its model, images, and careful writing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from backends.catalog.hub import cached_snapshot, is_offline
from backends.data.door import open_data
from backends.data.sample import Sample
from backends.data.validate import file_sha256
from backends.jobs.job import Job, JobError
from backends.models.base import Generation, VisionLanguageModel
from backends.models.transformers_loader import TransformersModel, load
from backends.worker import say


def read_samples(
    path: str, image_root: str | None, limit: int | None, seed: int, kind: str | None = None
) -> list[Sample]:
    """The samples of a data file or folder that ``limit`` and ``seed`` take, in file order.

    Args:
        kind: What they are for, as for :func:`backends.data.door.open_data`.

    Raises:
        backends.data.errors.DataError: there is nothing to read, or a line cannot be read.
    """
    return list(open_data(Path(path), kind, Path(image_root) if image_root else None, limit, seed))


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
    job: Job, generation: Generation, *, trainable: bool = False, dtype: torch.dtype | None = None
) -> TransformersModel:
    """The model of a spec, with the adapter or instead the model that ``from_run`` has left.

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
    _announce_download(job, source, model.get("revision"))
    loaded = load(
        source,
        adapter,
        job.spec.get("device") or "auto",
        int(job.spec.get("threads") or 1),
        revision=model.get("revision"),
        generation=generation,
        trainable=trainable,
        dtype=dtype,
        precision=model.get("precision") or "auto",
    )
    say(", ".join(f"{name} {value}" for name, value in loaded.facts().items()))
    for warning in loaded.warnings:
        job.events.message("warning", warning)
    return loaded


def how_loaded(model: VisionLanguageModel) -> dict[str, dict[str, str]]:
    """What the event ``started`` says besides of a model that was loaded here: its numbers and attention kernel."""
    return {"loaded": model.facts()} if isinstance(model, TransformersModel) else {}


def _announce_download(job: Job, source: str, revision: str | None) -> None:
    """Say that a checkpoint must come from the hub first; without a network say so at once, not after many tries."""
    if Path(source).is_absolute() or cached_snapshot(source, revision) or is_offline():
        return
    job.events.message("info", f"{source} is not on this machine: it is downloaded from the hub first")
    if any(name.lower() in ("https_proxy", "all_proxy") for name in os.environ):
        return  # the proxy resolves names
    host = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        hint = "check the network, or give a checkpoint folder that was downloaded elsewhere"
        raise JobError(
            f"{source} is not on this machine and {host} cannot be reached ({error.strerror})", hint
        ) from error


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
