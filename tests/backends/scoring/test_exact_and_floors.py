from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.scoring.answer import Answer
from backends.scoring.exact import exact_match, normalise
from backends.scoring.floors import category_majority, majority


@pytest.mark.parametrize(
    ("prediction", "reference", "same"),
    [
        ("Femur plane", "femur  PLANE.", True),
        (" Femur\nplane . ", "Femur plane", True),
        ("Cafe\u0301", "CAFÉ", True),
        ("Straße", "STRASSE", True),
        ("Femur plane", "Abdominal plane", False),
        ("Femur plane, good", "Femur plane", False),
        ("3.5 cm", "35 cm", False),
        ("", "", False),
        (".", "...", False),
        (None, "", False),
    ],
)
def test_exact_match(prediction: str | None, reference: str, same: bool) -> None:
    assert exact_match(prediction, reference) is same


@given(st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def _answers(*rows: tuple[str, str, str]) -> list[Answer]:
    return [
        Answer(str(number), f"{category}/{number}.png", category, topic, reference, None)
        for number, (topic, category, reference) in enumerate(rows)
    ]


ROWS: Sequence[tuple[str, str, str]] = [
    ("Q3", "A", "plane a"),
    ("Q3", "A", "Plane A."),
    ("Q3", "A", "plane a"),
    ("Q3", "B", "plane b"),
    ("Q3", "B", "plane b"),
    ("Q6", "A", "good"),
    ("Q6", "B", "poor"),
]


def test_majority_is_per_question_and_category_majority_knows_the_folder() -> None:
    answers = _answers(*ROWS)
    assert majority(answers) == ["plane a"] * 5 + ["good"] * 2
    assert category_majority(answers) == ["plane a"] * 3 + ["plane b"] * 2 + ["good", "poor"]


def test_ties_do_not_depend_on_the_order() -> None:
    answers = _answers(*ROWS)
    forward = dict(zip([a.id for a in answers], majority(answers), strict=True))
    backward = dict(zip([a.id for a in answers[::-1]], majority(answers[::-1]), strict=True))
    assert forward == backward
