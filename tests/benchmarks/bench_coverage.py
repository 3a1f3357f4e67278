"""How often 95 % intervals hold the truth: made-up data sets whose truth is known, eight answers an image.

`--sets` data sets of each combination of images, true value and correlation within an image; of each combination the
share of intervals that hold the truth, the share of data sets that get an interval at all, and the mean width, one
JSON line each, against the nominal 0.95. The last lines sum up what is promised: 0.94..0.96 from 50 images on, never
under 0.93 where an interval is shown; `chance` is how far 99.9 % of honest 95 % intervals would lie from it at most.

Data sets of one combination share their resampled images, which moves no expectation and saves most of the time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.scoring.intervals import Column, intervals

IMAGES = (10, 15, 20, 30, 40, 50, 75, 100, 200, 400, 600)
TRUTHS = (0.1, 0.3, 0.5, 0.7, 0.9)
CORRELATIONS = (0.0, 0.1, 0.3, 0.5, 0.8)
EACH = 8
CHUNK = 100
RESAMPLES = 2_000

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int, float, float], Values]


def chances_of(rng: np.random.Generator, images: int, truth: float, size: float) -> Values:
    """A chance an image, beta with mean ``truth`` and variance truth (1 - truth) / (1 + size)."""
    return np.full(images, truth) if np.isinf(size) else rng.beta(truth * size, (1 - truth) * size, images)


def binary(rng: np.random.Generator, images: int, each: int, truth: float, correlation: float) -> Values:
    """0/1 answers (images, each): a beta-binomial with the intraclass correlation as given."""
    chances = chances_of(rng, images, truth, 1 / correlation - 1 if correlation else np.inf)
    return (rng.random((images, each)) < chances[:, None]).astype(np.float64)


def continuous(rng: np.random.Generator, images: int, each: int, truth: float, correlation: float) -> Values:
    """Anything in 0..1, as an F score or a cosine: beta around a beta, a quarter of a proportion's variance."""
    chances = chances_of(rng, images, truth, 4 / correlation - 1 if correlation else np.inf)
    size = (4 - correlation) / (1 - correlation) - 1
    return rng.beta(
        np.maximum(chances * size, 1e-6)[:, None], np.maximum((1 - chances) * size, 1e-6)[:, None], (images, each)
    )


KINDS: dict[str, tuple[Draw, bool]] = {
    "binary": (binary, True),
    "share": (continuous, True),
    "any": (continuous, False),
}
"""Name to how values are drawn, and whether the interval is told that they lie in 0..1."""


@dataclass(frozen=True)
class Cell:
    """One combination, and what came of it."""

    kind: str
    images: int
    truth: float
    correlation: float
    sets: int
    shown: int
    held: int
    width: float

    @property
    def coverage(self) -> float | None:
        return self.held / self.shown if self.shown else None


def measure(
    kind: str,
    images: int,
    truth: float,
    correlation: float,
    sets: int,
    *,
    resamples: int = RESAMPLES,
    each: int = EACH,
) -> Cell:
    """Draw ``sets`` data sets, and see which of their intervals hold the truth."""
    draw, share = KINDS[kind]
    seed = [images, each, round(truth * 100), round(correlation * 100), sorted(KINDS).index(kind)]
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(images), each)
    shown = held = 0
    width = 0.0
    for start in range(0, sets, CHUNK):
        columns = [
            Column(draw(rng, images, each, truth, correlation).ravel(), numbers, share=share)
            for _ in range(min(CHUNK, sets - start))
        ]
        for found in intervals(columns, resamples=resamples, seed=int(rng.integers(1 << 30))):
            if found is not None:
                shown += 1
                held += found.low <= truth <= found.high
                width += found.high - found.low
    return Cell(kind, images, truth, correlation, sets, shown, held, width / max(1, shown))


def cells(kinds: Sequence[str], images: Sequence[int], sets: int, resamples: int) -> Iterator[Cell]:
    for kind in kinds:
        for count in images:
            for truth in TRUTHS:
                for correlation in CORRELATIONS:
                    yield measure(kind, count, truth, correlation, sets, resamples=resamples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=200, help="data sets a combination (200)")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    args = parser.parse_args()
    done = []
    for cell in cells(args.kinds, args.images, args.sets, args.resamples):
        done.append(cell)
        tell(f"coverage, {cell.kind}, {cell.images} images, truth {cell.truth}, correlation {cell.correlation}", [cell])
    for kind in args.kinds:
        here = [cell for cell in done if cell.kind == kind and cell.shown]
        for count in args.images:
            tell(f"coverage, {kind}, {count} images", [cell for cell in here if cell.images == count])


def tell(figure: str, here: Sequence[Cell]) -> None:
    """One line: the cells together, the worst of them, and how far chance alone would put that."""
    sets, shown, held = (sum(getattr(cell, name) for cell in here) for name in ("sets", "shown", "held"))
    each = [cell.coverage for cell in here if cell.coverage is not None]
    line = {"figure": figure, "value": round(held / shown, 4) if shown else None, "unit": "of intervals"}
    line |= {"against": "0.95", "ratio": round(held / shown / 0.95, 4) if shown else None}
    if len(here) > 1:
        line |= {"lowest": round(min(each), 4), "highest": round(max(each), 4)}
    line["shown"] = round(shown / max(1, sets), 4)
    if shown:
        line["width"] = round(float(np.mean([one.width for one in here])), 4)
        line["chance"] = round(3.29 * (0.95 * 0.05 / (shown / len(here))) ** 0.5, 4)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
