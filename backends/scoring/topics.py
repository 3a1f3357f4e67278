"""Which metric each of FADA's questions has beside cosine and exact match. Q8 has none: advice is left to cosine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from backends.scoring.bins import bin_accuracy
from backends.scoring.wording import keyword_f1, relaxed_accuracy, set_f2


@dataclass(frozen=True)
class TopicMetric:
    """``value`` of (prediction, reference), in 0..1; None where the prediction cannot be read, which counts as 0."""

    name: str
    value: Callable[[str, str], float | None]


TOPIC_METRICS: Mapping[str, TopicMetric] = {
    "Q1": TopicMetric("set_f2", set_f2),
    "Q2": TopicMetric("relaxed_accuracy", partial(relaxed_accuracy, "orientation")),
    "Q3": TopicMetric("relaxed_accuracy", partial(relaxed_accuracy, "planes")),
    "Q4": TopicMetric("keyword_f1", keyword_f1),
    "Q5": TopicMetric("bin_accuracy", partial(bin_accuracy, "Q5")),
    "Q6": TopicMetric("bin_accuracy", partial(bin_accuracy, "Q6")),
}
NORMALITY = "Q7"
"""Its metrics, ``balanced_accuracy`` and ``mcc``, are no means over answers: see backends.scoring.normality."""
