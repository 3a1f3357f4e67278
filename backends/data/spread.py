"""How varied the answers to a question are, and from where on they are too much alike: the collapse alarm's rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends.data.normal import normalise

TOP_SHARE = 0.9
"""One answer for so many of a question's images is a collapse, if the references do not say so too."""
ENTROPY_SHARE = 0.3
"""So is an entropy of the answers below this share of the references' own."""
CHANCE = 0.01
FEWEST = 10
_STEPS = 40


@dataclass(frozen=True)
class Spread:
    """How varied texts are: distinct ones, the commonest and its share, entropy in bits (Shannon, 1948)."""

    n: int
    distinct: int
    top: str
    top_share: float
    entropy: float


def spread(texts: Iterable[str]) -> Spread:
    """Of the normalised texts; ``top`` is normalised too."""
    return spread_of(Counter(texts))


def spread_of(counted: Mapping[str, int]) -> Spread:
    """The same of texts that were counted."""
    counts: Counter[str] = Counter()
    for text, times in counted.items():
        counts[normalise(text)] += times
    n = counts.total()
    if not n:
        return Spread(0, 0, "", 0.0, 0.0)
    top, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    entropy = -sum(count / n * math.log2(count / n) for count in counts.values())
    return Spread(n, len(counts), top, most / n, max(0.0, entropy))


def collapsed(said: Spread, true: Spread) -> bool:
    """Whether a question's answers are far more alike than the references to the same images.

    References that are themselves all alike are no reason for alarm, and so are few answers: that a model whose
    answers follow the references' shares gives its commonest one so often must have a chance below 1 %.
    """
    flat = said.top_share >= TOP_SHARE or said.entropy <= ENTROPY_SHARE * true.entropy
    return said.n >= FEWEST and flat and _chance(said.n, said.top_share, true.top_share) < CHANCE


def ringing_share(n: int, true: Spread) -> float | None:
    """From which share of one answer on the alarm rings whatever the others are; None where no share makes it ring."""
    if n < FEWEST or _chance(n, 1.0, true.top_share) >= CHANCE:
        return None
    low, high = TOP_SHARE, 1.0
    if _chance(n, low, true.top_share) < CHANCE:
        return low
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _chance(n, middle, true.top_share) < CHANCE:
            high = middle
        else:
            low = middle
    return high


def _chance(n: int, share: float, true_share: float) -> float:
    """Bound on the probability that n draws with probability ``true_share`` give ``share`` of them or more
    (Chernoff: exp(-n KL)).
    """
    p, q = share, true_share
    if p <= q:
        return 1.0
    divergence = p * math.log(p / q) + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
    return math.exp(-n * divergence)
