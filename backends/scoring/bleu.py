"""BLEU-4 of a corpus and ROUGE-L, as the COCO caption code computes them, on words between white space."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from backends.scoring.resampling import Floats

ORDER = 4
TERMS = 2 * ORDER + 2
_TINY, _SMALL = 1e-15, 1e-9
_BETA = 1.2


@lru_cache(maxsize=1 << 14)
def bleu_terms(said: str, reference: str) -> tuple[float, ...]:
    """What an answer adds to its corpus: matches and n-grams of 1 to 4 words each, its length and the reference's."""
    ours, theirs = said.split(), reference.split()
    matches, counts = [], []
    for order in range(1, ORDER + 1):
        grams, wanted = _grams(ours, order), _grams(theirs, order)
        matches.append(float((grams & wanted).total()))
        counts.append(float(max(0, len(ours) - order + 1)))
    return (*matches, *counts, float(len(ours)), float(len(theirs)))


def _grams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def corpus_bleu(totals: Floats) -> Floats:
    """BLEU-4 in 0..1 of summed :func:`bleu_terms` (..., 10).

    Papineni and others (ACL 2002) with one reference; the small constants are those of pycocoevalcap's ``Bleu(4)``,
    which U2-BENCH uses. NaN where there is no text at all.
    """
    matches, counts = totals[..., :ORDER], totals[..., ORDER : 2 * ORDER]
    said, wanted = totals[..., -2], totals[..., -1]
    precision = np.prod((matches + _TINY) / (counts + _SMALL), axis=-1) ** (1 / ORDER)
    ratio = (said + _TINY) / (wanted + _SMALL)
    with np.errstate(divide="ignore", over="ignore"):
        short = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    return np.asarray(np.where(said + wanted > 0, precision * short, np.nan))


@lru_cache(maxsize=1 << 14)
def rouge_l(said: str, reference: str) -> float:
    """F of the longest common subsequence of words (Lin, ACL 2004) with beta 1.2, as pycocoevalcap has it."""
    ours, theirs = said.split(" "), reference.split(" ")
    common = _longest_common(ours, theirs)
    if not common:
        return 0.0
    precision, recall = common / len(ours), common / len(theirs)
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for at, other in enumerate(second, 1):
            kept = row[at]
            row[at] = before + 1 if word == other else max(kept, row[at - 1])
            before = kept
    return row[-1]
