"""What a model takes besides its weights: cache and moments of an answer, states and activations of a training step.

Activations of one decoder layer ≈ tokens × (10 × width + 4 × inner) at the arithmetic's width (Korthikanti et al. 2022,
"Reducing Activation Recomputation in Large Transformer Models", without the attention term, as fused kernels do not
store it). How many of them live at once is the kernels' and the allocator's affair: that is where the intervals come
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.estimate.configuration import Configuration
from backends.estimate.images import FRAME, ImageLoad, image_load
from backends.estimate.parts import Part, part
from backends.estimate.textparts import head_size, kinds_of_layers
from backends.estimate.visionparts import side
from backends.estimate.weights import Weights

TEXT_TOKENS = 96
"""Of a prompt and its template, where nothing else is said."""
FULL_BELOW = 50_000_000
"""Parameters under which the method ``auto`` trains them all."""
CHECKPOINTED_ABOVE = 1_000_000_000
"""Parameters over which a training on a card computes activations twice rather than keep them."""


@dataclass(frozen=True)
class Shape:
    """A batch of samples as the network sees it."""

    batch: int
    image: ImageLoad
    tokens: int
    """Of one sample: text, image and answer."""


def shape_of(configuration: Configuration, batch: int, text_tokens: int, load: ImageLoad | None = None) -> Shape:
    """Of images that load so much; else of usual ultrasound frames."""
    load = load or image_load(configuration, FRAME)
    return Shape(batch, load, load.tokens + text_tokens)


def answering(weights: Weights, shape: Shape | None, width: int, batch: int) -> list[Part]:
    """KV cache, the widest moment (the vision tower's or the prompt's), and the images themselves."""
    found = weights.configuration
    if found is None or shape is None:
        rough = weights.params * width * 0.006 * batch
        return [part("generation", rough, 0.3, 3.0, "a rule of thumb: its configuration is not known")]
    cache = cache_bytes(found, shape, width)
    text, vision = _layer(found.text, shape.tokens), _layer(found.vision, shape.image.patches)
    moment = width * batch * max(text, vision) + 8.0 * batch * int(found.text["vocab_size"])
    pixels = 6.0 * batch * shape.image.patches * _values(found.vision)
    return [
        part("KV cache", cache, 0.9, 1.15, f"{batch} × {shape.tokens:,} tokens"),
        part("activations", moment, 0.5, 2.0, "one layer of the prompt or of the vision tower, one step's logits"),
        part("images", pixels, 0.5, 1.5, _images(shape)),
    ]


def cache_bytes(found: Configuration, shape: Shape, width: int) -> float:
    """Keys and values of every attention layer; a sliding window keeps no more than its width."""
    text = found.text
    pairs = 2 * int(text["num_key_value_heads"]) * head_size(text) * width
    window = int(text.get("sliding_window") or 0) or shape.tokens
    tokens = {
        "full_attention": shape.tokens,
        "sliding_attention": min(shape.tokens, window),
        "cross_attention": shape.image.crossing,
    }
    return float(shape.batch * pairs * sum(tokens.get(kind, 0) for kind in kinds_of_layers(text)))


def training_method(training: Mapping[str, Any], params: float, *, packed: bool = False, unsloth: bool = False) -> str:
    """What a training will be: ``auto`` is unsloth where it can be used, else as the model's size has it.

    Args:
        packed: The weights are loaded in 4 or 8 bits, and cannot be trained themselves.
    """
    method = str(training.get("method") or "auto")
    if method != "auto":
        return method
    if unsloth:
        return "unsloth"
    return "full" if params < FULL_BELOW and not packed else "peft"


def states_part(weights: Weights, training: Mapping[str, Any], method: str) -> Part:
    """Gradients and the optimiser's two moments; a LoRA's own weights as well."""
    if method == "full":
        return part("training", weights.params * 12, 0.99 - weights.spread, 1.03 + weights.spread,
                    "gradients and AdamW's two moments in 32 bits")  # fmt: skip
    lora = training.get("lora") or {}
    rank, targets = int(lora.get("r") or 16), str(lora.get("targets") or "both")
    light = method == "unsloth"
    how = f"LoRA of rank {rank}: weights, gradients, {'8' if light else '32'}-bit AdamW"
    down, up = 0.85 - weights.spread, 1.15 + weights.spread
    return part("training", rank * weights.adapted(targets) * (10 if light else 16), down, up, how)


def learning(
    weights: Weights, shape: Shape | None, width: int, batch: int, method: str, kept: bool, frozen: bool = False
) -> list[Part]:
    """Activations of a step, its logits and the images.

    Args:
        kept: Every layer's activations are kept (no checkpointing).
        frozen: No gradient passes through the vision tower, so that nothing of it is kept for one.
    """
    found = weights.configuration
    if found is None or shape is None:
        rough = weights.params * width * 0.05 * batch
        return [part("activations", rough, 0.2, 3.0, "a rule of thumb: its configuration is not known")]
    word = "kept" if kept else "checkpointed"
    text = _stored(found.text, shape.tokens, kept) * width * batch
    patches = shape.image.patches
    vision = (_layer(found.vision, patches) if frozen else _stored(found.vision, patches, kept)) * width * batch
    seen = f"{_images(shape)}; the tower is frozen" if frozen else _images(shape)
    # Logits at the arithmetic's width, their copy in 32 bits and its gradient; fused losses never hold them whole.
    logits = float(batch * shape.tokens * int(found.text["vocab_size"]))
    fused = method == "unsloth"
    return [
        part("activations", text, 0.5, 1.8, f"{batch} × {shape.tokens:,} tokens, {word}"),
        part("vision activations", vision, 0.5 if frozen else 0.2, 2.0 if frozen else 1.8, seen),
        Part("logits", int(logits * (0 if fused else 6)), int(logits * (4 if fused else 12)), int(logits * 16),
             "fused loss" if fused else "with a copy in 32 bits and its gradient"),
        part("images", 6.0 * batch * shape.image.patches * _values(found.vision), 0.5, 1.5, _images(shape)),
    ]  # fmt: skip


def _images(shape: Shape) -> str:
    return f"{shape.batch} × {shape.image.patches:,} patches, {shape.image.tokens:,} tokens ({shape.image.how})"


def _width(layers: Mapping[str, Any]) -> tuple[int, int]:
    hidden = int(layers.get("embed_dim") or layers.get("hidden_size") or 1024)
    inner = layers.get("intermediate_size") or hidden * float(layers.get("mlp_ratio") or 4)
    return hidden, int(inner)


def _layer(layers: Mapping[str, Any], positions: int) -> float:
    """Values that one layer holds while it computes and keeps nothing."""
    hidden, inner = _width(layers)
    return float(positions * (6 * hidden + 2 * inner))


def _stored(layers: Mapping[str, Any], positions: int, kept: bool) -> float:
    """Values that a training step holds: every layer's, or every layer's input and one layer's twice over."""
    hidden, inner = _width(layers)
    number = int(layers.get("num_hidden_layers") or layers.get("depth") or 24)
    one = positions * (10 * hidden + 4 * inner)
    return float(number * one if kept else number * positions * hidden + 2 * one)


def _values(vision: Mapping[str, Any]) -> int:
    """Numbers in one patch of an image."""
    channels = int(vision.get("num_channels") or vision.get("in_channels") or 3)
    return channels * side(vision.get("patch_size"), 14) ** 2 * int(vision.get("temporal_patch_size") or 1)
