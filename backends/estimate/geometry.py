"""The sizes of a checkpoint that decide its memory, from its config and its weight files' headers. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.catalog.errors import ModelError
from backends.catalog.local import read_json, safetensors_header, weight_files

_ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_KEPT = ("embed", "lm_head", "vision", "visual", "norm", "projector", "merger")
"""Parts of a name that a 4-bit load leaves in 16 bits: embeddings, output head, vision tower, norms."""

FRAME = (1024, 768)
"""Pixels of a usual ultrasound frame: what models of free resolution are taken to see."""


@dataclass(frozen=True)
class Tensors:
    """Counts over all weight files."""

    params: int
    kept_params: int
    """Of these, what a 4-bit load leaves in 16 bits."""
    adapted_sides: int
    """Sum of (rows + columns) over the linear layers that LoRA adapts: its parameters at rank 1."""


@dataclass(frozen=True)
class Shape:
    """The network's dimensions; None in a field of the config that is not there."""

    layers: int
    hidden: int
    vocabulary: int
    kv_width: int
    """Key/value heads × head size."""
    image_tokens: int
    patches: int
    vision_layers: int
    vision_hidden: int


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
        size = sum(path.stat().st_size for path in weight_files(folder))
        config = read_json(folder / "config.json")
    except (ModelError, OSError):
        return None
    kind = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return size / (4 if "32" in kind else 2)


def read_shape(folder: Path) -> Shape | None:
    """Dimensions from config.json (and the image processor's limits); None where they are not stated."""
    try:
        config = read_json(folder / "config.json")
    except ModelError:
        return None
    text = config.get("text_config") or config.get("llm_config") or config
    vision = config.get("vision_config") or {}
    layers, hidden = text.get("num_hidden_layers"), text.get("hidden_size")
    if not layers or not hidden:
        return None
    heads = text.get("num_attention_heads") or 1
    head = text.get("head_dim") or hidden // heads
    patches, tokens = _image(config, vision, _processor(folder))
    return Shape(
        layers=layers,
        hidden=hidden,
        vocabulary=text.get("vocab_size") or config.get("vocab_size") or 32_000,
        kv_width=(text.get("num_key_value_heads") or heads) * head,
        image_tokens=tokens,
        patches=patches,
        vision_layers=vision.get("num_hidden_layers") or vision.get("depth") or 24,
        vision_hidden=vision.get("hidden_size") or vision.get("embed_dim") or 1024,
    )


def _processor(folder: Path) -> Mapping[str, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            try:
                document = read_json(folder / name)
            except ModelError:
                continue
            nested = document.get("image_processor")
            return nested if isinstance(nested, Mapping) else document
    return {}


def _image(config: Mapping[str, Any], vision: Mapping[str, Any], processor: Mapping[str, Any]) -> tuple[int, int]:
    """Patches the vision tower sees for one image, and tokens that reach the language model."""
    patch = _side(vision.get("patch_size"), 14)
    size = vision.get("image_size")
    if size is None or "max_pixels" in processor or config.get("model_type", "").startswith("qwen"):
        limit = processor.get("max_pixels") or (processor.get("size") or {}).get("longest_edge") or math.prod(FRAME)
        patches, tiles = math.ceil(min(limit, math.prod(FRAME)) / patch**2), 1
    else:
        side = _side(size, 336)
        patches, tiles = max(1, side // patch) ** 2, _tiles(config, processor, side)
    merge = vision.get("spatial_merge_size") or config.get("scale_factor") or 1
    # `image_seq_length` is no help: checkpoints carry its default, whatever their images are.
    tokens = config.get("mm_tokens_per_image") or math.ceil(patches / merge**2)
    return patches * tiles, int(tokens) * tiles


def _tiles(config: Mapping[str, Any], processor: Mapping[str, Any], side: int) -> int:
    """How many pictures one frame is cut into, the small whole one included."""
    if processor.get("do_image_splitting"):
        longest = (processor.get("size") or {}).get("longest_edge") or 4 * side
        width, height = longest, longest * FRAME[1] / FRAME[0]
    elif config.get("image_grid_pinpoints") or processor.get("crop_to_patches"):
        width, height = FRAME
    else:
        return 1
    cut = math.ceil(width / side) * math.ceil(height / side)
    return min(cut, processor.get("max_patches") or cut) + 1


def _side(value: Any, default: int) -> int:
    """A side length that configs give as a number or as a pair."""
    if isinstance(value, list | tuple) and value:
        return int(value[0])
    return int(value) if isinstance(value, int | float) else default
