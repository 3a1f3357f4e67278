"""torchvision beside a torch of another build: its wheel on PyPI is made for CUDA and cannot load into a CPU torch.

Its Python parts (resizing, normalising, what processors use) need nothing of the compiled ones, but its import
registers shapes for two operators that only those define.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import torch

_KEPT: list[Any] = []
"""Operators go when their library object does."""


def define_missing() -> bool:
    """Define ``nms`` and ``qnms`` without a body where the compiled library does not load; True where that was done."""
    spec = PathFinder.find_spec("torchvision")
    compiled = [file for folder in (spec and spec.submodule_search_locations) or () for file in _compiled(Path(folder))]
    if _KEPT or any(map(_loads, compiled)):
        return False
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
    return True


def _compiled(folder: Path) -> list[Path]:
    return [*folder.glob("_C.*so"), *folder.glob("_C.*pyd"), *folder.glob("_C.so")]


def _loads(path: Path) -> bool:
    try:
        operators: Any = torch.ops
        operators.load_library(str(path))
    except (ImportError, OSError):
        return False
    return True
