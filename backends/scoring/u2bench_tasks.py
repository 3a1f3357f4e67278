"""The data sets of U2-BENCH's tasks: what each parser reads in their answers, and the statistics of that.

The floors of a data set know which it is, as its prompt tells: ``majority`` is its most frequent answer (of clinical
values their mean), ``shuffled`` its own answers dealt out at random, ``chance`` a guess among the options.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.scoring.answer import Answer
from backends.scoring.bleu import TERMS, bleu_terms, rouge_l
from backends.scoring.groups import Group
from backends.scoring.intervals import Column
from backends.scoring.resampling import Floats, Statistic
from backends.scoring.u2bench_measures import (
    MEASUREMENTS,
    RANGES,
    TOLERANCE,
    accuracy,
    bleu,
    data_set_number,
    macro_f1,
    rmse,
    value_of,
)
from backends.scoring.u2bench_parse import PLACES, clean_label, measured, read_label, read_number, read_place
from backends.scoring.values import said_of

LABELS, SPATIAL, TEXTS = ("DD", "VRA"), ("LL", "OD", "KD"), ("RG", "CG")


@dataclass(frozen=True)
class Question:
    """What the answer key has of a question: its options (as they are written), and whose image it is about."""

    options: tuple[str, ...] = ()
    patient: str | None = None


@dataclass(frozen=True)
class DataSet:
    """One data set of a task: the statistic of the answers and of the floors, and what else stands in its row.

    ``column`` where it is a mean over answers. A data set of CVE has its RMSE.
    """

    group: Group
    own: Statistic
    floors: dict[str, Statistic]
    extra: dict[str, Any]
    column: Column | None = None


@dataclass
class Answers:
    """Answers sorted by id, with their key; ``images`` numbers the patients where known, else the images."""

    answers: Sequence[Answer]
    key: Mapping[str, Question]
    seed: int = 0
    said: list[str] = field(init=False)
    images: NDArray[np.int64] = field(init=False)
    topics: NDArray[np.object_] = field(init=False)
    sets: NDArray[np.object_] = field(init=False)

    def __post_init__(self) -> None:
        self.said = said_of(self.answers)
        self.topics = np.array([one.topic for one in self.answers], dtype=object)
        self.sets = np.array([one.category or "" for one in self.answers], dtype=object)
        clusters = [self._cluster(one) for one in self.answers]
        self.images = np.unique(clusters, return_inverse=True)[1].astype(np.int64)

    def data_sets(self, task: str, parser: str) -> tuple[list[DataSet], list[str]]:
        """Those of a task that can be scored, and the names of the others."""
        found, skipped = [], []
        here = self.topics == task
        for name in sorted(set(self.sets[here])):
            group = Group(task, name, here & (self.sets == name))
            one = self._data_set(group, task, parser)
            if one is None:
                skipped.append(str(name))
            else:
                found.append(one)
        return found, skipped

    def _data_set(self, group: Group, task: str, parser: str) -> DataSet | None:
        if task == "CVE":
            return self._values(group, parser)
        if task in TEXTS:
            return self._written(group)
        return self._labels(group, parser, task in SPATIAL)

    def _cluster(self, answer: Answer) -> str:
        patient = self._of(answer).patient
        return f"{answer.category}\0{patient}" if patient else answer.image_path

    def _of(self, answer: Answer) -> Question:
        return self.key.get(answer.id, Question())

    def _labels(self, group: Group, parser: str, spatial: bool) -> DataSet:
        rows = np.flatnonzero(group.mask).tolist()
        true = [self.answers[row].reference.strip().lower() if spatial else self._label(row, parser) for row in rows]
        labels = tuple(sorted(set(true)))
        said: list[str | None] = []
        for row in rows:
            if not self.said[row]:
                said.append(None)
            elif spatial:
                said.append(read_place(parser, self.said[row]))
            else:
                said.append(read_label(parser, self.said[row], self._of(self.answers[row]).options or labels))
        readable = (
            sum(one in PLACES for one in said)
            if spatial
            else sum(self._is_option(a, b, labels) for a, b in zip(rows, said, strict=True))
        )
        counts, given = Counter(true), Counter(said)
        top = min(counts, key=lambda label: (-counts[label], label))
        choices = [len(PLACES) if spatial else len(self._of(self.answers[row]).options) for row in rows]
        values = {
            "own": [float(a == b) for a, b in zip(said, true, strict=True)],
            "majority": [float(b == top) for b in true],
            "shuffled": [given[b] / len(rows) for b in true],
        }
        if all(choices):
            values["chance"] = [1 / count for count in choices]
        spread = {name: self._spread(rows, column) for name, column in values.items()}
        statistics = {name: accuracy(column, group.mask, self.images) for name, column in spread.items()}
        answered = sum(bool(self.said[row]) for row in rows)
        extra = {
            "f1": macro_f1(said, true),
            "parser_rate": readable / len(rows),
            "unparseable": answered - readable,
        }
        column = Column(spread["own"][group.mask], self.images[group.mask], share=True)
        return DataSet(group, statistics.pop("own"), statistics, extra, column)

    def _label(self, row: int, parser: str) -> str:
        label = clean_label(self.answers[row].reference)
        return read_label("strict", label, ()) or label if parser == "strict" else label

    def _is_option(self, row: int, said: str | None, labels: tuple[str, ...]) -> bool:
        return said is not None and said in (
            {clean_label(one) for one in self._of(self.answers[row]).options} or labels
        )

    def _values(self, group: Group, parser: str) -> DataSet | None:
        """None where the data set has no range, or no reference is a number."""
        number = data_set_number(str(group.category))
        if number not in RANGES:
            return None
        low, high = RANGES[number]
        rows = np.flatnonzero(group.mask).tolist()
        true = self._scaled([measured_text(self.answers[row].reference, number) for row in rows], low, high)
        said = self._scaled([read_number(parser, self.said[row]) for row in rows], low, high)
        known = ~np.isnan(true)
        if not known.any():
            return None
        mask = group.mask.copy()
        mask[np.array(rows)[~known]] = False
        errors = said - true
        read = said[known & ~np.isnan(said)]
        columns = {
            "own": errors,
            "majority": true[known].mean() - true,
            "shuffled": np.sqrt([((read - one) ** 2).mean() if len(read) else np.nan for one in true]),
        }
        statistics = {
            name: rmse(self._spread(rows, column, np.nan), mask, self.images) for name, column in columns.items()
        }
        own = statistics.pop("own")
        good = errors[known & ~np.isnan(errors)]
        worst = np.where(np.isnan(errors[known]), np.maximum(true[known], 1 - true[known]), errors[known])
        answered = sum(bool(self.said[row]) for row, one in zip(rows, known, strict=True) if one)
        extra = {
            "rmse": value_of(own),
            "mae": float(np.abs(good).mean()) if len(good) else None,
            "std": float(good.std()) if len(good) else None,
            "within_tolerance": float((np.abs(good) <= TOLERANCE).mean()) if len(good) else None,
            "counting_all": max(0.0, 1 - float(np.sqrt((worst**2).mean()))),
            "parser_rate": len(good) / int(known.sum()),
            "unparseable": answered - len(good),
            "unreadable_references": int((~known).sum()),
        }
        return DataSet(Group(group.question, group.category, mask), own, statistics, extra)

    @staticmethod
    def _scaled(values: Sequence[float | None], low: float, high: float) -> Floats:
        return np.array([np.nan if value is None else (value - low) / (high - low) for value in values], np.float64)

    def _written(self, group: Group) -> DataSet:
        rows = np.flatnonzero(group.mask).tolist()
        true = [self.answers[row].reference for row in rows]
        said = [self.said[row] for row in rows]
        counts = Counter(true)
        top = min(counts, key=lambda text: (-counts[text], text))
        dealt = np.random.default_rng(self.seed).permutation(len(rows))
        columns = {"own": said, "majority": [top] * len(rows), "shuffled": [said[at] for at in dealt]}
        statistics = {}
        for name, column in columns.items():
            terms = np.zeros((len(self.answers), TERMS))
            terms[rows] = [bleu_terms(a, b) for a, b in zip(column, true, strict=True)]
            statistics[name] = bleu(terms, group.mask, self.images)
        lcs = float(np.mean([rouge_l(a, b) for a, b in zip(said, true, strict=True)]))
        return DataSet(group, statistics.pop("own"), statistics, {"rouge_l": lcs, "unparseable": 0})

    def _spread(self, rows: Sequence[int], values: Sequence[float] | Floats, rest: float = 0.0) -> Floats:
        whole = np.full(len(self.answers), rest, np.float64)
        whole[list(rows)] = values
        return whole


def measured_text(reference: str, number: str) -> float | None:
    """The value of a stored CVE reference: a number, or a measurement as a Python literal."""
    try:
        return measured(ast.literal_eval(reference.strip()), MEASUREMENTS.get(number, ()))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return read_number("strict", reference)
