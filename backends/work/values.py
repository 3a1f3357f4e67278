"""values.jsonl in a run's directory: what each answer is worth by each metric, one line an answer.

``{"id", metric: value, …}``; the run's main metric comes first. It is written whole when scoring is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.scoring.answer import Answer
from backends.scoring.embedding import Embedder
from backends.scoring.topics import TOPIC_METRICS
from backends.scoring.values import per_answer
from db.atomic import replace_file

VALUES = "values.jsonl"
Values = Mapping[str, Mapping[str, float]]
"""By the answer's id, then by metric."""


def values_of(answers: Sequence[Answer], kind: str, embedder: Embedder | None) -> Values:
    """The values of a ``gt`` or ``proxy`` run: those its scores are means of."""
    if kind == "proxy":
        metrics = ["keyword"]
    else:
        of_topics = sorted({metric.name for metric in TOPIC_METRICS.values()})
        metrics = [*(["cosine"] if embedder is not None else []), "exact", *of_topics]
    found: dict[str, dict[str, float]] = {answer.id: {} for answer in answers}
    for metric in metrics:
        for identity, value in per_answer(metric, answers, embedder).items():
            found[identity][metric] = value
    return found


def write_values(folder: Path, values: Values) -> None:
    """Replace the run's file in one step; with no values at all there is none."""
    path = folder / VALUES
    lines = [
        json.dumps({"id": identity} | {name: round(float(one), 6) for name, one in each.items()}, ensure_ascii=False)
        for identity, each in values.items()
        if each
    ]
    if lines:
        replace_file(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"), mode=0o600)
    else:
        path.unlink(missing_ok=True)


def read_values(folder: Path) -> dict[str, dict[str, float]]:
    """What :func:`write_values` has left, by id; nothing where it left nothing. Lines that are none are passed over."""
    found: dict[str, dict[str, float]] = {}
    try:
        lines = (folder / VALUES).read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            row = json.loads(line)
            identity = str(row.pop("id"))
            found[identity] = {str(name): float(value) for name, value in row.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found
