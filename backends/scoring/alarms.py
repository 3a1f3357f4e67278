"""When a score must not be believed: one answer for every image, or too many questions without an answer."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.scoring.answer import Answer
from backends.scoring.exact import normalise

COVERAGE = 0.95
"""Below this share of answers a run is not ranked."""
TOP_SHARE = 0.9
"""One answer for so many of a question's images is a collapse, if the references do not say so too."""
ENTROPY_SHARE = 0.3
"""So is an entropy of the answers below this share of the references' own."""
CHANCE = 0.01
_FEWEST = 10


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
    counts = Counter(map(normalise, texts))
    n = counts.total()
    if not n:
        return Spread(0, 0, "", 0.0, 0.0)
    top, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    entropy = -sum(count / n * math.log2(count / n) for count in counts.values())
    return Spread(n, len(counts), top, most / n, max(0.0, entropy))


def collapse(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """An alarm for each question whose answers are far more alike than the references to the same images.

    References that are themselves all alike are no reason for alarm, and so are few answers: that a model whose
    answers follow the references' shares gives its commonest one so often must have a chance below 1 %.
    """
    by_topic: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if not answer.failed:
            by_topic[answer.topic].append(answer)
    alarms = []
    for topic, here in sorted(by_topic.items()):
        said, true = spread(a.prediction or "" for a in here), spread(a.reference for a in here)
        flat = said.top_share >= TOP_SHARE or said.entropy <= ENTROPY_SHARE * true.entropy
        if said.n >= _FEWEST and flat and _chance(said, true) < CHANCE:
            alarms.append(_alarm("collapse", topic, _words(topic, said, true)))
    return alarms


def coverage(asked: int, failed: int, empty: int) -> list[dict[str, Any]]:
    """One alarm where fewer than 95 % of what was asked has an answer that is not empty."""
    answered = asked - failed - empty
    if not asked or answered >= COVERAGE * asked:
        return []
    text = f"{answered} of {asked} answered ({answered / asked:.1%}); {failed} failed, {empty} empty"
    return [_alarm("coverage", None, f"{text}: below {COVERAGE:.0%}, not ranked")]


def _chance(said: Spread, true: Spread) -> float:
    """Bound on the probability that n draws with probability ``true.top_share`` give ``said.top_share`` or more
    (Chernoff: exp(-n KL)).
    """
    p, q = said.top_share, true.top_share
    if p <= q:
        return 1.0
    divergence = p * math.log(p / q) + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
    return math.exp(-said.n * divergence)


def _words(topic: str, said: Spread, true: Spread) -> str:
    top = said.top if len(said.top) <= 60 else said.top[:59] + "…"
    return (
        f"{topic}: {said.top_share:.0%} of {said.n} answers are “{top}”"
        f" ({said.distinct} distinct, {said.entropy:.2f} bits; references {true.distinct}, {true.entropy:.2f} bits)"
    )


def _alarm(kind: str, question: str | None, text: str) -> dict[str, Any]:
    return {"kind": kind, "question": question, "text": text}
