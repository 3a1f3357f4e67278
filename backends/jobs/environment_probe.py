"""What Python in an environment of its own finds, and what of that is wrong: asked from outside, in a subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.catalog.environments import Recipe
from backends.jobs.environments import python_of
from backends.jobs.job import JobError

_PROBE = """
import importlib, importlib.metadata as metadata, json, sys
names, modules = json.loads(sys.argv[1])
found = {"versions": {}, "places": {}, "failed": {}, "card": None}
for name in names:
    try:
        one = metadata.distribution(name)
        found["versions"][name], found["places"][name] = one.version, str(one.locate_file(""))
    except metadata.PackageNotFoundError:
        found["failed"][name] = "is not installed"
import backends
for name in modules:
    try:
        importlib.import_module(name)
    except Exception as error:
        found["failed"][name] = f"{type(error).__name__}: {error}"[:500]
import torch
found["versions"]["torch"], found["versions"]["python"] = torch.__version__, sys.version.split()[0]
if torch.cuda.is_available():
    major, minor = torch.cuda.get_device_capability(0)
    found["card"] = [f"sm_{major}{minor}", torch.cuda.get_arch_list(), torch.version.cuda]
print("\\n" + json.dumps(found))
"""


def probe(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """What Python in that environment finds: versions, where they lie, what does not import, whether torch knows the
    card. It takes some seconds.

    Raises:
        JobError: Its Python does not even start.
    """
    names = [name_of(requirement) for requirement in (*recipe.torch, *recipe.requirements)]
    arguments = json.dumps([names, list(recipe.imports)])
    done = subprocess.run(
        [str(python_of(folder)), "-P", "-c", _PROBE, arguments],
        capture_output=True,
        text=True,
        env=_plain(os.environ) | {"HF_HUB_OFFLINE": "1"},
        cwd=folder,
    )
    sys.stderr.write(done.stderr)
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise JobError(
            f"{recipe.name}: its Python does not work: {last[:300]}", f"fada env create {recipe.name}"
        ) from error
    return found


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def problems(recipe: Recipe, folder: Path, found: Mapping[str, Any]) -> list[str]:
    """What is wrong with it, in words: what fails, what is not its own, a card that its torch does not know."""
    wrong = [f"{name} {why}" if why.startswith("is") else f"{name}: {why}" for name, why in found["failed"].items()]
    real = folder.resolve()
    for requirement in recipe.requirements:
        name, _, pin = requirement.partition("==")
        place = found["places"].get(name_of(requirement))
        if place is not None and not Path(place).resolve().is_relative_to(real):
            wrong.append(f"{name} comes from {place}")
        elif pin and found["versions"].get(name, pin) != pin:
            wrong.append(f"{name} is {found['versions'][name]}, not {pin}")
    if found.get("card"):
        kind, built, cuda = found["card"]
        if kind not in built and kind.replace("sm_", "compute_") not in built:
            wrong.append(f"its torch (CUDA {cuda}) is not built for this card ({kind}): it needs a newer CUDA build")
    return wrong


def name_of(requirement: str) -> str:
    """``transformers`` of ``transformers==4.51.3``."""
    return requirement.split("@")[0].split("=")[0].split("<")[0].split(">")[0].strip()
