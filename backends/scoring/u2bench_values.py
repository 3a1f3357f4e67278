"""What single answers on U2-BENCH are worth: those of the tasks whose scores are means over answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backends.scoring.answer import Answer
from backends.scoring.bleu import rouge_l
from backends.scoring.u2bench_parse import PARSERS
from backends.scoring.u2bench_tasks import LABELS, SPATIAL, TEXTS, Answers, Question
from backends.scoring.values import said_of


def answer_values(answers: Sequence[Answer], key: Mapping[str, Question]) -> dict[str, dict[str, float]]:
    """``accuracy`` and ``accuracy_lenient`` (1 or 0) of labels and places, ``rouge_l`` of texts, by the answer's id."""
    found: dict[str, dict[str, float]] = {answer.id: {} for answer in answers}
    data = Answers(list(answers), key)
    for parser in PARSERS:
        name = "accuracy" if parser == PARSERS[0] else f"accuracy_{parser}"
        for task in (*LABELS, *SPATIAL):
            for one in data.data_sets(task, parser)[0]:
                if one.column is not None:
                    rows = np.flatnonzero(one.group.mask).tolist()
                    for row, value in zip(rows, one.column.values.tolist(), strict=True):
                        found[answers[row].id][name] = value
    for answer, text in zip(answers, said_of(answers), strict=True):
        if answer.topic in TEXTS:
            found[answer.id]["rouge_l"] = rouge_l(text, answer.reference)
    return found
