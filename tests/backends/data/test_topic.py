from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.data.topic import TOPICS, topic_of


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Anatomical Structures Identification: List all.", "Q1"),
        ("Q1: Anatomical Structures (Identification): List", "Q1"),
        ("Fetal Orientation: Where is the head?", "Q2"),
        ("Imaging Plane: Which?", "Q3"),
        ("Imaging Plane Identification: Which?", "Q3"),
        ("q3 - plane evaluation: Is it standard?", "Q3"),
        ("Biometric Measurements: Which?", "Q4"),
        ("  Gestational   Age Estimation : How old?", "Q5"),
        ("Image Quality Assessment: Rate", "Q6"),
        ("Normality / Abnormality: Is it?", "Q7"),
        ("Normality/Abnormality: Is it?", "Q7"),
        ("Q7: Is anything abnormal?", "Q7"),
        ("Q8. Clinical Recommendations", "Q8"),
        ("Q5", "Q5"),
        # The name wins over a label that says otherwise.
        ("Q1: Imaging Plane: Which?", "Q3"),
        ("Q9: Something: else", "Q9"),
        ("Q12: twelve", "Q12"),
        ("View conformity: is it standard?", "View conformity"),
        ("Which plane is it?", "Which plane is it?"),
        (": odd", ": odd"),
    ],
)
def test_topic(question: str, topic: str) -> None:
    assert topic_of(question) == topic


def test_every_name_is_its_own_label() -> None:
    assert {topic_of(f"{name}: x"): name for name in TOPICS.values()} == TOPICS


@given(st.text(max_size=40))
def test_any_text_has_a_topic_without_margins(text: str) -> None:
    assert topic_of(text) == topic_of(text).strip()
    assert bool(topic_of(text)) == bool(text.strip())
