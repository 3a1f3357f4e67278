"""One whole checkpoint of a model and the adapter that a fine-tune has left for it, in the numbers of the base."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.jobs.modelcard import CARD, RECORD, render
from backends.models.base import VisionLanguageModel
from backends.models.download import fetch
from backends.models.precision import dtype_of
from backends.models.transformers_loader import load
from backends.work.common import generation_of, load_model, sync_folder
from backends.work.training.keep import sync_files
from db.atomic import replace_file

_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def save_merged(job: Job, folder: Path) -> Path:
    """Write the spec's model as a whole checkpoint under ``folder``, which gets its name when it is whole.

    A model without an adapter (that of a full fine-tune, or one that nobody tuned) is taken over as it is.

    Raises:
        JobError: It does not load, or the adapter does not fit it.
    """
    temporary = folder.with_name(f"{folder.name}.tmp")
    for left in (temporary, folder):
        shutil.rmtree(left, ignore_errors=True)
    adapter, whole = _sources(job)
    if adapter is None:
        # The same bytes need no second place on the disk. Hub snapshots are links themselves: those are followed.
        shutil.copytree(whole, temporary, copy_function=_link_or_copy)
    else:
        _merge(job, whole, temporary)
        _write_card(adapter, temporary)
    sync_files(temporary)
    temporary.rename(folder)
    sync_folder(folder.parent)
    return folder


def load_folder(job: Job, folder: Path) -> Iterator[VisionLanguageModel]:
    """A checkpoint folder by the loader that every evaluation uses, in the numbers that those use."""
    device, threads = job.spec.get("device") or "auto", int(job.spec.get("threads") or 1)
    model = load(folder, None, device, threads, generation=generation_of(job.spec))
    try:
        yield model
    finally:
        model.unload()


def _sources(job: Job) -> tuple[Path | None, Path]:
    """The adapter, where there is one, and the folder of the whole model below it."""
    part = job.spec["model"]
    run = part.get("from_run")
    left = job.home.run_dir(int(run)) if run is not None else None
    if left is not None and not (left / "adapter").is_dir() and (left / "model").is_dir():
        return None, left / "model"
    source = Path(part["source"])
    if not source.is_absolute():
        source = Path(fetch(job, part["source"], part.get("revision"), allow_pickle=bool(part.get("allow_pickle"))))
    return (left / "adapter" if left is not None else None), source


def _merge(job: Job, base: Path, into: Path) -> None:
    loaded = load_model(job, generation_of(job.spec), dtype=stored_dtype(base))
    tuned: Any = loaded.model
    merged = tuned.merge_and_unload()
    merged.save_pretrained(str(into))
    loaded.processor.save_pretrained(str(into))
    loaded.unload()


def stored_dtype(folder: Path) -> torch.dtype:
    """In what numbers a checkpoint keeps its largest weight: what is merged is kept in the same."""
    largest, found = 0, dtype_of("bf16", torch.device("cpu"))
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                part = file.get_slice(name)
                size = 1
                for side in part.get_shape():
                    size *= int(side)
                if size > largest and part.get_dtype() in _DTYPES:
                    largest, found = size, _DTYPES[part.get_dtype()]
    return found


def _write_card(adapter: Path, into: Path) -> None:
    """The adapter's card, as that of a whole model."""
    facts = read_json(adapter / RECORD)
    if facts is not None:
        facts["merged"] = True
        write_json(into / RECORD, facts)
        replace_file(into / CARD, render(facts).encode())


def _link_or_copy(source: str, target: str) -> None:
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        shutil.copy2(real, target)
