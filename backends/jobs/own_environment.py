"""What a spec says of a model that runs in an environment of its own: which one, and which code was agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.catalog.resolve import ResolvedModel
from backends.jobs.environments import ready
from backends.jobs.errors import QueueError
from backends.jobs.remote_code import code_in, foreign_code, given_consent, has_auto_map
from backends.jobs.remote_fetch import fetch_code
from db.home import Home

LOADER = "environment"
ONE_BY_ONE: Mapping[str, Mapping[str, Any]] = {LOADER: {"batch_size": 1}}
"""Generation settings of a loader, unless they are given: such code takes one question at a time, and a batch would
only keep answers back that a kill then loses."""
_TASKS = ("gt", "proxy", "u2bench", "fetal-gauge")


def wants(model: ResolvedModel, environment: str | None) -> ResolvedModel:
    """The model, to be run in the environment that was asked for, or in the one that the catalogue names."""
    return model if environment is None else replace(model, loader=LOADER, environment=environment)


def check_task(model: ResolvedModel, task: str | None, adapter: int | None) -> None:
    """What can be done in an environment of its own: being asked.

    Raises:
        QueueError: It is something else.
    """
    if model.loader != LOADER:
        return
    if task is None:
        raise QueueError(
            f"{model.name} runs in an environment of its own, where only its makers' own code trains it",
            hint="train it with that, and `fada import-run`; or take a model with loader transformers",
        )
    if task not in _TASKS:
        raise QueueError(
            f"{model.name} runs in an environment of its own, where {task} is not made",
            hint=f"made: {', '.join(_TASKS)}",
        )
    if adapter is not None:
        raise QueueError(f"{model.name} runs in an environment of its own, which takes no adapter of another model")


def environment_part(home: Home, model: ResolvedModel, *, agrees: bool | str) -> tuple[ResolvedModel, dict[str, Any]]:
    """The model at the commit whose code is agreed to, and the keys that a spec's ``model`` has besides.

    Args:
        agrees: A person agrees now to run the code that comes with it; or the hashes of the code that they have seen.

    Raises:
        QueueError: The environment is not made, or the code cannot be looked at.
        CodeConsentNeeded: Nobody has agreed to its code as it is.
    """
    if model.loader != LOADER:
        return model, {}
    if model.environment is None:
        raise QueueError(f"the catalogue names no environment for {model.name}", hint="name one: --environment NAME")
    state = ready(home, model.environment)
    folder = Path(model.source)
    if not folder.is_absolute():
        folder = fetch_code(model.source, model.revision)
        model = replace(model, revision=folder.name)
    other = foreign_code(folder)
    if other is not None:
        raise QueueError(
            f"{model.name} takes its code from another repository, {other}, at no certain revision",
            where=str(folder),
            hint="copy that code into a folder beside the weights, name it in auto_map, and give the folder",
        )
    part: dict[str, Any] = {"environment": model.environment}
    code = code_in(folder, model.source, model.revision)
    if code is None and has_auto_map(folder):
        raise QueueError(f"{model.name} names code in auto_map that is not there", where=str(folder))
    if code is not None:
        part["remote_code"] = given_consent(
            home,
            code,
            agrees=agrees,
            environment=state.recipe.name,
            folder=state.folder,
            hint=f"read them in {folder}; to agree: the same command with --trust-remote-code",
        )
    return model, part
