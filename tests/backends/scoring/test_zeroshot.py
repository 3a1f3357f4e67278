from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.zeroshot import score_zero_shot

CLASSES = ("abdomen", "femur", "head", "thorax")


def rows_of(
    model: Callable[[int, str], str | None], counts: dict[str, int], classes: tuple[str, ...] = CLASSES
) -> dict:
    answers = []
    for label, count in counts.items():
        for at in range(count):
            said = model(at, label)
            name = f"{label}/{at}.png"
            answers.append(
                Answer(f"{name}#class", name, label, "class", label, said, None if said is not None else "died")
            )
    rows = score_zero_shot(answers, classes, resamples=500)
    return {(row["metric"], row["category"]): row for row in rows}


def test_by_hand() -> None:
    # Of 4 heads 3 are found, of 2 femora 1; one head is called femur, one femur thorax.
    said = {("head", 3): "femur", ("femur", 1): "thorax"}
    rows = rows_of(lambda at, label: said.get((label, at), label), {"head": 4, "femur": 2})
    assert rows["accuracy", None]["value"] == pytest.approx(4 / 6, abs=1e-12)
    assert rows["accuracy", None]["macro"]["category"]["value"] == pytest.approx((3 / 4 + 1 / 2) / 2, abs=1e-12)
    head, femur, thorax = 6 / 7, 2 / 4, 0.0
    assert rows["macro_f1", None]["value"] == pytest.approx((head + femur + thorax) / 3, abs=1e-12)
    assert rows["macro_f1", None]["f1"] == {"femur": femur, "head": pytest.approx(head)}
    assert rows["accuracy", "head"]["n"] == 4
    assert rows["accuracy", None]["floors"] == {
        "majority": pytest.approx(4 / 6),
        "shuffled": pytest.approx((4 * 3 / 6 + 2 * 2 / 6) / 6),
        "chance": 0.25,
    }


def test_an_oracle_a_constant_and_a_failing_model() -> None:
    counts = dict.fromkeys(CLASSES, 40)
    oracle = rows_of(lambda at, label: label, counts)
    assert (oracle["accuracy", None]["value"], oracle["macro_f1", None]["value"]) == (1, 1)
    assert not oracle["accuracy", None]["alarms"]
    constant = rows_of(lambda at, label: "head", counts)
    assert constant["accuracy", None]["gain"] == 0
    assert (
        constant["macro_f1", None]["value"]
        == pytest.approx(0.4 / 4)
        == constant["macro_f1", None]["floors"]["shuffled"]
    )
    assert [alarm["kind"] for alarm in constant["accuracy", None]["alarms"]] == ["collapse"]
    failing = rows_of(lambda at, label: label if at % 2 else None, counts)
    assert failing["accuracy", None]["value"] == 0.5
    assert failing["accuracy", None]["failed"] == 80
    assert score_zero_shot([], CLASSES) == []


def test_half_right_has_intervals() -> None:
    rng = np.random.default_rng(0)
    rows = rows_of(
        lambda at, label: label if rng.random() < 0.5 else str(rng.choice(CLASSES)), dict.fromkeys(CLASSES, 60)
    )
    for metric in ("accuracy", "macro_f1"):
        row = rows[metric, None]
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert row["ci_low"] > row["floors"]["chance"]
