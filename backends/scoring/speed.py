"""How fast a model answers, from the time and the tokens of each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.scoring.answer import Answer
from backends.scoring.groups import Group
from backends.scoring.resampling import Floats, Statistic, mean_of
from backends.scoring.rows import RESAMPLES, Row, fields_of, finished, image_numbers

VERSION = 1
"""Changes whenever the same times would give other figures."""


@dataclass(frozen=True)
class Timing:
    """Of one answer: seconds from the decoded image to the text, and tokens."""

    latency_s: float
    tokens: int


def score_speed(
    answers: Sequence[Answer],
    timings: Mapping[str, Timing],
    shared: Mapping[str, Any],
    *,
    first_tokens: Sequence[float] = (),
    costs: Mapping[str, float | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
) -> list[dict[str, Any]]:
    """What was measured; nothing where no answer was timed.

    Args:
        timings: By the answers' ids; failures have none.
        shared: What the figures hold for: device, batch size, weights' type.
        first_tokens: Seconds to the first token, where the model tells it.
        costs: Figures of the whole run (peak memory, energy an answer) by metric; None where they are not known.

    Returns:
        Overall rows, shaped as :func:`backends.scoring.score.score_answers` gives them, with no floors:
        ``tokens_per_s`` (all tokens over all seconds, with a bootstrap interval over images), ``answers_per_s``,
        ``latency_p50_s``, ``latency_p95_s``, ``first_token_p50_s`` where known, and ``costs``. ``timed`` is how many
        answers they are from; ``lower_is_better`` is true but for the rates. No figure is on 0..1.
    """
    answers = sorted(answers, key=lambda answer: answer.id)
    timed = [timings[answer.id] if answer.id in timings and not answer.failed else None for answer in answers]
    known = [one for one in timed if one is not None]
    if not known:
        return []
    images = image_numbers(answers)
    group = Group(None, None, np.ones(len(answers), dtype=np.bool_))
    latencies = np.array([one.latency_s for one in known])
    rows = []
    for name, counts in (("tokens_per_s", [one.tokens if one else 0 for one in timed]), ("answers_per_s", None)):
        own = np.array([float(one is not None) for one in timed] if counts is None else counts, np.float64)
        terms = np.stack([own, [one.latency_s if one else 0.0 for one in timed]], axis=1)
        statistic = Statistic(terms, images, mean_of)
        rows.append(_row(name, group, float(statistic.of(terms.sum(0))), len(known), statistic))
    for name, values, share in (
        ("latency_p50_s", latencies, 0.5),
        ("latency_p95_s", latencies, 0.95),
        ("first_token_p50_s", np.array(first_tokens), 0.5),
    ):
        if len(values):
            rows.append(_row(name, group, percentile(values, share), len(values)))
    rows += [_row(name, group, value, len(known)) for name, value in (costs or {}).items() if value is not None]
    told = {"scorer": VERSION, "partial": partial, **shared}
    return finished(rows, answers, images, [group], told, resamples=resamples, seed=seed, flat=())


def percentile(values: Floats, share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed: one that was measured."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def _row(name: str, group: Group, value: float, timed: int, wanted: Statistic | None = None) -> Row:
    fields = fields_of(name, group, value) | {"floors": {}, "references": {}, "gain": None, "timed": timed}
    return Row(group, wanted, fields | {"unparseable": 0, "lower_is_better": wanted is None})
