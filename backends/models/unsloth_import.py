"""unsloth is imported before transformers, trl and peft, or not at all: so a worker asks here before all else.

Imported, it replaces parts of those three in the whole process. A worker that does not use it never imports it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.catalog.unsloth import NO_CARD, not_for, packages_missing

LOADER = "unsloth"
"""As a spec's ``model.loader`` says it."""
FOLDER = "unsloth"
"""In the run's directory: the code that it generates for the model."""
_PATCHED = ("transformers", "trl", "peft")
_failed: list[str] = []


def import_first(spec: Mapping[str, Any], folder: Path) -> None:
    """Import unsloth where this job is to use it and can; what goes wrong is told by :func:`usable`.

    Args:
        folder: The run's directory.
    """
    if not is_wanted(spec) or usable(spec) is not None:
        return
    os.environ.update(environment(folder))
    try:
        importlib.import_module("unsloth")
    except Exception as error:  # noqa: BLE001 - a compiled package that does not fit raises anything
        _failed.append(f"its import failed: {_first_line(error)}")


def is_wanted(spec: Mapping[str, Any]) -> bool:
    """Whether the spec asks for it, or leaves the choice (``auto``)."""
    if spec.get("kind") == "finetune":
        return (spec.get("training") or {}).get("method") in ("auto", "unsloth")
    return (spec.get("model") or {}).get("loader") == LOADER


def usable(spec: Mapping[str, Any] | None = None) -> str | None:
    """Why unsloth cannot be used in this process, in words; None where it can.

    Args:
        spec: Of the job, whose model it must support; without one only the machine is looked at.
    """
    model, training = (((spec or {}).get(part) or {}) for part in ("model", "training"))
    by_name = training.get("method") == "unsloth" or model.get("loader") == LOADER
    return (
        packages_missing()
        or (not_for(str(model["source"]), by_name=by_name) if model.get("source") else None)
        or _no_card(spec or {})
        or next(iter(_failed), None)
        or _too_late()
    )


def environment(folder: Path) -> dict[str, str]:
    """What it reads when it is imported: nothing is installed, counted or written outside of the run's directory."""
    return {
        "UNSLOTH_AUTO_INSTALL": "0",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "UNSLOTH_COMPILE_LOCATION": str(folder / FOLDER),
        "UNSLOTH_LLAMA_CPP_OFFLINE": "1",
    }


def _no_card(spec: Mapping[str, Any]) -> str | None:
    device = str(spec.get("device") or "auto")
    if device != "auto" and not device.startswith("cuda"):
        return f"the job runs on {device}"
    import torch

    return None if torch.cuda.is_available() else NO_CARD


def _too_late() -> str | None:
    loaded = [name for name in _PATCHED if name in sys.modules]
    if "unsloth" not in sys.modules and loaded and find_spec("unsloth"):
        return f"{loaded[0]} was imported before it"
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
