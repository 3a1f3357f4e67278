"""How many parameters a checkpoint has, by its weight files' headers or their sizes. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from backends.catalog.errors import ModelError
from backends.catalog.local import FETALCLIP_FILES, is_open_clip, read_json, safetensors_header, weight_files

_ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_KEPT = ("embed", "lm_head", "vision", "visual", "norm", "projector", "merger")
"""Parts of a name that a 4-bit load leaves in 16 bits: embeddings, output head, vision tower, norms."""


@dataclass(frozen=True)
class Tensors:
    """Counts over all weight files."""

    params: int
    kept_params: int
    """Of these, what a 4-bit load leaves in 16 bits."""
    adapted_sides: int
    """Sum of (rows + columns) over the linear layers that LoRA adapts: its parameters at rank 1."""


def read_tensors(folder: Path) -> Tensors | None:
    """Counts from the safetensors headers; None where the weights are in another form."""
    params = kept = sides = 0
    try:
        for path in weight_files(folder):
            if path.suffix != ".safetensors":
                return None
            for name, tensor in safetensors_header(path)[0].items():
                shape = tensor["shape"]
                count = math.prod(shape)
                params += count
                kept += count if any(part in name for part in _KEPT) else 0
                sides += sum(shape) if len(shape) == 2 and name.split(".")[-2] in _ADAPTED else 0
    except (ModelError, IndexError, KeyError, OSError):
        return None
    return Tensors(params, kept, sides)


def stored_params(folder: Path) -> float | None:
    """Parameters by the bytes on disk, for weights whose header cannot be read; None where there are none."""
    try:
        if is_open_clip(folder):
            return (folder / FETALCLIP_FILES[1]).stat().st_size / 4
        size = sum(path.stat().st_size for path in weight_files(folder))
        config = read_json(folder / "config.json")
    except (ModelError, OSError):
        return None
    kind = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return size / (4 if "32" in kind else 2)
