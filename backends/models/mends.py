"""Repairs of model code in the installed transformers, where it answers a batch otherwise than its members alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def mend(model: Any) -> None:
    """Repair a loaded model in place; its weights and its answers to a single plain image stay as they are."""
    for module in model.modules():
        if type(module).__name__ == "MiniCPMV4_6ViTWindowAttentionMerger":
            module.forward = _one_size_at_a_time(module.forward)


def _one_size_at_a_time(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """MiniCPM-V 4.6 merges patches as if all images and slices in a batch had the size of the first one.

    Others fail, or, where the number of patches happens to be equal, are merged in the wrong order without a word.
    Nothing passes between images there, so that each is merged on its own.
    """

    def merged(hidden_states: Any, target_sizes: Any, **options: Any) -> torch.Tensor:
        if bool((target_sizes == target_sizes[0]).all()):
            return forward(hidden_states, target_sizes, **options)
        images = hidden_states.split(target_sizes.prod(dim=1).tolist(), dim=1)
        sizes = target_sizes.split(1)
        return torch.cat([forward(*one, **options) for one in zip(images, sizes, strict=True)], dim=1)

    return merged
