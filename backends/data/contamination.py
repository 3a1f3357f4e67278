"""Images that training and evaluation share, found by perceptual hashes: copies that were resized or encoded anew.

Copies to the byte are told from those that only look the same. What was hashed is kept on disk, see
:mod:`backends.data.hashcache`.

Difference hashes (dHash): one bit for each step to the right in a small version of the image, set where it gets
brighter. The 64-bit one finds candidates; ultrasound images of one view are much alike, so a pair counts only if its
256-bit hashes agree too. Of 180 synthetic scans shrunk to a third all are found, stored as JPEG of quality 40 five in
six; of 187,500 pairs of different scans the nearest was 22 bits apart (64 bits alone take one in four of a kind for the
same). Mirrored, turned or cropped copies are not found; neighbouring frames of one sweep may be, rightly.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from backends.data.images import ImageError, open_image
from backends.data.sample import Sample

if TYPE_CHECKING:
    from PIL import Image

BITS = 64
DISTANCE, FINE_DISTANCE = 4, 20
"""How many of 64 and of 256 bits may differ."""
SHOWN = 3
"""Pairs of images that are named; all are counted."""


class ImageHash(NamedTuple):
    """Difference hashes of 8 × 8 and of 16 × 16 bits."""

    coarse: int
    fine: int


@dataclass(frozen=True)
class Overlap:
    """An evaluation image, its nearest training image, and how many of 256 bits differ."""

    image: str
    training_image: str
    distance: int
    exact: bool = False
    """The files are the same to the byte."""


@dataclass(frozen=True)
class Hashes:
    """``values`` by image path; ``failed`` are the paths of images that could not be decoded."""

    values: dict[str, ImageHash]
    failed: tuple[str, ...]
    contents: dict[str, str] = field(default_factory=dict)
    """Hash of the file's bytes, by image path, where it is known."""
    whole: bool = True
    """False where it was left off before all images were hashed."""


def hashes(samples: Iterable[Sample]) -> Hashes:
    """Hash each distinct image once. Opens images: for workers only."""
    values: dict[str, ImageHash] = {}
    failed: dict[str, None] = {}
    for sample in samples:
        name = sample.image_path
        if name in values or name in failed:
            continue
        try:
            image = open_image(sample)
        except ImageError:
            failed[name] = None
        else:
            values[name] = ImageHash(dhash(image, 8), dhash(image, 16))
    return Hashes(values, tuple(failed))


def dhash(image: Image.Image, side: int = 8) -> int:
    """The difference hash of ``side`` × ``side`` bits, the first row in the highest ones."""
    from PIL import Image

    # Floating point: rounded to 8 bits, the steps within dark regions would be ties that noise decides.
    small = image.convert("L").convert("F").resize((side + 1, side), Image.Resampling.LANCZOS)
    pixels = array("f", small.tobytes())
    value = 0
    for start in range(0, len(pixels), side + 1):
        for at in range(start, start + side):
            value = value << 1 | (pixels[at + 1] > pixels[at])
    return value


def overlaps(
    train: Mapping[str, ImageHash],
    test: Mapping[str, ImageHash],
    distance: int = DISTANCE,
    fine_distance: int = FINE_DISTANCE,
) -> list[Overlap]:
    """Evaluation images that are in training, each with the nearest training image, nearest first.

    Two hashes that differ in at most d bits agree on at least one of d + 1 pieces, so only hashes that share a piece
    are compared.

    Raises:
        ValueError: ``distance`` is not within 0..63.
    """
    if not 0 <= distance < BITS:
        raise ValueError(f"a distance of {distance}: it must be within 0..{BITS - 1}")
    names: dict[ImageHash, str] = {}
    for name, value in train.items():
        names.setdefault(value, name)
    # Every n-th bit makes a piece: dark corners leave runs of zeros, which would fill one bucket of adjacent bits.
    buckets: dict[int, dict[int, list[ImageHash]]] = {}
    for piece in range(distance + 1):
        mask = sum(1 << bit for bit in range(piece, BITS, distance + 1))
        bucket = buckets[mask] = defaultdict(list)
        for value in names:
            bucket[value.coarse & mask].append(value)
    nearest: dict[ImageHash, tuple[int, ImageHash] | None] = {}
    found = []
    for name, value in test.items():
        if value not in nearest:
            near = [(0, value)] if value in names else _near(value, buckets, distance, fine_distance)
            nearest[value] = min(near, default=None)
        best = nearest[value]
        if best is not None:
            found.append(Overlap(name, names[best[1]], best[0]))
    return sorted(found, key=lambda overlap: (overlap.distance, overlap.image))


def shared_images(train: Hashes, test: Hashes) -> list[Overlap]:
    """As :func:`overlaps`, with copies to the byte marked; these come first."""
    same = {content: name for name, content in reversed(train.contents.items())}
    found = {overlap.image: overlap for overlap in overlaps(train.values, test.values)}
    for name, content in test.contents.items():
        if content in same:
            found[name] = Overlap(name, same[content], 0, exact=True)
    return sorted(found.values(), key=lambda one: (not one.exact, one.distance, one.image))


def overlap_words(found: Sequence[Overlap], images: int, runs: Sequence[int] = ()) -> str:
    """``12 of 40 images were trained on by #3: 10 exact copies, 2 near ones (a.png = train/b.png, …)``."""
    exact = sum(one.exact for one in found)
    counts = [f"{exact} exact {'copy' if exact == 1 else 'copies'}"] if exact else []
    counts += [f"{len(found) - exact} near one{'' if len(found) - exact == 1 else 's'}"] if exact < len(found) else []
    pairs = ", ".join(f"{one.image} {'=' if one.exact else '≈'} {one.training_image}" for one in found[:SHOWN])
    more = ", …" if len(found) > SHOWN else ""
    by = f" by {', '.join(f'#{run}' for run in runs)}" if runs else ""
    return f"{len(found)} of {images} images were trained on{by}: {', '.join(counts)} ({pairs}{more})"


def _near(
    value: ImageHash, buckets: Mapping[int, Mapping[int, list[ImageHash]]], distance: int, fine_distance: int
) -> list[tuple[int, ImageHash]]:
    coarse, fine = value
    return [
        (apart, other)
        for mask, bucket in buckets.items()
        for other in bucket.get(coarse & mask, ())
        if (coarse ^ other[0]).bit_count() <= distance and (apart := (fine ^ other[1]).bit_count()) <= fine_distance
    ]
