"""A score as the command prints it, with what it takes to believe it: no line has the number alone."""

from __future__ import annotations

from collections.abc import Sequence

from db.runs.rows import Score
from fada_tui.format import size


def value_text(score: Score) -> str:
    """``0.812 [0.790, 0.833]``; the value alone where there is no honest interval."""
    if score.metric.endswith("_bytes"):
        return size(score.value)
    digits = 1 if score.metric == "tokens_per_s" else 3
    text = f"{score.value:.{digits}f}"
    if score.ci_low is not None and score.ci_high is not None:
        text += f" [{score.ci_low:.{digits}f}, {score.ci_high:.{digits}f}]"
    return text


def score_line(score: Score) -> str:
    """``exact 0.640 [0.610, 0.660]  n 480, 12 empty  (majority 0.700, gain -0.060)  ⚠ collapse``."""
    beside = [f"{name} {value:.3f}" for name, value in {**score.floors, **score.references}.items()]
    if score.gain is not None:
        beside.append(f"gain {score.gain:+.3f}")
    parts = [f"{score.metric} {value_text(score)}", ", ".join([f"n {score.n:,}", *score.unanswered])]
    parts += [f"({', '.join(beside)})"] if beside else []
    return "  ".join([*parts, *([alarm_words(score)] if score.alarms else [])])


def score_lines(scores: Sequence[Score]) -> list[str]:
    """A line each, then what their alarms say, once each."""
    said = dict.fromkeys(f"⚠ {alarm.kind}: {alarm.text}" for score in scores for alarm in score.alarms)
    return [*map(score_line, scores), *said]


def alarm_words(score: Score) -> str:
    return score.alarm_words
