"""Make an environment of its own: a virtual environment, the recipe's packages in it, the panel's behind them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.catalog.environments import RECORD, Recipe
from backends.jobs import lock
from backends.jobs.environment_probe import probe, problems
from backends.jobs.environments import OVERLAY, behind, clear, envs, lock_of, new_record, python_of, the_recipe
from backends.jobs.errors import QueueError
from backends.jobs.files import write_json
from backends.jobs.job import Job, JobError
from backends.worker import say

_STEPS = 4


def run(job: Job) -> dict[str, Any]:
    """Make the environment that ``tool.args.name`` names, from nothing.

    Raises:
        JobError: It cannot be made; says why and what to do. What there is of it then counts as broken.
    """
    try:
        recipe = the_recipe(job.home, str(job.spec["tool"]["args"]["name"]))
    except QueueError as error:
        raise JobError(error.message, error.hint) from error
    envs(job.home).mkdir(mode=0o700, exist_ok=True)
    held = lock.take(lock_of(job.home, recipe.name))
    if held is None:
        raise JobError(f"{recipe.name} is being made by another job", "see `fada jobs`")
    job.events.started(device="cpu", versions={}, total=_STEPS, unit="steps")
    try:
        found = _make(job, recipe, envs(job.home) / recipe.name)
    finally:
        os.close(held)
    return {"environment": recipe.name, "versions": found["versions"]}


def _make(job: Job, recipe: Recipe, folder: Path) -> dict[str, Any]:
    version = sys.version_info[:2]
    if not recipe.takes(version):
        raise JobError(
            f"{recipe.name} needs Python {recipe.python}, and the panel runs on {version[0]}.{version[1]}",
            "its packages have no wheels for another; install the panel with such a Python",
        )
    if folder.exists():
        clear(folder)
    _step(job, 0, "make")
    installer = _venv(folder)
    _step(job, 1, "install")
    if recipe.torch:
        _install(installer, folder, recipe.torch, ["--index-url", recipe.index] if recipe.index else [])
    _install(installer, folder, recipe.requirements, ["--no-deps"])
    _step(job, 2, "lay over")
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / OVERLAY).write_text("".join(f"{place}\n" for place in behind()), encoding="utf-8")
    _step(job, 3, "check")
    found = probe(recipe, folder)
    wrong = problems(recipe, folder, found)
    if wrong:
        raise JobError(f"{recipe.name} was made and does not work: {'; '.join(wrong)}", "the log has more")
    write_json(folder / RECORD, new_record(recipe, found["versions"], time.strftime("%Y-%m-%dT%H:%M:%S%z")))
    _step(job, _STEPS, "check")
    return found


def _step(job: Job, done: int, phase: str) -> None:
    job.events.progress(done, _STEPS, "steps", phase)


def _venv(folder: Path) -> list[str]:
    """An empty environment; the command that installs into it."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        _do([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], "uv cannot make the environment")
        return [uv, "pip", "install", "--python", str(python_of(folder))]
    with_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
    words = [sys.executable, "-m", "venv", *(["--without-pip"] if with_pip else []), str(folder)]
    _do(words, "the environment cannot be made (python3-venv may be missing: install it, or uv)")
    if with_pip:
        return [sys.executable, "-m", "pip", "--python", str(python_of(folder)), "install"]
    return [str(python_of(folder)), "-m", "pip", "install"]


def _install(installer: Sequence[str], folder: Path, requirements: Sequence[str], options: Sequence[str]) -> None:
    _do(
        [*installer, *options, *requirements],
        "its packages cannot be installed",
        "check the network and the package index (pip and uv read their own settings), then make it again; "
        "the log says which package",
    )


def _do(words: Sequence[str], what: str, hint: str = "the log has more") -> None:
    """Run a command whose output goes to the log.

    Raises:
        JobError: It failed; its last word is in the message.
    """
    say("$ " + " ".join(words))
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    if process.wait() != 0:
        raise JobError(f"{what}: {last[:300]}", hint)
