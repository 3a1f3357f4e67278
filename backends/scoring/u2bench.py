"""The scores of a run on U2-BENCH (arXiv 2505.17779): its eight tasks by both parsers, and the U2-Score of all eight.

What is as there: metrics, parsers, scaling, BLEU of each data set's corpus, means over data sets, weights, unreadable
clinical values dropped from the RMSE. What is stricter: what failed or is empty counts as wrong instead of being
dropped from an accuracy; of several options in one reply none is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends.scoring import alarms
from backends.scoring.answer import Answer
from backends.scoring.groups import Group
from backends.scoring.intervals import FEW_IMAGES, count_images
from backends.scoring.published import beside, references
from backends.scoring.resampling import Statistic
from backends.scoring.rows import RESAMPLES, Row, fields_of, finished, set_floors
from backends.scoring.u2bench_measures import (
    DATA_SETS,
    WEIGHTS,
    joined,
    mean_over,
    one_minus_mean,
    value_of,
    weighted,
)
from backends.scoring.u2bench_parse import PARSERS
from backends.scoring.u2bench_tasks import LABELS, SPATIAL, TEXTS, Answers, DataSet, Question

VERSION = 1
"""Changes whenever the same answers would score differently."""
COLUMNS = {task: f"{task.lower()}_acc" for task in (*LABELS, *SPATIAL)} | {
    "CVE": "cve_rmse",
    "RG": "rg_bleu4_pct",
    "CG": "cg_bleu4_pct",
}
"""Of the published table, by task."""
RANDOM = "Random Guessing"
_UNIT = {"CVE": lambda rmse: 1 - rmse, "RG": lambda percent: percent / 100, "CG": lambda percent: percent / 100}
"""From a column to our value."""


@dataclass
class _Task:
    """``own`` and ``floors`` are means over the data sets."""

    name: str
    metric: str
    own: Statistic
    floors: dict[str, Statistic]
    row: Row


def score_u2bench(
    answers: Sequence[Answer],
    key: Mapping[str, Question],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    partial: bool = False,
) -> list[dict[str, Any]]:
    """Score answers whose topic is the task and whose category the data set.

    Args:
        key: By the answers' ids; one without an entry has no options.

    Returns:
        Rows as :func:`backends.scoring.score.score_answers` gives them. Metrics ``u2_score`` (only where all eight
        tasks are there), ``accuracy`` (DD, VRA, LL, OD, KD), ``one_minus_rmse`` (CVE), ``bleu4`` (RG, CG); those read
        leniently end in ``_lenient``. ``parser`` names which. A task's rows have the task as question; those of a data
        set also have it as category. Floors: ``majority`` (the most frequent answer of each data set, whose prompt
        tells which it is; of CVE the mean value), ``shuffled`` (within the data set) and, where options are known,
        ``chance``. References: ``published_random`` and ``published_best``. A task's row further has ``f1`` and
        ``parser_rate``, or ``rmse``, ``mae``, ``std``, ``within_tolerance`` (of 0.1 of the range), ``counting_all``
        (what it is with each unreadable value as far off as can be) and ``skipped`` data sets, or ``rouge_l``.
    """
    answers = sorted((answer for answer in answers if answer.topic in WEIGHTS), key=lambda answer: answer.id)
    if not answers:
        return []
    scorer = _Scorer(Answers(answers, key, seed))
    rows: list[Row] = []
    groups: dict[tuple[str | None, str | None], Group] = {}
    for parser in PARSERS:
        found = scorer.rows(parser)
        rows += found
        groups |= {row.group.key: row.group for row in found}
    shared = {"scorer": VERSION, "partial": partial}
    images, each = scorer.data.images, list(groups.values())
    done = finished(rows, answers, images, each, shared, resamples=resamples, seed=seed, flat=())
    flat = scorer.flat()
    for row in done:
        own = [alarm for of, alarm in flat if row["question"] in (None, of[0]) and row["category"] in (None, of[1])]
        row["alarms"] = [*row["alarms"], *own, *_unread(row), *scorer.incomplete(row)]
    return done


class _Scorer:
    def __init__(self, data: Answers) -> None:
        self.data = data
        self.counted = {task: len(set(data.sets[data.topics == task])) for task in WEIGHTS}

    def rows(self, parser: str) -> list[Row]:
        """The total (if there is one), the tasks, the data sets."""
        tasks, parts = [], []
        for name in WEIGHTS:
            if name in TEXTS and parser != PARSERS[0]:
                continue  # texts are not parsed
            sets, skipped = self.data.data_sets(name, parser)
            if sets:
                tasks.append(self._task(name, parser, sets, skipped))
                parts += [self._set_row(one, name, parser) for one in sets] if len(sets) > 1 else []
        both = tasks if parser == PARSERS[0] else [*tasks, *self._texts()]
        return [*self._total(parser, both), *(task.row for task in tasks), *parts]

    def flat(self) -> list[tuple[tuple[str, str], dict[str, Any]]]:
        """Collapse alarms, each with its task and data set. A data set's prompt tells which it is: an answer for each
        of them is one answer for all of its images.
        """
        together: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        for answer in self.data.answers:
            together[answer.topic, answer.category or ""].append(answer)
        found = []
        for (task, name), here in sorted(together.items()):
            of = f"{task} {name}" if self.counted[task] > 1 else task
            for alarm in alarms.collapse([replace(answer, topic=of) for answer in here]):
                found.append(((task, name), {**alarm, "question": task}))
        return found

    def incomplete(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The alarm of a total over fewer data sets than the published one is over."""
        if row["question"] is not None:
            return []
        few = [
            f"{task} {self.counted[task]} of {full}" for task, full in DATA_SETS.items() if self.counted[task] < full
        ]
        text = f"not all data sets are there ({', '.join(few)}): not comparable with published scores"
        return [{"kind": "composition", "question": None, "text": text}] if few else []

    def _texts(self) -> list[_Task]:
        return [
            self._task(name, PARSERS[0], sets, [])
            for name in TEXTS
            if (sets := self.data.data_sets(name, PARSERS[0])[0])
        ]

    # -------------------------------------------------------------- tasks
    def _total(self, parser: str, tasks: Sequence[_Task]) -> list[Row]:
        names = [task.name for task in tasks]
        if set(names) != set(WEIGHTS):
            return []
        own = joined([task.own for task in tasks], lambda parts: weighted(names, parts))
        row = Row(Group(None, None, np.ones(len(self.data.answers), dtype=np.bool_)), None, {})
        row.fields = fields_of(_named("u2_score", parser), row.group, value_of(own)) | {"parser": parser}
        row.wanted = own if all(task.row.wanted is not None for task in tasks) else None
        values = {
            floor: float(weighted(names, [np.array(value_of(task.floors[floor])) for task in tasks]))
            for floor in ("majority", "shuffled")
        }
        set_floors(row, values)
        row.fields["references"] = references("u2bench", "u2_score_published", RANDOM)
        row.fields["unparseable"] = sum(task.row.fields["unparseable"] for task in tasks)
        return [row]

    def _task(self, name: str, parser: str, sets: Sequence[DataSet], skipped: Sequence[str]) -> _Task:
        combine = one_minus_mean if name == "CVE" else mean_over
        own = joined([one.own for one in sets], combine)
        names = [floor for floor in sets[0].floors if all(floor in one.floors for one in sets)]
        floors = {floor: joined([one.floors[floor] for one in sets], combine) for floor in names}
        mask = np.any([one.group.mask for one in sets], axis=0)
        row = Row(Group(name, None, mask), None, {})
        row.fields = self._fields(name, parser, row.group, value_of(own)) | _mean_extras(sets)
        if len(sets) == 1 and sets[0].column is not None:
            row.wanted = sets[0].column
        elif all(count_images(self.data.images[one.group.mask]) >= FEW_IMAGES for one in sets):
            row.wanted = own
        set_floors(row, {floor: value_of(one) for floor, one in floors.items()})
        found = references("u2bench", COLUMNS[name], RANDOM, _UNIT.get(name))
        row.fields |= {"references": found, "data_sets": len(sets)} | ({"skipped": list(skipped)} if skipped else {})
        return _Task(name, row.fields["metric"], own, floors, row)

    def _set_row(self, one: DataSet, name: str, parser: str) -> Row:
        combine = one_minus_mean if name == "CVE" else mean_over
        row = Row(
            one.group,
            one.column,
            self._fields(name, parser, one.group, value_of(joined([one.own], combine))) | one.extra,
        )
        if one.column is None and count_images(self.data.images[one.group.mask]) >= FEW_IMAGES:
            row.wanted = joined([one.own], combine)
        set_floors(row, {floor: value_of(joined([statistic], combine)) for floor, statistic in one.floors.items()})
        row.fields["references"] = {}
        return row

    def _fields(self, name: str, parser: str, group: Group, value: float) -> dict[str, Any]:
        if name in TEXTS:
            return fields_of("bleu4", group, value) | {"parser": None, "unparseable": 0}
        metric = _named("one_minus_rmse" if name == "CVE" else "accuracy", parser)
        return fields_of(metric, group, value) | {"parser": parser}


def leaderboard(rows: Sequence[Mapping[str, Any]], model: str) -> list[dict[str, Any]]:
    """The published table with this run's row, read strictly as there; the same columns, best U2-Score first.

    The run's ``u2_score_published`` is None, its ``u2_score_recomputed`` None where tasks are missing.
    """
    own: dict[str, Any] = {"model": model, "category": "own"}
    for row in rows:
        if row["category"] is not None or row["parser"] == "lenient":
            continue
        task = str(row["question"] or "").lower()
        if row["metric"] == "u2_score":
            own["u2_score_recomputed"] = row["value"]
        elif row["metric"] == "accuracy":
            own[f"{task}_acc"] = row["value"]
            if row["question"] in LABELS:
                own[f"{task}_f1"] = row["f1"]
        elif row["metric"] == "one_minus_rmse":
            within = row["within_tolerance"]
            own |= {"cve_rmse": row["rmse"], "cve_mae": row["mae"]}
            own["cve_pct_within_tol"] = None if within is None else 100 * within
        elif row["metric"] == "bleu4":
            own |= {f"{task}_bleu4_pct": 100 * row["value"], f"{task}_rouge_pct": 100 * row["rouge_l"]}
    return beside("u2bench", own, by="u2_score_recomputed")


def _named(metric: str, parser: str) -> str:
    return metric if parser == PARSERS[0] else f"{metric}_{parser}"


def _mean_extras(sets: Sequence[DataSet]) -> dict[str, Any]:
    """Counts add up; the rest is the mean over the data sets that have it."""
    found: dict[str, Any] = {}
    for name in sets[0].extra:
        values = [one.extra[name] for one in sets if one.extra[name] is not None]
        if name in ("unparseable", "unreadable_references"):
            found[name] = sum(values)
        else:
            found[name] = float(np.mean(values)) if values else None
    return found


def _unread(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An alarm where clinical values are dropped: what is left is not what was asked."""
    rate = row.get("parser_rate")
    if "rmse" not in row or rate is None or rate >= 0.95:
        return []
    text = f"only {rate:.0%} of the values could be read; the rest is not in the RMSE"
    return [{"kind": "coverage", "question": row["question"], "text": text}]
