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
from backends.jobs.dispatcher import capacity_of
from backends.jobs.downloads import pinned
from backends.jobs.engines.config import engine_part, of_spec
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
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home

EMBEDDING = "all-MiniLM-L6-v2"
FLOORS = ("majority", "shuffled", "text_only")
"""What a score can be asked to beat; the first two follow from the answers and are always there."""


def enqueue_eval(home: Home, model: str, **wanted: Any) -> int:
    """Queue an evaluation; the arguments and errors are those of :func:`plan_eval`."""
    return submit(home, plan_eval(home, model, **wanted))


def plan_eval(
    home: Home,
    model: str,
    *,
    data: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    task: str = "gt",
    limit: int | None = None,
    adapter: int | None = None,
    after: Iterable[int] = (),
    after_any: bool = False,
    generation: Mapping[str, Any] | None = None,
    name: str | None = None,
    held: bool = False,
    max_seconds: float | None = None,
    server: Server | None = None,
    send_images: bool = False,
    floors: Sequence[str] = (),
    precision: str = "auto",
    loader: str = "auto",
    allow_pickle: bool = False,
    environment: str | None = None,
    trust_remote_code: bool | str = False,
    engine: str | None = None,
) -> dict[str, Any]:
    """The parts of an evaluation's spec, everything checked and nothing queued (for several that go in together).

    Args:
        model: Tracker name, alias, Hugging Face id or local checkpoint folder.
        data: What the kind reads (backends.data.layout.FORMATS): for ``gt`` FADA chat JSONL with reference answers.
        task: One of :data:`EVAL_TASKS`.
        image_root: Where its image paths start; default: the file's folder, then its ``images/``.
        limit: Ask only N questions: a seeded sample over the whole file (FADA files are sorted by category).
        adapter: A fine-tune run whose adapter (or full model) is evaluated.
        after_any: Start on any end of the runs in ``after``, not only when they are done.
        max_seconds: End an attempt that has run for so long, pauses left out; it can be resumed.
        name: What to call the model in the lists; default: its tracker name or folder name.
        server: Where the model is asked, instead of loading it here.
        send_images: A person has agreed that the images leave this machine for a hosted server.
        floors: Of :data:`FLOORS`; ``text_only`` asks the model each distinct question once more, about a grey picture.
        precision: Of :data:`backends.jobs.precision.PRECISIONS`: in what numbers the model is loaded.
        loader: Of :data:`backends.jobs.unsloth.LOADERS`.
        allow_pickle: A person has agreed to weights whose file format can carry code.
        environment: Of `fada env list`: load the model there, with an older transformers; default: as catalogued.
        trust_remote_code: A person agrees now to run the code that comes with the model, as it is; a text: where its
            hash is in it.
        engine: Of config.toml: where it runs; None: on this machine.

    Raises:
        QueueError: Model, data or a number is wrong, or the job can never fit this machine, or that engine.
        CodeConsentNeeded: The model brings code, and nobody has agreed to run it.
        ConsentNeeded: Images would leave the machine and nobody has agreed to it.
    """
    if task not in EVAL_TASKS:
        raise QueueError(f"there is no evaluation kind {task!r}", hint=f"known: {', '.join(EVAL_TASKS)}")
    if engine is not None and server is not None:
        raise QueueError("a model on a server needs no engine: this machine only asks it", hint="leave out --engine")
    if limit is not None and limit < 1:
        raise QueueError(f"--limit {limit}: it must be at least 1")
    by = partial(resolve_model, own_code=environment is not None) if server is None else resolve_served
    resolved = wants(resolve(home, model, by), environment if server is None else None)
    if server is not None:
        resolved, server = served_model(resolved, server, task, adapter)
    _check_route(resolved, task, adapter)
    check_task(resolved, task, adapter)
    report = checked_data(data, image_root, limit, task)
    resolved, own = environment_part(home, resolved, agrees=trust_remote_code)
    resolved = pinned(resolved, allow_pickle=allow_pickle, home=home)
    parts: dict[str, Any] = {
        "kind": "eval",
        "task": task,
        "model": model_part(home, resolved, adapter, name, allow_pickle)
        | precision_part(precision, resolved.loader, here=server is None)
        | loader_part(home, loader, resolved.source, resolved.loader, here=server is None)
        | own,
        "data": data_part(report, limit),
        "generation": {
            **GENERATION,
            **OF_TASK.get(task, {}),
            **ONE_BY_ONE.get(resolved.loader, {}),
            **(generation or {}),
        },
        "prompt": {"templates": list(TEMPLATES)} if task == "zero-shot" else None,
        "training": None,
        "scoring": {"embedding": EMBEDDING if task == "gt" else None, **_floors(floors, task)},
        **common_parts(after, after_any=after_any, held=held, max_seconds=max_seconds),
        **engine_part(home, engine),
    }
    if server is not None:
        parts = with_server(home, parts, server, report, send_images)
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
        **common_parts(after, after_any=after_any, held=False, max_seconds=max_seconds),
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
        **common_parts((), after_any=False, held=False, max_seconds=max_seconds),
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


def common_parts(after: Iterable[int], *, after_any: bool, held: bool, max_seconds: float | None) -> dict[str, Any]:
    """What every kind of job has. Whether the runs in ``after`` can be waited for is checked by submit."""
    return {
        "seed": 0,
        "threads": 1,
        "device": "auto",
        "after": list(after),
        "after_any": after_any,
        "held": held,
        "limits": {"max_seconds": max_seconds},
    }


def resolve(home: Home, model: str, by: Callable[..., ResolvedModel] = resolve_model) -> ResolvedModel:
    try:
        with closing(connect(home.fada_db, read_only=True)) as conn:
            return by(model, conn)
    except ModelError as error:
        raise QueueError(error.message, where=error.where, hint=error.hint) from error


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
    engine = of_spec(parts)
    if engine is not None:
        return with_reservation(home, parts, engine.capacity(), reserve)
    with Sampler(home) as sampler:
        capacity = capacity_of(sampler.sample({}))
    return with_reservation(home, parts, capacity, reserve)
