"""The model card and the record of a fine-tune beside its weights, written before their folder gets its name."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.jobs.modelcard import CARD, RECORD, facts_of, licence_of, render
from backends.models.device import versions
from backends.work.trained import RECORD as TRAINED_ON
from db.atomic import replace_file


def write_card(job: Job, folder: Path, summary: Mapping[str, Any]) -> None:
    """Write README.md and fada.json into ``folder``, and name the base in PEFT's own file as others can find it.

    Args:
        folder: Where the weights are, before it is renamed to its place.
        summary: What the training's ``finished`` event says. The run's scores.json has the held-out scores of the
            last step; those of ``best/`` are in ``best``, with their step.
    """
    best = summary.get("best") if folder.name.startswith("best") else None
    facts = facts_of(
        job.spec,
        {key: value for key, value in summary.items() if key != "best"},
        scores=() if best else (read_json(job.dir / "scores.json") or {}).get("scores") or (),
        trained_on=read_json(job.dir / TRAINED_ON),
        versions=versions(),
        hardware=hardware(),
        licence=licence_of(job.home, job.spec),
        best=best,
    )
    _name_base(folder / "adapter_config.json", facts["base"])
    write_json(folder / RECORD, facts)
    replace_file(folder / CARD, render(facts).encode())


def hardware() -> str:
    """The card, else the processor, as a reader would call it."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        return f"{torch.cuda.get_device_name(0)}, {memory / (1 << 30):.0f} GiB"
    return f"CPU, {_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _name_base(path: Path, base: Mapping[str, Any]) -> None:
    """PEFT has written the folder that the base was loaded from: a hub model is named by repo and commit instead."""
    config = read_json(path)
    if config is None or not base.get("repo"):
        return
    config |= {"base_model_name_or_path": base["repo"], "revision": base.get("revision")}
    replace_file(path, json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n")
