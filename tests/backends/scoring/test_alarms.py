from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from backends.scoring.alarms import collapse, coverage, spread
from backends.scoring.answer import Answer


def answers(said: Sequence[str | None], true: list[str], topic: str = "Q5") -> list[Answer]:
    return [
        Answer(str(i), f"A/{i}.png", "A", topic, reference, prediction, None if prediction is not None else "died")
        for i, (prediction, reference) in enumerate(zip(said, true, strict=True))
    ]


def test_spread() -> None:
    found = spread(["A", "a.", "b", "c"])
    assert (found.n, found.distinct, found.top, found.top_share) == (4, 3, "a", 0.5)
    assert found.entropy == pytest.approx(1.5)
    assert spread([]).n == 0 and spread(["x"]).entropy == 0


def test_one_answer_for_every_image_is_a_collapse() -> None:
    (alarm,) = collapse(answers(["20 weeks"] * 60, ["20 weeks", "30 weeks", "40 weeks"] * 20))
    assert alarm["kind"] == "collapse" and alarm["question"] == "Q5"
    assert "100% of 60 answers" in alarm["text"] and "20 weeks" in alarm["text"]
    assert f"references 3, {math.log2(3):.2f} bits" in alarm["text"]


def test_few_answers_that_are_free_text_in_the_references() -> None:
    """Two answers in turns are not one answer, but say next to nothing of 200 different references."""
    assert collapse(answers(["a", "b"] * 100, [f"finding {i}" for i in range(200)]))


@pytest.mark.parametrize(
    ("said", "true"),
    [
        (["yes"] * 60, ["yes"] * 60),  # the references are all alike
        (["yes"] * 60, ["Yes."] * 60),
        (["yes"] * 20, ["yes"] * 18 + ["no"] * 2),  # few, and the references are nearly alike
        (["a", "b", "c"] * 20, ["c", "b", "a"] * 20),  # wrong, but varied
        (["a"] * 45 + ["b"] * 15, ["a"] * 30 + ["b"] * 30),  # leaning
        (["a"] * 5, ["a", "b", "c", "d", "e"]),  # too few to say
        ([None] * 60, ["a", "b", "c"] * 20),  # no answers: coverage, not collapse
    ],
)
def test_no_collapse(said: list[str | None], true: list[str]) -> None:
    assert collapse(answers(said, true)) == []


def test_always_normal_is_a_collapse_even_where_most_are_normal() -> None:
    true = ["normal"] * 184 + ["abnormal"] * 16
    assert collapse(answers(["normal"] * 200, true))
    assert collapse(answers(true, true)) == []


def test_each_question_for_itself() -> None:
    flat = answers(["x"] * 30, ["a", "b", "c"] * 10, "Q5")
    fine = answers(["a", "b", "c"] * 10, ["a", "b", "c"] * 10, "Q6")
    assert [alarm["question"] for alarm in collapse(flat + fine)] == ["Q5"]


def test_coverage() -> None:
    assert coverage(100, failed=5, empty=0) == []
    (alarm,) = coverage(100, failed=4, empty=2)
    assert alarm["kind"] == "coverage" and alarm["question"] is None
    assert "94 of 100 answered (94.0%); 4 failed, 2 empty" in alarm["text"]
    assert coverage(0, failed=0, empty=0) == []
