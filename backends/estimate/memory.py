"""How much memory a job takes, before it runs: weights, what answering or training adds, and what the imports cost.

Everything is counted from the configuration; each component has an interval, and the whole is the sum of their ends,
since what makes one larger (longer prompts, larger images, other kernels) makes the others larger too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from backends.estimate.images import batch_load, limited
from backends.estimate.parts import Part, part
from backends.estimate.weights import Weights, find_weights, weights_part
from backends.estimate.working import (
    CHECKPOINTED_ABOVE,
    TEXT_TOKENS,
    answering,
    learning,
    shape_of,
    states_part,
    training_method,
)

GB = 10**9
IMPORTS = 9 * GB // 10
"""Main memory of a process that imported torch and transformers and holds nothing yet, with room to work."""
SCORER = 4 * GB // 10
"""What the sentence-embedding model adds."""
CUDA_HOST = 15 * GB // 10
"""What CUDA's libraries add to main memory, and the pages that weights pass through."""
CONTEXT = (3 * GB // 10, 7 * GB // 10, 13 * GB // 10)
"""On the card: the driver's context, kernels and the libraries' workspaces; a newer card has more kernels."""
TOOL = 6 * GB // 10
HOST_SLACK = 3 * GB // 10
_IMPORTS_UP = 1.15
_FRAGMENTS = (0.0, 0.03, 0.08)
"""Of all that torch allocates, what its cache holds and cannot use."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of main memory and of the card: likely, and the ends of the interval; and how that came about.

    The likely value says whether a job can ever fit; the high one is what to reserve until a peak was seen.
    """

    host_bytes: int
    vram_bytes: int
    how: str
    host_high: int = 0
    vram_high: int = 0
    host_low: int = 0
    vram_low: int = 0
    components: tuple[Part, ...] = ()

    @property
    def parts(self) -> dict[str, int]:
        """Likely bytes by component."""
        return {one.name: one.likely for one in self.components}

    def interval(self, on_card: bool) -> tuple[int, int, int]:
        """Low, likely, high: of the card, or of main memory."""
        if on_card:
            return self.vram_low, self.vram_bytes, self.vram_high
        return self.host_low, self.host_bytes, self.host_high


def estimate(spec: Mapping[str, Any], *, cuda: bool | None = None, user_catalog: Path | None = None) -> Estimate:
    """What a job of this spec will take.

    Args:
        spec: As in ``spec.json``; only model, kind, data's image sizes, generation, training, scoring and device are
            looked at, and ``image_size`` (width, height) and ``text_tokens`` of a sample where they are known.
        cuda: Whether it will run on a card; default: what ``device`` says, ``auto`` meaning whether a driver is there.
        user_catalog: The user's catalogue, for the size of a model that has no files here.
    """
    kind, device = spec.get("kind"), str(spec.get("device") or "auto")
    if kind == "run" or (kind == "tool" and not spec.get("model")):
        size = 0 if kind == "run" else TOOL
        how = "a command of one's own: not estimated" if kind == "run" else "a tool without a model"
        return Estimate(size, 0, how, size, host_low=size)
    scorer = SCORER if (spec.get("scoring") or {}).get("embedding") else 0
    if (spec.get("model") or {}).get("loader") == "openai":
        size = IMPORTS + scorer
        how = "a server's model: a slot, and no memory of the card"
        return Estimate(size, 0, how, size + HOST_SLACK, host_low=size)
    on_card = device.startswith("cuda") or (device == "auto" and has_driver()) if cuda is None else cuda
    weights = find_weights(spec.get("model") or {}, user_catalog)
    training = spec.get("training") if kind == "finetune" else None
    parts = _parts(weights, spec, training, on_card)
    return _whole(parts, _explain(weights, training, on_card), scorer, on_card)


def _whole(parts: list[Part], how: str, scorer: int, on_card: bool) -> Estimate:
    of_host = [part("imports", IMPORTS, 0.6, _IMPORTS_UP, "torch, transformers and room to work")]
    of_host += [part("scorer", scorer, 0.5, 1.2, "the sentence-embedding model")] if scorer else []
    if on_card:
        of_host.append(part("CUDA", CUDA_HOST, 0.5, 1.3, "its libraries in main memory"))
        likely = _sums(parts)[1]
        least, usual, most = (int(share * likely) for share in _FRAGMENTS)
        fragments = Part("fragments", least, usual, most, "what torch's cache cannot use")
        parts = [*parts, fragments, Part("CUDA context", *CONTEXT, "driver, kernels, workspaces")]
    else:
        of_host = [*parts, *of_host]
    host, card = _sums(of_host), _sums(parts) if on_card else (0, 0, 0)
    return Estimate(
        host_bytes=host[1],
        vram_bytes=card[1],
        how=how,
        host_high=host[2] + HOST_SLACK,
        vram_high=card[2],
        host_low=host[0],
        vram_low=card[0],
        components=tuple(parts if on_card else of_host),
    )


def _sums(parts: list[Part]) -> tuple[int, int, int]:
    return sum(one.low for one in parts), sum(one.likely for one in parts), sum(one.high for one in parts)


def has_driver() -> bool:
    """Whether an NVIDIA kernel driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def method_of(spec: Mapping[str, Any], on_card: bool) -> str:
    """What a fine-tune of this spec does: ``full``, ``peft`` or ``unsloth``, where it says ``auto``."""
    return _method(find_weights(spec.get("model") or {}), spec, on_card)


def _method(weights: Weights, spec: Mapping[str, Any], on_card: bool) -> str:
    source = str((spec.get("model") or {}).get("source") or "")
    packed = precision_of(spec).startswith(("4bit", "8bit", "bitsandbytes"))
    training = spec.get("training") or {}
    unsloth = training.get("method") == "auto" and on_card and has_driver() and why_not_unsloth(source) is None
    return training_method(training, weights.params, packed=packed, unsloth=unsloth)


def why_not_unsloth(source: str, *, by_name: bool = False) -> str | None:
    """Why a fine-tune of this model does without unsloth here, in words; None where it would be used.

    Args:
        by_name: The method ``unsloth`` was asked for, not ``auto``.
    """
    from backends.catalog.unsloth import NO_CARD, not_for

    if not has_driver():
        return NO_CARD
    return _unsloth_packages() or (not_for(source, by_name=by_name) if source else None)


@cache
def _unsloth_packages() -> str | None:
    from backends.catalog.unsloth import packages_missing

    return packages_missing()


def _parts(weights: Weights, spec: Mapping[str, Any], training: Mapping[str, Any] | None, on_card: bool) -> list[Part]:
    width = 2 if on_card else 4
    precision = precision_of(spec)
    generation = spec.get("generation") or {}
    text = int(spec.get("text_tokens") or TEXT_TOKENS)
    packed = precision in ("4bit", "8bit")
    # A packed layer is unpacked into the arithmetic's width whenever it is used.
    unpacked = [part("unpacking", weights.widest * 2, 0.5, 3.0, "the widest layer in 16 bits")] if packed else []
    weights = _limited(weights, training)
    found = weights.configuration
    sizes = image_sizes(spec)
    if training is None:
        batch, new = _batch(generation, spec), int(generation.get("max_new_tokens") or 64)
        shape = shape_of(found, batch, text + new, batch_load(found, sizes, batch)) if found else None
        return [weights_part(weights, precision, width), *answering(weights, shape, width, batch), *unpacked]
    batch, method = _batch(training, spec), _method(weights, spec, on_card)
    if method == "full":
        precision = "fp32"  # small steps would be rounded away in 16 bits
    shape = shape_of(found, batch, text, batch_load(found, sizes, batch)) if found else None
    kept = method != "unsloth" and not (on_card and weights.params > CHECKPOINTED_ABOVE)
    loaded, states = weights_part(weights, precision, width), states_part(weights, training, method)
    # Checkpointing makes the tower's own embeddings ask for gradients, whether or not anything of it is trained.
    frozen = method == "peft" and kept and (training.get("lora") or {}).get("targets") == "language"
    return [loaded, states, *learning(weights, shape, width, batch, method, kept, frozen), *unpacked]


def _batch(settings: Mapping[str, Any], spec: Mapping[str, Any]) -> int:
    """Never more than there are samples."""
    batch, samples = int(settings.get("batch_size") or 1), (spec.get("data") or {}).get("samples")
    return min(batch, int(samples)) if samples else batch


def _limited(weights: Weights, training: Mapping[str, Any] | None) -> Weights:
    """With the largest image that the training lets through."""
    most = (training or {}).get("max_pixels")
    if not most or weights.configuration is None:
        return weights
    return replace(weights, configuration=limited(weights.configuration, int(most)))


def image_sizes(spec: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Widths, heights and counts that are known of a spec's images: as said, else as measured when it was queued.

    Of a fine-tune the held-out images count as well.
    """
    if spec.get("image_size"):
        width, height = spec["image_size"]
        return [(int(width), int(height), 1)]
    held_out = (spec.get("training") or {}).get("eval_data") or {}
    measured = [*((spec.get("data") or {}).get("image_sizes") or ()), *(held_out.get("image_sizes") or ())]
    return [(int(width), int(height), int(count)) for width, height, count in measured]


def precision_of(spec: Mapping[str, Any]) -> str:
    """``4bit``, ``8bit``, ``bf16``, ``fp32``, or nothing for what the device takes."""
    model = spec.get("model") or {}
    return str(model.get("precision") or model.get("quantisation") or "")


def _explain(weights: Weights, training: Mapping[str, Any] | None, on_card: bool) -> str:
    size = f"{weights.params / 1e9:.2f} B" if weights.params >= 1e8 else f"{weights.params / 1e6:.2f} M"
    what = f"training ({training.get('method', 'auto')})" if training else "generation"
    place = "the card" if on_card else "the CPU"
    shape = "activations by its dimensions" if weights.configuration else "activations by rule of thumb"
    sure = f"; the size may be off by {weights.spread:.0%}" if weights.spread else ""
    return f"{size} {weights.source}, {what} on {place}, {shape}{sure}"
