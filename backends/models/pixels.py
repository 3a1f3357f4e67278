"""The largest image that a processor passes on, for processors that have such a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Tell = Callable[[str, str], None]


def limit_pixels(processor: Any, most: int, tell: Tell = lambda level, text: None) -> bool:
    """Make ``processor`` shrink images to at most about ``most`` pixels; the limit is saved with it.

    Tiled images are limited by the number of tiles, never below the least that the processor makes. What is smaller
    already stays as it is.

    Returns:
        False for a processor that makes every image the same size; that is said.
    """
    images = processor.image_processor
    for name, limit in _LIMITS.items():
        if name in type(images).__name__:
            limit(images, most)
            return True
    tell("warning", f"max_pixels has no effect: {type(images).__name__} makes every image of one size")
    return False


def _qwen(images: Any, most: int) -> None:
    """Its "edges" are numbers of pixels."""
    long, short = images.size["longest_edge"], images.size["shortest_edge"]
    _resize(images, longest_edge=min(long, most), shortest_edge=min(short, most))


def _pixtral(images: Any, most: int) -> None:
    _resize(images, longest_edge=min(images.size["longest_edge"], max(1, math.isqrt(most))))


def _split(images: Any, most: int) -> None:
    """Idefics and SmolVLM: squares of one edge, as many as fit into the longest."""
    edge = images.max_image_size["longest_edge"]
    _resize(images, longest_edge=min(images.size["longest_edge"], max(1, math.isqrt(most) // edge) * edge))


def _internvl(images: Any, most: int) -> None:
    tile = images.size["height"] * images.size["width"]
    images.max_patches = min(images.max_patches, max(1, most // tile))
    images.min_patches = min(images.min_patches, images.max_patches)


def _minicpm(images: Any, most: int) -> None:
    images.max_slice_nums = min(images.max_slice_nums, max(1, most // images.scale_resolution**2))


def _lfm2(images: Any, most: int) -> None:
    token = (images.encoder_patch_size * images.downsample_factor) ** 2
    images.max_image_tokens = min(images.max_image_tokens, max(images.min_image_tokens, most // token))
    if images.min_tiles * images.tile_size**2 > most:
        # An image over the limit of tokens is split: into more pixels than are wanted. One tile splits nothing.
        images.min_tiles = images.max_tiles = 1
    images.max_tiles = min(images.max_tiles, max(images.min_tiles, most // images.tile_size**2))


def _resize(images: Any, **edges: int) -> None:
    images.size = type(images.size)(**{name: value for name, value in dict(images.size).items() if value} | edges)


_LIMITS: dict[str, Callable[[Any, int], None]] = {
    "Qwen2VL": _qwen,
    "Pixtral": _pixtral,
    "Idefics3": _split,
    "SmolVLM": _split,
    "GotOcr2": _internvl,
    "MiniCPMV": _minicpm,
    "Lfm2Vl": _lfm2,
}
"""By part of the image processor's class."""
