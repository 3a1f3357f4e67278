"""The answers on which runs part, beside a comparison: a file a pair, one answer a line.

``parted-A-B.jsonl``: ``id``, ``question`` (topic), ``category``, ``side`` (who is right: ``a``, ``b`` or ``neither``),
``reference``, ``a`` and ``b`` (what was said, null for a failure), ``values`` ({metric: [a, b]}). Of each side the
widest apart come first, by the first metric, and no more than :data:`MOST`; texts are cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from backends.scoring.answer import Answer
from backends.scoring.apart import SIDES, parted, widest
from backends.scoring.compare import Contestant
from db.atomic import replace_file

MOST = 5000
"""Lines of one side."""
TEXT = 600
"""Characters of a text."""


def write_parted(
    folder: Path, compared: Mapping[str, Sequence[Contestant]], by_value: bool = False
) -> list[dict[str, Any]]:
    """Write the file of each pair.

    Args:
        compared: The runs by each metric, in the same order.
        by_value: Who is right goes by the metric's values, see :func:`backends.scoring.apart.parted`.

    Returns:
        Of each pair ``a``, ``b``, ``file``, how many there are of each side (``a_right``, ``b_right``, ``neither``),
        and how many lines the file has (``kept``).
    """
    # Sides go by the answers, so by a metric that all of them have; ids that only another has are not among them.
    most = max(compared, key=lambda metric: sum(len(one.values) for one in compared[metric]))
    rows = []
    for first, second in combinations(range(len(compared[most])), 2):
        pair = {metric: (runs[first], runs[second]) for metric, runs in compared.items()}
        rows.append(_write(folder, pair, most, by_value))
    return rows


def _write(
    folder: Path, pair: Mapping[str, tuple[Contestant, Contestant]], most: str, by_value: bool
) -> dict[str, Any]:
    a, b = pair[most]
    order = next(iter(pair))
    differences = {key: value - pair[order][1].values.get(key, value) for key, value in pair[order][0].values.items()}
    sides = parted(a, b, by_value)
    name = f"parted-{a.run}-{b.run}.jsonl"
    lines = [
        _line(side, a.answers[key], b.answers[key], pair)
        for side in SIDES
        for key in widest(sides[side], differences, MOST)
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    replace_file(folder / name, text.encode("utf-8", "surrogatepass"), mode=0o600)
    counts = {"a_right": len(sides["a"]), "b_right": len(sides["b"]), "neither": len(sides["neither"])}
    return {"a": a.run, "b": b.run, "file": name, **counts, "kept": len(lines)}


def _line(side: str, a: Answer, b: Answer, pair: Mapping[str, tuple[Contestant, Contestant]]) -> dict[str, Any]:
    values = {
        metric: [round(first.values[a.id], 6), round(second.values[a.id], 6)]
        for metric, (first, second) in pair.items()
        if a.id in first.values and a.id in second.values
    }
    return {
        "id": a.id,
        "question": a.topic,
        "category": a.category,
        "side": side,
        "reference": a.reference[:TEXT],
        "a": _said(a),
        "b": _said(b),
        "values": values,
    }


def _said(answer: Answer) -> str | None:
    return None if answer.failed or answer.prediction is None else answer.prediction[:TEXT]
