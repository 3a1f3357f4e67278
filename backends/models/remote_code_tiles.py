"""The tiles that InternVL's own code is given: an image cut to a grid near its aspect ratio, and the whole as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tiles(image: Image.Image, config: Any) -> torch.Tensor:
    """Normalised tiles (n, 3, size, size); how many and how large is the checkpoint's to say."""
    size = int(getattr(config, "force_image_size", None) or config.vision_config.image_size)
    fewest, most = int(getattr(config, "min_dynamic_patch", 1)), int(getattr(config, "max_dynamic_patch", 12))
    if not getattr(config, "dynamic_image_size", True):
        fewest = most = 1
    columns, rows = grid(image.width, image.height, fewest, most, size)
    scaled = image.resize((columns * size, rows * size), Image.Resampling.BICUBIC)
    parts = [
        scaled.crop((column * size, row * size, (column + 1) * size, (row + 1) * size))
        for row in range(rows)
        for column in range(columns)
    ]
    if len(parts) > 1 and getattr(config, "use_thumbnail", True):
        parts.append(image.resize((size, size), Image.Resampling.BICUBIC))
    return torch.stack([_normal(part) for part in parts])


def grid(width: int, height: int, fewest: int, most: int, size: int) -> tuple[int, int]:
    """Columns and rows, ``fewest`` to ``most`` tiles in all, nearest to the aspect ratio.

    Of two equally near the larger, where the image has the pixels for it.
    """
    shapes = sorted(
        {(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if fewest <= c * r <= most},
        key=lambda shape: shape[0] * shape[1],
    )
    ratio, best, nearest = width / height, (1, 1), float("inf")
    for columns, rows in shapes:
        distance = abs(ratio - columns / rows)
        enough = width * height > 0.5 * size * size * columns * rows
        if distance < nearest or (distance == nearest and enough):
            nearest, best = distance, (columns, rows)
    return best


def _normal(part: Image.Image) -> torch.Tensor:
    values = torch.from_numpy(np.array(part.convert("RGB"), np.float32)) / 255
    return ((values - torch.tensor(_MEAN)) / torch.tensor(_SPREAD)).permute(2, 0, 1).contiguous()
