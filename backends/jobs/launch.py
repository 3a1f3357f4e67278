"""From what a person asks for to a spec in the queue: everything is checked before anything is queued."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from backends.catalog.resolve import ModelError, ResolvedModel, resolve_model, resolve_served
from backends.data.errors import DataError
from backends.data.told import problems
from backends.data.validate import DataReport, validate
from backends.jobs.asked import Asked, EvalAsked
from backends.jobs.downloads import pinned
from backends.jobs.engines.base import Engine
from backends.jobs.engines.config import engine_part, of_spec
from backends.jobs.engines.local import Local
from backends.jobs.engines.slurm import Slurm
from backends.jobs.errors import QueueError
from backends.jobs.own_environment import ONE_BY_ONE, check_task, environment_part, wants
from backends.jobs.precision import precision_part
from backends.jobs.reservation import with_reservation
from backends.jobs.served import served_model, with_server
from backends.jobs.servers import Server
from backends.jobs.settings import EVAL_TASKS, GENERATION, OF_TASK, TEMPLATES
from backends.jobs.spec import model_content
from backends.jobs.submit import need, submit
from backends.jobs.unsloth import loader_part
from db.connect import connect
from db.home import Home

EMBEDDING = "all-MiniLM-L6-v2"
FLOORS = ("majority", "shuffled", "text_only")
"""What a score can be asked to beat; the first two follow from the answers and are always there."""


def enqueue_eval(home: Home, model: str, **wanted: Any) -> int:
    """Queue an evaluation; what is wanted is that of :class:`EvalAsked`, the errors are those of :func:`plan_eval`."""
    return submit(home, plan_eval(home, model, EvalAsked(**wanted)))


def plan_eval(home: Home, model: str, asked: EvalAsked) -> dict[str, Any]:
    """The parts of an evaluation's spec, everything checked and nothing queued (for several that go in together).

    Args:
        model: Tracker name, alias, Hugging Face id or local checkpoint folder.

    Raises:
        QueueError: Model, data or a number is wrong, or the job can never fit this machine, or that engine.
        CodeConsentNeeded: The model brings code, and nobody has agreed to run it.
        ConsentNeeded: Images would leave the machine and nobody has agreed to it.
    """
    _check_asked(asked)
    resolved, server = _answerer(home, model, asked)
    report = checked_data(asked.data, asked.image_root, asked.limit, asked.task)
    resolved, own = environment_part(home, resolved, agrees=asked.trust_remote_code)
    resolved = pinned(resolved, allow_pickle=asked.allow_pickle, home=home)
    parts: dict[str, Any] = {
        "kind": "eval",
        "task": asked.task,
        "model": _asked_model(home, resolved, asked) | own,
        "data": data_part(report, asked.limit),
        "generation": _generation(resolved, asked),
        "prompt": {"templates": list(TEMPLATES)} if asked.task == "zero-shot" else None,
        "training": None,
        "scoring": {"embedding": EMBEDDING if asked.task == "gt" else None, **_floors(asked.floors, asked.task)},
        **common_parts(asked),
        **engine_part(home, asked.engine),
    }
    if server is not None:
        parts = with_server(home, parts, server, report, asked.send_images)
    return reserved(home, parts)


def enqueue_command(
    home: Home,
    command: Sequence[str],
    *,
    vram_bytes: int = 0,
    after: Iterable[int] = (),
    after_any: bool = False,
    title: str | None = None,
    max_seconds: float | None = None,
    engine: str | None = None,
) -> int:
    """Queue any command; ``FADA_EVENTS`` names its event file. Without VRAM it takes a slot only.

    Raises:
        QueueError: There is no such command, or it can never fit.
    """
    if not command:
        raise QueueError("no command was given", hint="write it after --: fada run -- python train.py")
    where = engine_part(home, engine)
    if not where and shutil.which(command[0]) is None:  # an engine's set-up lines may bring it
        raise QueueError(f"there is no command {command[0]!r}", hint="give its path, or check PATH")
    parts = {
        "kind": "run",
        "task": None,
        "title": title or " ".join(command)[:200],
        "command": list(command),
        **common_parts(Asked(after=after, after_any=after_any, max_seconds=max_seconds)),
        **where,
    }
    return submit(home, reserved(home, parts, reserve=vram_bytes))


def enqueue_tool(
    home: Home, tool: str, arguments: Mapping[str, Any], title: str, max_seconds: float | None = None
) -> int:
    """Queue one of our own tools (phantoms, demo), run by the worker."""
    parts = {
        "kind": "tool",
        "task": None,
        "title": title,
        "tool": {"name": tool, "args": dict(arguments)},
        **common_parts(Asked(max_seconds=max_seconds)),
    }
    return submit(home, parts)


def enqueue_demo(home: Home, max_seconds: float | None = None) -> int:
    """Queue the demo: the job makes phantoms and a tiny model, then queues evaluate → fine-tune → evaluate.

    Args:
        max_seconds: Maximum run time of each of the four.
    """
    return enqueue_tool(home, "demo", {}, "demo: synthetic ultrasound, tiny model", max_seconds)


def data_part(report: DataReport, limit: int | None, sampling: str | None = None) -> dict[str, Any]:
    """The spec's ``data``: which questions, hashes that tell when they change, and the sizes of some of its images.

    Args:
        sampling: How a limit draws, see :mod:`backends.data.subset`; None: a seeded sample over the whole file.
    """
    samples = report.samples if limit is None else min(limit, report.samples)
    return {
        "path": str(report.path),
        "image_root": str(report.image_root),
        "format": report.format,
        "limit": limit,
        "samples": samples,
        "images": report.images,
        "sha256": report.sha256,
        "images_sha256": report.image_stats_sha256,
        **({"image_sizes": [list(size) for size in report.image_sizes]} if report.image_sizes else {}),
        **({"problems": list(told)} if (told := problems(report)) else {}),
        **({"sampling": sampling} if sampling and limit is not None else {}),
    }


def common_parts(asked: Asked) -> dict[str, Any]:
    """What every kind of job has. Whether the runs in ``after`` can be waited for is checked by submit."""
    return {
        "seed": 0,
        "threads": 1,
        "device": "auto",
        "after": list(asked.after),
        "after_any": asked.after_any,
        "held": asked.held,
        "limits": {"max_seconds": asked.max_seconds},
    }


def resolve(home: Home, model: str, by: Callable[..., ResolvedModel] = resolve_model) -> ResolvedModel:
    try:
        with closing(connect(home.fada_db, read_only=True)) as conn:
            return by(model, conn)
    except ModelError as error:
        raise QueueError(error.message, where=error.where, hint=error.hint) from error


def _check_asked(asked: EvalAsked) -> None:
    """What is wrong whatever the model."""
    if asked.task not in EVAL_TASKS:
        raise QueueError(f"there is no evaluation kind {asked.task!r}", hint=f"known: {', '.join(EVAL_TASKS)}")
    if asked.engine is not None and asked.server is not None:
        raise QueueError("a model on a server needs no engine: this machine only asks it", hint="leave out --engine")
    if asked.limit is not None and asked.limit < 1:
        raise QueueError(f"--limit {asked.limit}: it must be at least 1")


def _answerer(home: Home, model: str, asked: EvalAsked) -> tuple[ResolvedModel, Server | None]:
    """Who answers: a model that is loaded, or one on a server; that it can answer this kind of question."""
    server = asked.server
    by = partial(resolve_model, own_code=asked.environment is not None) if server is None else resolve_served
    resolved = wants(resolve(home, model, by), asked.environment if server is None else None)
    if server is not None:
        resolved, server = served_model(resolved, server, asked.task, asked.adapter)
    _check_route(resolved, asked.task, asked.adapter)
    check_task(resolved, asked.task, asked.adapter)
    return resolved, server


def _asked_model(home: Home, resolved: ResolvedModel, asked: EvalAsked) -> dict[str, Any]:
    """The spec's ``model``, and how it is loaded where it is loaded here."""
    here = asked.server is None
    return (
        model_part(home, resolved, asked.adapter, asked.name, asked.allow_pickle)
        | precision_part(asked.precision, resolved.loader, here=here)
        | loader_part(home, asked.loader, resolved.source, resolved.loader, here=here)
    )


def _generation(resolved: ResolvedModel, asked: EvalAsked) -> dict[str, Any]:
    """How it answers: as usual, as the kind wants it, as its loader can, as a person says."""
    by_loader = ONE_BY_ONE.get(resolved.loader, {})
    return {**GENERATION, **OF_TASK.get(asked.task, {}), **by_loader, **(asked.generation or {})}


def _check_route(model: ResolvedModel, task: str, adapter: int | None) -> None:
    """A contrastive model ranks sentences, it answers nothing; and it takes no adapter of a chat model."""
    if model.loader == "open_clip" and task != "zero-shot":
        raise QueueError(
            f"{model.name} is no chat model: it ranks given sentences", hint="evaluate it: --kind zero-shot"
        )
    if task == "zero-shot" and adapter is not None:
        raise QueueError("--adapter is of a chat model, and zero-shot needs a contrastive one", hint="leave it out")


def _floors(wanted: Sequence[str], task: str) -> dict[str, Any]:
    """The spec's part; nothing for those that cost nothing, which are always there."""
    unknown = [name for name in wanted if name not in FLOORS]
    if unknown:
        raise QueueError(f"there is no floor {unknown[0]!r}", hint=f"known: {', '.join(FLOORS)}")
    if "text_only" not in wanted:
        return {}
    if task not in ("gt", "proxy"):
        raise QueueError(f"the floor text_only is not made for {task}", hint="it is for --kind gt and proxy")
    return {"floors": ["text_only"]}


def checked_data(
    data: str | os.PathLike[str], root: str | os.PathLike[str] | None, limit: int | None, kind: str
) -> DataReport:
    try:
        return validate(Path(data), Path(root) if root else None, limit=limit, kind=kind)
    except DataError as error:
        raise QueueError(error.message, where=error.where, hint=error.hint, details=error.details) from error


def model_part(
    home: Home, model: ResolvedModel, adapter: int | None, name: str | None, allow_pickle: bool = False
) -> dict[str, Any]:
    parent = None
    if adapter is not None:
        with closing(connect(home.runs_db, read_only=True)) as conn:
            run = need(conn, adapter)
        if run.kind != "finetune":
            raise QueueError(f"run #{adapter} is no fine-tune", hint="--adapter takes the id of a fine-tune run")
        parent = run.fingerprint
    folder = Path(model.source)
    return {
        "name": name or model.tracker_name or model.name,
        "source": model.source,
        "loader": model.loader,
        "revision": model.revision,
        "from_run": adapter,
        "parent": parent,
        "content": model_content(folder) if folder.is_absolute() else None,
        **({"allow_pickle": True} if allow_pickle else {}),
    }


def reserved(home: Home, parts: dict[str, Any], reserve: int | None = None) -> dict[str, Any]:
    """The parts with a reservation on this machine as it is now, or on their engine; see :func:`with_reservation`."""
    settings = of_spec(parts)
    engine: Engine = Local(home) if settings is None else Slurm(settings, home)
    return with_reservation(home, parts, engine.capacity(), reserve)
