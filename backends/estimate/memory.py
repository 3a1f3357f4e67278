"""How much memory a job takes, before it runs: weights, training states, activations, and what the imports cost.

Weights are counted in the checkpoint's own headers, else taken from the catalogue. The rest is formula:
KV cache = 2 × layers × kv width × tokens × batch; training activations ≈ 34 × tokens × hidden × layers at 16 bits
(Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models", without the attention term,
as fused kernels do not store it); AdamW keeps two 32-bit states a trained parameter; LoRA trains rank × (rows +
columns) a layer; a 4-bit load keeps NF4 at 2 / 3.6 bytes a weight, embeddings, norms and the vision tower in 16 bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.catalog.hub import cached_snapshot
from backends.catalog.reader import load_catalog
from backends.estimate.geometry import Shape, Tensors, read_shape, read_tensors, stored_params

GB = 10**9
IMPORTS = 9 * GB // 10
"""Main memory of a process that imported torch and transformers and holds nothing yet, with room to work."""
SCORER = 4 * GB // 10
"""What the sentence-embedding model adds."""
CUDA_HOST = 15 * GB // 10
"""What CUDA's libraries add to main memory, and the pages that weights pass through."""
CUDA_CONTEXT = 12 * GB // 10
"""On the card: context, kernels, and what the allocator cannot use."""
TOOL = 6 * GB // 10
RELATIVE, HOST_SLACK, VRAM_SLACK = 0.15, 3 * GB // 10, 15 * GB // 10
_PROMPT_TOKENS = 96
_UNKNOWN_B = 8.0


@dataclass(frozen=True)
class Estimate:
    """Expected bytes of main memory and of the card, and how that came about.

    The expected value says whether a job can ever fit; the high one is what to reserve until a peak was seen.
    """

    host_bytes: int
    vram_bytes: int
    how: str
    host_high: int = 0
    vram_high: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    """Bytes by component."""


@dataclass(frozen=True)
class _Weights:
    params: float
    kept: float
    sides: float
    shape: Shape | None
    source: str
    spread: float


def estimate(spec: Mapping[str, Any], *, cuda: bool | None = None) -> Estimate:
    """What a job of this spec will take.

    Args:
        spec: As in ``spec.json``; only model, kind, generation, training, scoring and device are looked at.
        cuda: Whether it will run on a card; default: what ``device`` says, ``auto`` meaning whether a driver is there.
    """
    kind, device = spec.get("kind"), str(spec.get("device") or "auto")
    if kind == "run" or (kind == "tool" and not spec.get("model")):
        size = 0 if kind == "run" else TOOL
        how = "a command of one's own: not estimated" if kind == "run" else "a tool without a model"
        return Estimate(size, 0, how, size, 0)
    if (spec.get("model") or {}).get("loader") == "openai":
        size = IMPORTS + (SCORER if (spec.get("scoring") or {}).get("embedding") else 0)
        return Estimate(size, 0, "a server's model: a slot, and no memory of the card", size + HOST_SLACK, 0)
    on_card = device.startswith("cuda") or (device == "auto" and has_driver()) if cuda is None else cuda
    weights = _weights(spec.get("model") or {})
    training = spec.get("training") if kind == "finetune" else None
    parts = _parts(weights, spec, training, on_card)
    scorer = SCORER if (spec.get("scoring") or {}).get("embedding") else 0
    host = IMPORTS + scorer + (CUDA_HOST if on_card else sum(parts.values()))
    vram = CUDA_CONTEXT + sum(parts.values()) if on_card else 0
    how = _explain(weights, spec, training, on_card)
    share = 1 + RELATIVE + weights.spread
    return Estimate(
        host_bytes=host,
        vram_bytes=vram,
        how=how,
        host_high=int(host * share) + HOST_SLACK,
        vram_high=int(vram * share) + VRAM_SLACK if on_card else 0,
        parts=parts | {"imports": IMPORTS} | ({"scorer": scorer} if scorer else {}),
    )


def has_driver() -> bool:
    """Whether an NVIDIA kernel driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def _weights(model: Mapping[str, Any]) -> _Weights:
    source, name = str(model.get("source") or ""), str(model.get("name") or "")
    folder = Path(source) if Path(source).is_dir() else cached_snapshot(source, model.get("revision"))
    shape = read_shape(folder) if folder else None
    tensors: Tensors | None = read_tensors(folder) if folder else None
    if tensors:
        counted = "parameters counted in the weight files"
        return _Weights(tensors.params, tensors.kept_params, tensors.adapted_sides, shape, counted, 0.0)
    stored = stored_params(folder) if folder else None
    if stored:
        return _guessed(stored / 1e9, shape, "parameters by the size of the weight files", 0.0)
    catalog = load_catalog()
    found = catalog.lookup(source) or catalog.lookup(name)
    entry, variant = found or (None, None)
    stated = (variant.params_b if variant else None) or (entry.params_b if entry else None)
    if stated:
        return _guessed(stated, shape, "parameters by the catalogue", 0.0)
    size = re.search(r"(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", f"{source} {name}", re.IGNORECASE)
    if size:
        billions = float(size[1]) / (1 if size[2].lower() == "b" else 1000)
        return _guessed(billions, shape, "parameters by its name", 0.15)
    return _guessed(_UNKNOWN_B, shape, "parameters assumed, its size is not known", 0.5)


def _guessed(billions: float, shape: Shape | None, source: str, spread: float) -> _Weights:
    # Of the published models with an open config, embeddings and vision tower are near a fifth; LoRA over all linear
    # layers has about 0.03 % of the parameters at rank 1.
    params = billions * 1e9
    return _Weights(params, params * 0.2, params * 3e-4, shape, source, spread)


def _parts(
    weights: _Weights, spec: Mapping[str, Any], training: Mapping[str, Any] | None, on_card: bool
) -> dict[str, int]:
    width = 2 if on_card else 4
    loaded = _loaded(weights, str((spec.get("model") or {}).get("precision") or ""), training, width)
    if training is None:
        generation = spec.get("generation") or {}
        batch, new = generation.get("batch_size") or 1, generation.get("max_new_tokens") or 64
        return {"weights": int(loaded), "generation": int(_generating(weights, batch, new, width))}
    trained = weights.params if training.get("method") == "full" else weights.sides * _rank(training)
    # A LoRA adapter adds its own weights in 32 bits; AdamW's two states are 32-bit in either case.
    states = trained * (width + 8) if training.get("method") == "full" else trained * (4 + 4 + 8)
    batch = training.get("batch_size") or 1
    activations = _training_activations(weights, batch, width)
    return {"weights": int(loaded), "training": int(states), "activations": int(activations)}


def _loaded(weights: _Weights, precision: str, training: Mapping[str, Any] | None, width: int) -> float:
    if precision == "4bit" or (training is not None and training.get("method") == "unsloth" and not precision):
        return (weights.params - weights.kept) * 2 / 3.6 + weights.kept * 2
    if precision == "8bit":
        return (weights.params - weights.kept) + weights.kept * 2
    return weights.params * {"bf16": 2, "fp16": 2, "fp32": 4}.get(precision, width)


def _rank(training: Mapping[str, Any]) -> int:
    return int((training.get("lora") or {}).get("r") or 16)


def _generating(weights: _Weights, batch: int, new_tokens: int, width: int) -> float:
    """KV cache, the widest moment of the vision tower, and one step's logits in 32 bits."""
    shape = weights.shape
    if shape is None:
        return 0.2 * weights.params * width
    tokens = shape.image_tokens + _PROMPT_TOKENS + new_tokens
    cache = 2 * shape.layers * shape.kv_width * tokens * width
    vision = 8 * shape.patches * shape.vision_hidden * width
    language = 8 * tokens * shape.hidden * width
    return float(batch * (cache + vision + language + shape.vocabulary * 4))


def _training_activations(weights: _Weights, batch: int, width: int) -> float:
    shape = weights.shape
    if shape is None:
        return 0.1 * weights.params * width * max(1, batch / 2)
    tokens = shape.image_tokens + _PROMPT_TOKENS
    language = 17 * width * tokens * shape.hidden * shape.layers
    vision = 17 * width * shape.patches * shape.vision_hidden * shape.vision_layers
    logits = 3 * 4 * tokens * shape.vocabulary
    return float(batch * (language + vision + logits))


def _explain(weights: _Weights, spec: Mapping[str, Any], training: Mapping[str, Any] | None, on_card: bool) -> str:
    size = f"{weights.params / 1e9:.2f} B" if weights.params >= 1e8 else f"{weights.params / 1e6:.2f} M"
    what = f"training ({training.get('method', 'auto')})" if training else "generation"
    place = "the card" if on_card else "the CPU"
    shape = "dimensions from config.json" if weights.shape else "activations by rule of thumb"
    sure = f"±{RELATIVE + weights.spread:.0%} and {(VRAM_SLACK if on_card else HOST_SLACK) / GB:.1f} GB"
    scorer = ", the scorer" if (spec.get("scoring") or {}).get("embedding") else ""
    return f"{size} {weights.source}, {what} on {place}, {shape}, imports{scorer}; {sure}"
