"""What one image of a size becomes: patches in the vision tower, tokens in the language model; by architecture.

The rules are those of each architecture's image processor, which resizes, cuts into tiles or keeps a fixed grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backends.estimate.configuration import Configuration
from backends.estimate.visionparts import side

FRAME = (1024, 768)
"""Width and height of a usual ultrasound frame: what is taken where nothing else is said."""


@dataclass(frozen=True)
class ImageLoad:
    """Of one image."""

    patches: int
    """Through the vision tower, all tiles together."""
    tokens: int
    """In the prompt."""
    crossing: int = 0
    """States that cross-attention looks at, which take no place in the prompt."""
    how: str = "a fixed grid"


def image_load(found: Configuration, size: tuple[int, int] = FRAME) -> ImageLoad:
    """For an image of ``(width, height)`` pixels."""
    width, height = size
    return _RULES.get(found.kind, _fixed)(found, max(1, width), max(1, height))


def batch_load(found: Configuration, sizes: Sequence[tuple[int, int, int]], batch: int) -> ImageLoad | None:
    """An image of the largest batch that is to be expected: the largest image among others as they come.

    Every prompt of a batch is as long as its longest. None where no sizes are known.

    Args:
        sizes: Width, height and how many there are of each.
    """
    most = largest(found, [(width, height) for width, height, _ in sizes])
    if most is None:
        return None
    loads = [(image_load(found, (width, height)), count) for width, height, count in sizes]
    mean = sum(load.patches * count for load, count in loads) / max(1, sum(count for _, count in loads))
    load = image_load(found, most)
    return replace(load, patches=math.ceil((load.patches + (batch - 1) * mean) / max(1, batch)))


def largest(found: Configuration, sizes: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Of several sizes the one that takes most; None where there are none."""

    def takes(size: tuple[int, int]) -> tuple[int, int]:
        load = image_load(found, size)
        return load.patches, load.tokens

    return max(sizes, key=takes, default=None)


def limited(found: Configuration, most: int | None) -> Configuration:
    """With a processor that shrinks images to about ``most`` pixels, as the setting ``max_pixels`` does it.

    Tiled images are limited by the number of tiles; a processor that makes every image of one size stays as it is.
    """
    limit = _LIMITS.get(_vision_kind(found)) if most else None
    if most is None or limit is None:
        return found
    return replace(found, processor={**found.processor, **limit(found, most)})


def _vision_kind(found: Configuration) -> str:
    return "pixtral" if found.vision.get("model_type") == "pixtral" else found.kind


def _limit_dynamic(found: Configuration, most: int) -> dict[str, Any]:
    long = found.processor.get("max_pixels") or _edge(found.processor, "longest_edge", default=14 * 14 * 4 * 1280)
    short = found.processor.get("min_pixels") or _edge(found.processor, "shortest_edge", default=56 * 56)
    return {"max_pixels": min(long, most), "min_pixels": min(short, most)}


def _limit_pixtral(found: Configuration, most: int) -> dict[str, Any]:
    longest = _edge(found.processor, "longest_edge", default=side(found.vision.get("image_size"), 1024))
    return {"size": {"longest_edge": min(longest, max(1, math.isqrt(most)))}}


def _limit_split(found: Configuration, most: int) -> dict[str, Any]:
    edge = side(found.vision.get("image_size"), 384)
    tile = int((found.processor.get("max_image_size") or {}).get("longest_edge") or edge)
    longest = _edge(found.processor, "longest_edge", default=4 * tile)
    return {"size": {"longest_edge": min(longest, max(1, math.isqrt(most) // tile) * tile)}}


def _limit_internvl(found: Configuration, most: int) -> dict[str, Any]:
    edge = side(found.vision.get("image_size"), 448)
    tiles = min(int(found.processor.get("max_patches") or 12), max(1, most // edge**2))
    return {"max_patches": tiles, "min_patches": min(int(found.processor.get("min_patches") or 1), tiles)}


def _limit_lfm2(found: Configuration, most: int) -> dict[str, Any]:
    facts = found.processor
    step = side(found.vision.get("patch_size"), 16) * int(found.config.get("downsample_factor") or 2)
    tokens = min(int(facts.get("max_image_tokens") or 256), max(1, most // step**2))
    tiles = min(int(facts.get("max_tiles") or 10), max(1, most // int(facts.get("tile_size") or 512) ** 2))
    least = {"min_image_tokens": min(int(facts.get("min_image_tokens") or 64), tokens)}
    least |= {"min_tiles": min(int(facts.get("min_tiles") or 2), tiles)}
    whole = {"do_image_splitting": False} if tiles == 1 else {}
    return {"max_image_tokens": tokens, "max_tiles": tiles, **least, **whole}


def _limit_minicpm(found: Configuration, most: int) -> dict[str, Any]:
    edge = int(found.processor.get("scale_resolution") or 448)
    return {"max_slice_nums": min(int(found.processor.get("max_slice_nums") or 9), max(1, most // edge**2))}


_LIMITS: dict[str, Callable[[Configuration, int], dict[str, Any]]] = {
    "qwen2_vl": _limit_dynamic,
    "qwen2_5_vl": _limit_dynamic,
    "qwen3_vl": _limit_dynamic,
    "pixtral": _limit_pixtral,
    "idefics3": _limit_split,
    "smolvlm": _limit_split,
    "internvl": _limit_internvl,
    "lfm2_vl": _limit_lfm2,
    "minicpmv4_6": _limit_minicpm,
}


def _edge(processor: Mapping[str, Any], *names: str, default: int) -> int:
    sizes = processor.get("size")
    if isinstance(sizes, Mapping):
        return next((int(sizes[name]) for name in names if sizes.get(name)), default)
    return int(sizes) if isinstance(sizes, int | float) else default


def _dynamic(found: Configuration, width: int, height: int) -> ImageLoad:
    """Qwen: the image in its own size, rounded to whole merged patches, between two numbers of pixels."""
    patch = side(found.vision.get("patch_size"), 14)
    merge = int(found.vision.get("spatial_merge_size") or 2)
    step = patch * merge
    least = found.processor.get("min_pixels") or _edge(found.processor, "shortest_edge", default=56 * 56)
    most = found.processor.get("max_pixels") or _edge(found.processor, "longest_edge", default=14 * 14 * 4 * 1280)
    rows, columns = round(height / step), round(width / step)
    if rows * columns * step * step > most:
        shrink = math.sqrt(height * width / most)
        rows, columns = max(1, math.floor(height / shrink / step)), max(1, math.floor(width / shrink / step))
    elif rows * columns * step * step < least:
        grow = math.sqrt(least / (height * width))
        rows, columns = math.ceil(height * grow / step), math.ceil(width * grow / step)
    return ImageLoad(rows * columns * merge * merge, rows * columns, how=f"{columns * step}×{rows * step} pixels")


def _fixed(found: Configuration, _width: int, _height: int) -> ImageLoad:
    """Every image in the tower's own size."""
    edge, patch = side(found.vision.get("image_size"), 336), side(found.vision.get("patch_size"), 14)
    patches = max(1, edge // patch) ** 2
    tokens = found.config.get("mm_tokens_per_image") if found.kind == "gemma3" else None
    return ImageLoad(patches, int(tokens or patches), how=f"{edge}×{edge} pixels")


def _llava(found: Configuration, width: int, height: int) -> ImageLoad:
    if found.vision.get("model_type") != "pixtral":
        return _fixed(found, width, height)
    return _pixtral(found, width, height)


def _pixtral(found: Configuration, width: int, height: int) -> ImageLoad:
    """The image in its own size up to a longest edge; a break token ends each row."""
    patch = side(found.vision.get("patch_size"), 16)
    merge = int(found.config.get("spatial_merge_size") or 1) if found.kind == "mistral3" else 1
    longest = _edge(found.processor, "longest_edge", default=side(found.vision.get("image_size"), 1024))
    shrink = max(1.0, max(width, height) / longest)
    rows, columns = (max(1, math.ceil(math.floor(one / shrink) / (patch * merge))) for one in (height, width))
    if shrink == 1.0:
        rows, columns = (max(1, math.ceil(one / (patch * merge))) for one in (height, width))
    return ImageLoad(rows * columns * merge**2, rows * (columns + 1), how=f"{columns}×{rows} tokens")


def _best_grid(width: int, height: int, least: int, most: int, tile: int) -> tuple[int, int]:
    """Columns and rows of the grid nearest to the image's shape; of several alike the larger that is not too large."""
    grids = sorted(
        {(w, h) for w in range(1, most + 1) for h in range(1, most + 1) if least <= w * h <= most},
        key=lambda grid: (grid[0] * grid[1], grid),
    )
    best, difference = (1, 1), math.inf
    for grid in grids:
        off = abs(width / height - grid[0] / grid[1])
        if off < difference or (off == difference and width * height > 0.5 * tile * tile * grid[0] * grid[1]):
            best, difference = grid, off
    return best


def _internvl(found: Configuration, width: int, height: int) -> ImageLoad:
    """Tiles of the tower's size in the grid nearest to the image's shape, and the whole image beside them."""
    edge, patch = side(found.vision.get("image_size"), 448), side(found.vision.get("patch_size"), 14)
    patches = (edge // patch) ** 2
    tokens = round(patches * float(found.config.get("downsample_ratio") or 0.5) ** 2)
    least, most = int(found.processor.get("min_patches") or 1), int(found.processor.get("max_patches") or 12)
    columns, rows = _best_grid(width, height, least, most, edge)
    tiles = columns * rows + (1 if columns * rows > 1 else 0)
    return ImageLoad(patches * tiles, tokens * tiles, how=_tiled(columns, rows))


def _anyres(found: Configuration, width: int, height: int) -> ImageLoad:
    """LLaVA-NeXT and OneVision: the whole image, and tiles of the best of several sizes less what was padding."""
    edge, patch = side(found.vision.get("image_size"), 336), side(found.vision.get("patch_size"), 14)
    across = edge // patch
    sizes = found.config.get("image_grid_pinpoints") or found.processor.get("image_grid_pinpoints")
    if not isinstance(sizes, list):
        sizes = _pinpoints(found.kind, edge)
    tall, wide = _best_size(width, height, sizes)
    rows, columns = across * (tall // edge), across * (wide // edge)
    if width / height > columns / rows:
        rows -= (rows - int(round(height * columns / width, 7))) // 2 * 2
    else:
        columns -= (columns - int(round(width * rows / height, 7))) // 2 * 2
    limit = str(found.config.get("vision_aspect_ratio") or "")
    if found.kind == "llava_onevision" and limit.startswith("anyres_max_"):
        ratio = math.sqrt(rows * columns / (int(limit.removeprefix("anyres_max_")) * across**2))
        if ratio > 1.1:
            rows, columns = int(rows // ratio), int(columns // ratio)
    tiles = (tall // edge) * (wide // edge) + 1
    return ImageLoad(across**2 * tiles, across**2 + rows * columns + rows, how=_tiled(wide // edge, tall // edge))


def _pinpoints(kind: str, edge: int) -> list[list[int]]:
    if kind == "llava_onevision":
        return [[edge * rows, edge * columns] for rows in range(1, 7) for columns in range(1, 7)]
    return [[edge, 2 * edge], [2 * edge, edge], [2 * edge, 2 * edge], [3 * edge, edge], [edge, 3 * edge]]


def _best_size(width: int, height: int, sizes: list[list[int]]) -> tuple[int, int]:
    """Height and width of the size that shows most of the image, then wastes least."""
    best, shown, wasted = (sizes[0][0], sizes[0][1]), 0, math.inf
    for tall, wide in sizes:
        scale = min(wide / width, tall / height)
        seen = min(int(width * scale) * int(height * scale), width * height)
        if seen > shown or (seen == shown and tall * wide - seen < wasted):
            best, shown, wasted = (tall, wide), seen, tall * wide - seen
    return best


def _split(found: Configuration, width: int, height: int) -> ImageLoad:
    """Idefics3 and SmolVLM: enlarged to a longest edge, cut into tiles, the whole image beside them."""
    edge, patch = side(found.vision.get("image_size"), 384), side(found.vision.get("patch_size"), 14)
    patches = (edge // patch) ** 2
    tokens = patches // int(found.config.get("scale_factor") or 2) ** 2
    tile = int((found.processor.get("max_image_size") or {}).get("longest_edge") or edge)
    longest = min(4096, _edge(found.processor, "longest_edge", default=4 * tile))
    if not found.processor.get("do_image_splitting", True):
        return ImageLoad(patches, tokens + 3)
    scale = longest / max(width, height)
    columns, rows = math.ceil(int(width * scale) / tile), math.ceil(int(height * scale) / tile)
    if columns * rows == 1:
        return ImageLoad(patches, tokens + 3)
    # Each tile has its place written before it, each row a line break after it.
    marked = tokens + 3 + ((tokens + 2) * columns + 1) * rows
    return ImageLoad(patches * (columns * rows + 1), marked, how=_tiled(columns, rows))


def _lfm2(found: Configuration, width: int, height: int) -> ImageLoad:
    """A small image in its own size; a large one in tiles, with a small picture of the whole."""
    facts = found.processor
    patch, merge = side(found.vision.get("patch_size"), 16), int(found.config.get("downsample_factor") or 2)
    step, tile = patch * merge, int(facts.get("tile_size") or 512)
    most, least = int(facts.get("max_image_tokens") or 256), int(facts.get("min_image_tokens") or 64)
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    large = rows * columns > most * float(facts.get("max_pixels_tolerance") or 2.0)
    if rows * columns > most:
        shrink = math.sqrt(height * width / (most * step * step))
        rows, columns = (max(1, math.floor(one / shrink / step)) for one in (height, width))
    elif rows * columns < least:
        grow = math.sqrt(least * step * step / (height * width))
        rows, columns = (math.ceil(one * grow / step) for one in (height, width))
    if not large or facts.get("do_image_splitting") is False:
        return ImageLoad(rows * columns * merge**2, rows * columns + 2, how=f"{columns * step}×{rows * step} pixels")
    across, down = _best_grid(width, height, int(facts.get("min_tiles") or 2), int(facts.get("max_tiles") or 10), tile)
    a_tile = (tile // step) ** 2
    whole = rows * columns if facts.get("use_thumbnail", True) else 0
    tokens = across * down * (a_tile + 1) + whole + 3
    return ImageLoad((across * down * a_tile + whole) * merge**2, tokens, how=_tiled(across, down))


def _mllama(found: Configuration, _width: int, _height: int) -> ImageLoad:
    """Padded to the most tiles whatever the image is; one token in the prompt, the rest is looked at across."""
    edge, patch = side(found.vision.get("image_size"), 560), side(found.vision.get("patch_size"), 14)
    patches = ((edge // patch) ** 2 + 1) * int(found.vision.get("max_num_tiles") or 4)
    return ImageLoad(patches, 1, patches, f"{found.vision.get('max_num_tiles') or 4} tiles, padded")


def _minicpm(found: Configuration, width: int, height: int) -> ImageLoad:
    """The whole image and up to nine slices, each sixteen patches to a token."""
    edge = int(found.processor.get("scale_resolution") or 448)
    patch, most = side(found.vision.get("patch_size"), 14), int(found.processor.get("max_slice_nums") or 9)
    wanted = min(math.ceil(width * height / edge**2), most)
    pictures = 1 if wanted <= 1 else min(wanted + 1, most) + 1
    patches = (edge // patch) ** 2
    return ImageLoad(patches * pictures, (patches // 16 + 2) * pictures, how=f"up to {pictures} pictures")


def _tiled(columns: int, rows: int) -> str:
    return "one tile" if columns * rows == 1 else f"{columns}×{rows} tiles and the whole"


_RULES: dict[str, Callable[[Configuration, int, int], ImageLoad]] = {
    "qwen2_vl": _dynamic,
    "qwen2_5_vl": _dynamic,
    "qwen3_vl": _dynamic,
    "llava": _llava,
    "mistral3": _pixtral,
    "internvl": _internvl,
    "llava_next": _anyres,
    "llava_onevision": _anyres,
    "idefics3": _split,
    "smolvlm": _split,
    "lfm2_vl": _lfm2,
    "mllama": _mllama,
    "minicpmv4_6": _minicpm,
}
