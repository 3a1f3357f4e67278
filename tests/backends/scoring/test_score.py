from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from backends.scoring.answer import Answer
from backends.scoring.score import score_answers


def make(images: int = 60) -> list[Answer]:
    """Two questions an image, two categories; the plane is always right, the age always the same answer."""
    answers = []
    for i in range(images):
        category = "AB"[i % 2]
        name = f"{category}/{i}.png"
        ages = ("14 weeks", "20 weeks", "30 weeks")
        answers.append(Answer(f"{name}#Q3", name, category, "Q3", f"plane {category}", f"Plane {category}."))
        answers.append(Answer(f"{name}#Q5", name, category, "Q5", ages[i % 3], ages[0]))
    return answers


def row(rows: list[dict[str, Any]], question: str | None = None, category: str | None = None) -> dict[str, Any]:
    (found,) = [r for r in rows if (r["question"], r["category"], r["metric"]) == (question, category, "exact")]
    return found


def test_rows_and_values() -> None:
    rows = score_answers(make())
    assert [(r["metric"], r["question"]) for r in rows[5:]] == [("relaxed_accuracy", "Q3"), ("bin_accuracy", "Q5")]
    assert [(r["question"], r["category"]) for r in rows[:5]] == [
        (None, None),
        ("Q3", None),
        ("Q5", None),
        (None, "A"),
        (None, "B"),
    ]
    overall = row(rows)
    assert overall["value"] == pytest.approx((1 + 1 / 3) / 2)
    assert (overall["n"], overall["answered"], overall["failed"], overall["images"]) == (120, 120, 0, 60)
    shuffled = pytest.approx((1 / 2 + 1 / 3) / 2)
    assert overall["floors"] == {"majority": pytest.approx((1 / 2 + 1 / 3) / 2), "shuffled": shuffled}
    assert overall["gain"] == pytest.approx((1 + 1 / 3) / 2 - (1 / 2 + 1 / 3) / 2)
    assert overall["references"] == {"category_majority": pytest.approx((1 + 1 / 3) / 2)}
    assert overall["ci_low"] < overall["value"] < overall["ci_high"]
    assert row(rows, "Q3")["value"] == 1 and row(rows, "Q3")["interval"] == "wilson"
    assert row(rows, "Q3")["floors"]["majority"] == 0.5
    # The majority answer of a question is the same for all categories.
    assert row(rows, None, "A")["floors"]["majority"] == pytest.approx((1 + 1 / 3) / 2)
    assert row(rows, None, "B")["floors"]["majority"] == pytest.approx((0 + 1 / 3) / 2)
    json.dumps(rows, allow_nan=False)


def test_a_flat_question_raises_its_alarm_overall_and_there_and_nowhere_else() -> None:
    rows = score_answers(make())
    assert [a["kind"] for a in row(rows)["alarms"]] == ["collapse"]
    assert [a["question"] for a in row(rows, "Q5")["alarms"]] == ["Q5"]
    assert row(rows, "Q3")["alarms"] == [] and row(rows, None, "A")["alarms"] == []


def test_failures_and_empty_answers_count_as_wrong() -> None:
    answers = make(30)
    whole = row(score_answers(answers), "Q3")["value"]
    for i in range(0, 12, 2):
        good = answers[i]
        broken = {"prediction": None, "error": "out of memory"} if i % 4 else {"prediction": " ", "error": None}
        answers[i] = Answer(good.id, good.image_path, good.category, good.topic, good.reference, **broken)
    found = row(score_answers(answers), "Q3")
    assert whole == 1 and found["value"] == pytest.approx(24 / 30)
    assert (found["n"], found["answered"], found["failed"], found["empty"]) == (30, 27, 3, 3)
    assert "coverage" in {a["kind"] for a in found["alarms"]}


def test_an_error_beside_an_answer_is_a_failure() -> None:
    answers = [Answer(f"A/{i}#Q3", f"A/{i}", "A", "Q3", "x", "x", "cut off") for i in range(5)]
    assert row(score_answers(answers))["value"] == 0 and row(score_answers(answers))["failed"] == 5


def test_nothing_asked_and_no_category() -> None:
    assert score_answers([]) == []
    answers = [Answer(f"{i}.png#x", f"{i}.png", None, "x", "a", "a") for i in range(3)]
    rows = score_answers(answers)
    assert [(r["question"], r["category"]) for r in rows] == [(None, None), ("x", None)]
    assert row(rows)["ci_low"] is None and row(rows)["ci_high"] is None and row(rows)["n"] == 3


def test_partial_scores_agree_but_for_the_interval() -> None:
    quick, slow = score_answers(make(), resamples=0, partial=True), score_answers(make())
    assert row(quick)["partial"] and not row(slow)["partial"]
    assert row(quick)["interval"] == "wilson" and row(slow)["interval"] == "bca"
    for key in ("value", "n", "floors", "references", "alarms"):
        assert row(quick)[key] == row(slow)[key]


def test_the_order_of_answers_does_not_matter() -> None:
    forward, backward = score_answers(make(), resamples=500), score_answers(make()[::-1], resamples=500)
    assert forward == backward


def test_scoring_exact_needs_no_torch() -> None:
    code = "import sys, backends.scoring.score; print('torch' in sys.modules, 'sentence_transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
