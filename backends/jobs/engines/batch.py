"""The batch script of one submission, and the words for sbatch."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from backends.jobs.engines.base import Order
from backends.jobs.engines.config import GB, EngineSettings
from db.home import Home

_SLACK_S = 120
"""What a job takes besides its own maximum run time, before Slurm ends it."""


def batch_options(settings: EngineSettings, orders: Sequence[Order], home: Home, label: str) -> list[str]:
    """For sbatch. Nothing of this shell's environment goes with it: Slurm would keep it in files of its own."""
    first, place = orders[0], settings.place(home)
    words = ["--export=NIL", f"--job-name={label}", f"--chdir={place}", "--input=/dev/null", "--open-mode=append"]
    words.append(f"--output={place}/runs/{first.run}/log.txt" if len(orders) == 1 else "--output=/dev/null")
    words.append("--requeue" if settings.requeue else "--no-requeue")
    if len(orders) > 1:
        words.append(f"--array=0-{len(orders) - 1}")
    if first.after:
        kind = "afterany" if first.after_any else "afterok"
        words.append(f"--dependency={kind}:{':'.join(first.after)}")
    for name, value in asked(settings, first).items():
        words.append(f"--{name}={value}")
    return [*words, *settings.options]


def asked(settings: EngineSettings, order: Order) -> dict[str, str]:
    """What a job asks of Slurm. Orders that ask alike can share an array."""
    words = {
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "gres": _gres(settings, order.reserve),
        "mem": f"{math.ceil(settings.memory_gb * 1000)}M" if settings.memory_gb else None,
        "cpus-per-task": str(settings.cpus) if settings.cpus else None,
        "time": _time(settings, order.spec),
    }
    return {name: value for name, value in words.items() if value}


def batch_script(settings: EngineSettings, orders: Sequence[Order], home: Home) -> str:
    """``bash -l``: so that a cluster's own profile, with ``module`` and the like, is there for the set-up lines."""
    place = settings.place(home)
    python = settings.python or sys.executable
    lines = ["#!/bin/bash -l", "umask 077"]
    run, attempt = str(orders[0].run), str(orders[0].attempt)
    if len(orders) > 1:
        lines.append(f"runs=({' '.join(str(order.run) for order in orders)})")
        lines.append(f"attempts=({' '.join(str(order.attempt) for order in orders)})")
        run, attempt = '"${runs[$SLURM_ARRAY_TASK_ID]}"', '"${attempts[$SLURM_ARRAY_TASK_ID]}"'
        lines.append(f"exec >> {shlex.quote(place)}/runs/{run}/log.txt 2>&1")
    if settings.setup:
        lines += ["set -e", *settings.setup, "set +e"]
    module = "backends.jobs.engines.batch_runner"
    words = f"{shlex.quote(python)} -P -m {module} --home {shlex.quote(place)} --run {run} --attempt {attempt}"
    return "\n".join([*lines, f"exec {words}", ""])


def _gres(settings: EngineSettings, reserve: int) -> str | None:
    """Without memory of a card reserved none is asked for; ``shard:N`` becomes as many as GB are reserved."""
    if not settings.gres or reserve <= 0:
        return None
    if not settings.shards:
        return settings.gres
    most = math.floor(settings.vram_gb or 1)
    return f"shard:{min(most, max(1, math.ceil(reserve / GB)))}"


def _time(settings: EngineSettings, spec: Mapping[str, Any]) -> str | None:
    """The shorter of the engine's limit and of the job's own maximum run time."""
    own = (spec.get("limits") or {}).get("max_seconds")
    limits = [_seconds(settings.time)] if settings.time else []
    limits += [int(own) + _SLACK_S] if own else []
    return str(math.ceil(min(limits) / 60)) if limits else None


def _seconds(text: str) -> int:
    """Slurm's own notation: minutes, ``MM:SS``, ``HH:MM:SS``, ``D-HH``, ``D-HH:MM``, ``D-HH:MM:SS``."""
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    else:
        hours, minutes, seconds = {1: (0, *parts, 0), 2: (0, *parts), 3: tuple(parts)}[len(parts)]
    return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds
