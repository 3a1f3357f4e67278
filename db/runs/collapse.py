"""The collapse alarm is of a question, and a score within a category is over many: it must not stand without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from db.runs.rows import Alarm, Score

KIND = "collapse"

_Table = tuple[int | None, int | None, bool]


def spread(found: Sequence[Score]) -> list[Score]:
    """The scores, those within a category with the collapse alarms of their run's questions.

    A score of one question within one category (a data set of a benchmark) has those that it raised itself.
    """
    flat: dict[_Table, dict[Alarm, None]] = defaultdict(dict)
    for one in found:
        if one.category is None:
            flat[_table(one)].update((alarm, None) for alarm in one.alarms if alarm.kind == KIND)
    return [_with(one, flat[_table(one)]) if _mixes_questions(one) else one for one in found]


def _table(score: Score) -> _Table:
    """Scores that were made together: a fine-tune's held-out ones of each step are a table each."""
    return score.run, score.step, score.partial


def _mixes_questions(score: Score) -> bool:
    return score.category is not None and score.question is None


def _with(score: Score, alarms: dict[Alarm, None]) -> Score:
    return replace(score, alarms=tuple(dict.fromkeys((*score.alarms, *alarms)))) if alarms else score
