"""Work functions by kind of job. Looking one up imports what it needs, so do it before saying `started`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from backends.jobs.job import Job, JobError

Work = Callable[[Job], dict[str, Any]]

_JOBS = {
    ("eval", "gt"): "backends.work.evaluate:evaluate",
    ("eval", "proxy"): "backends.work.evaluate:evaluate",
    ("eval", "u2bench"): "backends.work.u2bench:run",
    ("eval", "fetal-gauge"): "backends.work.gauge:run",
    ("eval", "perf"): "backends.work.perf:run",
    ("eval", "zero-shot"): "backends.work.zeroshot:run",
    ("finetune", None): "backends.work.finetune:finetune",
    ("convert", None): "backends.work.convert.job:convert",
}
_TOOLS = {
    "compare": "backends.work.compare:run",
    "demo": "backends.work.demo:run",
    "download": "backends.work.download:run",
    "environment": "backends.work.environment:run",
    "import-run": "backends.work.import_run:run",
    "phantoms": "backends.work.phantoms:run",
    "rescore": "backends.work.rescore:run",
}


def work_function(spec: dict[str, Any]) -> Work:
    """The function that does the job of ``spec``, its module imported.

    Raises:
        JobError: there is none for this kind and task, or no such tool.
    """
    kind, task = spec.get("kind"), spec.get("task")
    if kind == "tool":
        name = str((spec.get("tool") or {}).get("name"))
        place = _TOOLS.get(name)
        if place is None:
            raise JobError(f"there is no tool {name!r}", f"known: {', '.join(sorted(_TOOLS))}")
    else:
        place = _JOBS.get((str(kind), task))
        if place is None:
            known = ", ".join(f"{kind} {task or ''}".strip() for kind, task in _JOBS)
            raise JobError(f"a worker cannot do kind {kind!r}, task {task!r}", f"known: {known}, tool")
    module, _, function = place.partition(":")
    work: Work = getattr(import_module(module), function)
    return work
