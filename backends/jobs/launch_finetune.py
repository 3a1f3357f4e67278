"""From what a person asks of a fine-tune to a spec in the queue; also from the spec of an earlier one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.catalog.resolve import ResolvedModel
from backends.data.subset import STRATIFIED
from backends.data.validate import DataReport
from backends.jobs.asked import FinetuneAsked
from backends.jobs.downloads import pinned
from backends.jobs.engines.config import engine_part
from backends.jobs.errors import QueueError
from backends.jobs.launch import checked_data, common_parts, data_part, model_part, reserved, resolve
from backends.jobs.own_environment import check_task
from backends.jobs.precision import precision_part
from backends.jobs.reporting import check_trackers
from backends.jobs.settings import GENERATION, TRAINING, SettingError, check_settings, training_spec
from backends.jobs.store import read_spec
from backends.jobs.submit import submit
from backends.jobs.unsloth import check_method
from db.home import Home


def enqueue_finetune(home: Home, model: str, **wanted: Any) -> int:
    """Queue a fine-tune alone; what is wanted is that of :class:`FinetuneAsked`, the errors are those of its plan."""
    return submit(home, plan_finetune(home, model, FinetuneAsked(**wanted)))


def plan_finetune(home: Home, model: str, asked: FinetuneAsked) -> dict[str, Any]:
    """The parts of a fine-tune's spec, everything checked and nothing queued.

    The job leaves ``adapter/`` (LoRA) or ``model/`` (full) in its run directory.

    Raises:
        QueueError: Model, data or a setting is wrong, or the job can never fit this machine.
    """
    training = _training(asked.settings or {})
    resolved = resolve(home, model)
    _check_chat(resolved)
    check_task(resolved, None, None)
    check_method(home, training["method"], resolved.source)
    report, held_out = _both_data(asked)
    resolved = pinned(resolved, allow_pickle=asked.allow_pickle, home=home)
    training["eval_data"] = data_part(held_out, training["eval_limit"]) if held_out else None
    parts: dict[str, Any] = {
        "kind": "finetune",
        "task": None,
        "model": model_part(home, resolved, None, asked.name, asked.allow_pickle)
        | precision_part(asked.precision, resolved.loader, here=True),
        "data": data_part(report, training["limit"], STRATIFIED),
        "generation": {**GENERATION, **(asked.generation or {})},
        "training": training,
        "scoring": None,
        **common_parts(asked),
        **engine_part(home, asked.engine),
    }
    return reserved(home, parts)


def _training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's ``training``; what it reports to is installed."""
    try:
        training = training_spec(check_settings(settings))
    except SettingError as error:
        raise QueueError(str(error)) from error
    check_trackers(training["report_to"])
    return training


def _both_data(asked: FinetuneAsked) -> tuple[DataReport, DataReport | None]:
    """What is trained on, and what is held out, which is something else."""
    report = checked_data(asked.data, asked.image_root, None, "finetune")
    if not asked.eval_data:
        return report, None
    held_out = checked_data(asked.eval_data, asked.eval_root or asked.image_root, None, "finetune")
    if held_out.sha256 == report.sha256:
        raise QueueError("training and held-out data are the same file", where=str(asked.eval_data))
    return report, held_out


def _check_chat(model: ResolvedModel) -> None:
    if model.loader == "open_clip":
        raise QueueError(
            f"{model.name} is no chat model: it ranks given sentences, and nothing here fine-tunes it",
            hint="evaluate it: fada eval --kind zero-shot",
        )


def wanted_like(home: Home, run_id: int) -> dict[str, Any]:
    """What it takes to do an earlier fine-tune again: ``model``, and what :class:`FinetuneAsked` has.

    Raises:
        QueueError: There is no such run, it is no fine-tune, or it was made elsewhere.
    """
    spec = _fine_tune(home, run_id)
    model, data, training = spec["model"], spec["data"], spec["training"]
    held_out = training.get("eval_data") or {}
    folder = Path(model["source"]).is_absolute()
    at = "" if folder or not model.get("revision") else f"@{model['revision']}"
    return {
        "model": model["source"] + at,
        "name": model.get("name"),
        "data": data["path"],
        "image_root": data.get("image_root"),
        "eval_data": held_out.get("path"),
        "eval_root": held_out.get("image_root"),
        "settings": settings_of(training),
        "generation": spec.get("generation"),
        "precision": model.get("precision") or "auto",
        "max_seconds": (spec.get("limits") or {}).get("max_seconds"),
        "allow_pickle": bool(model.get("allow_pickle")),
        "engine": (spec.get("engine") or {}).get("name"),
    }


def _fine_tune(home: Home, run_id: int) -> dict[str, Any]:
    spec = read_spec(home.run_dir(run_id))
    if spec is None:
        raise QueueError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
    if spec.get("kind") != "finetune":
        kind = " ".join(str(word) for word in (spec.get("kind"), spec.get("task")) if word)
        raise QueueError(
            f"run #{run_id} is no fine-tune: {kind}", hint=f"`fada retry {run_id}` repeats it; --like takes a fine-tune"
        )
    if not spec.get("training") or not spec.get("data"):
        raise QueueError(f"run #{run_id} was imported: how it was trained is not known well enough to do it again")
    return spec


def settings_of(training: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's ``training`` as flat settings, those that this version knows."""
    flat = {**training, **{f"lora.{name}": value for name, value in (training.get("lora") or {}).items()}}
    return {name: value for name, value in flat.items() if name in TRAINING}


def changed_data(home: Home, run_id: int, parts: Mapping[str, Any]) -> list[str]:
    """Files of the same name that hold something else than when an earlier run was queued, in words."""
    before = read_spec(home.run_dir(run_id)) or {}
    pairs = [(before.get("data"), parts.get("data"))]
    pairs.append(((before.get("training") or {}).get("eval_data"), (parts.get("training") or {}).get("eval_data")))
    return [
        f"{now['path']} has changed since run #{run_id}"
        for then, now in pairs
        if then and now and then["path"] == now["path"] and then["sha256"] != now["sha256"]
    ]


def variants(sweeps: Sequence[str]) -> list[dict[str, Any]]:
    """Settings of each variant of a sweep: ``["lr=1e-4,2e-4", "r=8,16"]`` gives four, in that order.

    Raises:
        SettingError: A setting that does not exist, a value that it cannot take, one without values or named twice.
    """
    axes: dict[str, list[dict[str, Any]]] = {}
    for word in sweeps:
        name, equals, values = word.partition("=")
        given = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not name.strip() or not given:
            raise SettingError(f"--sweep {word}: write it as name=value,value, for instance --sweep lr=1e-4,2e-4")
        points = [check_settings({name.strip(): value}) for value in given]
        (full,) = points[0]
        if full in axes:
            raise SettingError(f"--sweep: {full} is swept twice")
        if len({str(point[full]) for point in points}) < len(points):
            raise SettingError(f"--sweep {word}: the same value twice")
        axes[full] = points
    return [
        {key: value for point in chosen for key, value in point.items()} for chosen in itertools.product(*axes.values())
    ]
