"""What a person asks of an evaluation, a fine-tune or an export; what is not said stays at its default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.jobs.servers import Server

Place = str | os.PathLike[str]
CHECKED = 32
"""So many questions are asked of the original and of an exported file, unless it is said."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked alike of all three."""

    after: Iterable[int] = ()
    """Runs to wait for."""
    after_any: bool = False
    """Start on any end of the runs in ``after``, not only when they are done."""
    held: bool = False
    max_seconds: float | None = None
    """End an attempt that has run for so long, pauses left out; it can be resumed."""
    allow_pickle: bool = False
    """A person has agreed to weights whose file format can carry code."""
    engine: str | None = None
    """Of config.toml: where it runs; None: on this machine."""


@dataclass(frozen=True, kw_only=True)
class EvalAsked(Asked):
    """Of an evaluation."""

    data: Place
    """What the kind reads (backends.data.layout.FORMATS): for ``gt`` FADA chat JSONL with reference answers."""
    image_root: Place | None = None
    """Where its image paths start; default: the file's folder, then its ``images/``."""
    task: str = "gt"
    """One of :data:`backends.jobs.settings.EVAL_TASKS`."""
    limit: int | None = None
    """Ask only N questions: a seeded sample over the whole file (FADA files are sorted by category)."""
    adapter: int | None = None
    """A fine-tune run whose adapter (or full model) is evaluated."""
    generation: Mapping[str, Any] | None = None
    name: str | None = None
    """What to call the model in the lists; default: its tracker name or folder name."""
    server: Server | None = None
    """Where the model is asked, instead of loading it here."""
    send_images: bool = False
    """A person has agreed that the images leave this machine for a hosted server."""
    floors: Sequence[str] = ()
    """Of :data:`backends.jobs.launch.FLOORS`; ``text_only`` asks each question once more, of a grey picture."""
    precision: str = "auto"
    """Of :data:`backends.jobs.precision.PRECISIONS`: in what numbers the model is loaded."""
    loader: str = "auto"
    """Of :data:`backends.jobs.unsloth.LOADERS`."""
    environment: str | None = None
    """Of `fada env list`: load the model there, with an older transformers; default: as catalogued."""
    trust_remote_code: bool | str = False
    """A person agrees now to run the code that comes with the model, as it is; a text: where its hash is in it."""


@dataclass(frozen=True, kw_only=True)
class FinetuneAsked(Asked):
    """Of a fine-tune."""

    data: Place
    image_root: Place | None = None
    eval_data: Place | None = None
    """Held-out questions that are scored while it trains; never trained on."""
    eval_root: Place | None = None
    """Their image root; default: ``image_root``."""
    settings: Mapping[str, Any] | None = None
    """See :data:`backends.jobs.settings.TRAINING` (short names work)."""
    generation: Mapping[str, Any] | None = None
    precision: str = "auto"
    """Of :data:`backends.jobs.precision.PRECISIONS`: LoRA on a base of so many bits."""
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConvertAsked(Asked):
    """Of an export. A run that is not over is waited for anyway; llama.cpp's tools are those of this machine."""

    to: str
    """One of :data:`backends.catalog.export.TARGETS`."""
    quant: str | None = None
    """Of a GGUF: one of :data:`backends.jobs.launch_convert.QUANTS`."""
    data: Place | None = None
    """Questions that the exported file is checked on; default: those that a fine-tune held out."""
    image_root: Place | None = None
    check: int = CHECKED
    """How many of them; 0 checks nothing."""
