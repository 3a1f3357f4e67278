"""Hand cases: gestational age, image quality, normal or abnormal."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.scoring import normality as module
from backends.scoring.bins import bin_accuracy, bin_of, quality, weeks
from backends.scoring.normality import balanced_accuracy, confusion, counts, mcc, normality


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("14 to 20 weeks", 17),
        ("20–24 weeks", 22),
        ("between 14 and 20 wks", 17),
        ("22w3d", 22 + 3 / 7),
        ("22+3", 22 + 3 / 7),
        ("22 weeks and 3 days", 22 + 3 / 7),
        ("22+3 to 24+1 weeks", (22 + 3 / 7 + 24 + 1 / 7) / 2),
        ("20w0d - 22w6d", (20 + 22 + 6 / 7) / 2),
        ("BPD 52 mm, so about 22 weeks", 22),
        ("22.5 weeks, not 30 weeks", 22.5),
        ("22", 22),
        ("14-20", 17),
        ("Second trimester", 21),
        ("3rd trimester (32 weeks)", 32),
        ("week 22", 22),
        ("GA 22", 22),
        ("GA: 22w3d", 22 + 3 / 7),
        ("Gestational age (weeks): about 22", 22),
        ("Gestational age is 22", 22),
        ("approximately 22", 22),
        ("weeks 20-24", 22),
        ("22-week fetus", 22),
        ("22 3/7 weeks", 22 + 3 / 7),
        ("22,5 weeks", 22.5),
        ("not 22 weeks but 30 weeks", 30),
        ("within 2 weeks of 22 weeks", 22),
        ("±2 weeks, 24 weeks", 24),
        ("20 weeks and 24 mm", 20),  # no range
        ("2nd-trimester", 21),
        ("Trimester: second", 21),
        ("second or third trimester", 28),
        ("GA 22 mm", None),
        ("image 22", None),
        ("GA 154 days", None),
        ("52 mm", None),
        ("120 weeks", None),
        ("70 weeks", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_weeks(text: str, age: float | None) -> None:
    assert weeks(text) == (None if age is None else pytest.approx(age, abs=1e-9))


def test_ages_fall_into_ordered_bins() -> None:
    assert [bin_of("Q5", text) for text in ("13 weeks", "14 weeks", "20+6", "21 weeks", "28", "36+6", "37")] == [
        *(0, 1, 1, 2, 3, 3, 4)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Poor quality", 0),
        ("non-diagnostic", 0),
        ("acceptable", 1),
        ("Good.", 2),
        ("Very good", 3),
        ("not good, only fair", 1),
        ("good, with poor contrast", 2),  # the first says it
        ("sub-optimal", 0),
        ("less than optimal", 0),
        ("nondiagnostic", 0),
        ("not good", None),
        ("a femur", None),
    ],
)
def test_quality(text: str, found: int | None) -> None:
    assert quality(text) == found


@pytest.mark.parametrize(
    ("topic", "said", "true", "value"),
    [
        ("Q6", "high quality", "Good", 1),
        ("Q6", "excellent", "Good", 0.5),
        ("Q6", "poor", "Good", 0),
        ("Q6", "a femur", "Good", None),
        ("Q6", "a femur", "A femur.", 1),  # a reference without a bin asks for its text
        ("Q5", "22 weeks", "21 to 27 weeks", 1),
        ("Q5", "second trimester", "16 weeks", 0.5),
        ("Q5", "12 weeks", "38 weeks", 0),
    ],
)
def test_bin_accuracy(topic: str, said: str, true: str, value: float | None) -> None:
    assert bin_accuracy(topic, said, true) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Normal.", "normal"),
        ("ABNORMAL", "abnormal"),
        ("No abnormalities detected", "normal"),
        ("no evidence of any abnormality", "normal"),
        ("Abnormality absent", "normal"),
        ("Not normal", "abnormal"),
        ("Unremarkable anatomy", "normal"),
        ("No measurements taken, abnormal", "abnormal"),  # the denial is of something else
        ("Normal, but a septal defect is present", "abnormal"),
        ("Everything within normal limits", "normal"),
        ("normal, but with ventriculomegaly", "abnormal"),
        ("appears normal but mild pyelectasis", "abnormal"),
        ("hydrocephalus", "abnormal"),
        ("no ventriculomegaly", None),  # another disease may be there
        ("Normal, no evidence of ventriculomegaly or hydrocephalus", "normal"),
        ("The ventricles are not dilated, normal", "normal"),
        ("cannot rule out an abnormality", "abnormal"),
        ("An abnormality is not excluded", "abnormal"),
        ("Anomalies were ruled out", "normal"),
        ("Normal; screening for anomalies is recommended", "normal"),
        ("Abnormal findings: none detected", "normal"),
        ("absence of any gross structural abnormality", "normal"),
        ("lack of abnormality", "normal"),
        ("non-normal", "abnormal"),
        ("Normality / Abnormality: normal", "normal"),
        ("A femur", None),
    ],
)
def test_normality(text: str, found: str | None) -> None:
    assert normality(text) == found


def table(tp: int, fn: int, fp: int, tn: int) -> NDArray[np.float64]:
    return np.array([tp, fn, fp, tn], np.float64)


def test_two_by_two_by_hand() -> None:
    """Sensitivity 6/8, specificity 9/12; MCC (6·9 − 3·2) / √(9·8·12·11)."""
    assert balanced_accuracy(table(6, 2, 3, 9)) == pytest.approx(0.75, abs=1e-9)
    assert mcc(table(6, 2, 3, 9)) == pytest.approx(48 / np.sqrt(9 * 8 * 12 * 11), abs=1e-9)
    assert balanced_accuracy(table(0, 0, 3, 9)) == pytest.approx(0.75)
    assert mcc(table(0, 0, 3, 9)) == 0 and mcc(table(4, 0, 0, 4)) == 1 and mcc(table(0, 4, 4, 0)) == -1
    many = np.stack([table(6, 2, 3, 9), table(4, 0, 0, 4)])
    assert balanced_accuracy(many) == pytest.approx([0.75, 1])


def test_counts_and_confusion() -> None:
    true = ["abnormal", "abnormal", "normal", "normal", "normal", "unclear"]
    said = ["abnormal", "who knows", "normal", "abnormal", "", "normal"]
    assert counts(said, true).sum(0).tolist() == [1, 1, 2, 1]
    found = confusion(said, true)
    assert found["confusion"] == {
        "normal": {"normal": 1, "abnormal": 1, "none": 1},
        "abnormal": {"normal": 0, "abnormal": 1, "none": 1},
    }
    assert found["sensitivity"] == 0.5 and found["specificity"] == pytest.approx(1 / 3)
    assert found["unreadable_references"] == 1
    assert confusion(["normal"], ["normal"])["sensitivity"] is None


def test_shuffled_totals_are_the_mean_over_all_permutations() -> None:
    from itertools import permutations

    true = ["abnormal", "abnormal", "normal", "normal"]
    said = ["abnormal", "who knows", "normal", "abnormal"]
    every = [counts(dealt, true).sum(0) for dealt in permutations(said)]
    assert module.shuffled(said, true) == pytest.approx(np.mean(every, axis=0), abs=1e-9)


def test_an_interval_needs_images_of_either_class_right_and_wrong() -> None:
    rows = np.zeros((120, 4))
    for start, column in ((0, 0), (20, 1), (40, 2), (60, 3)):
        rows[start : start + 20, column] = 1
    assert module.enough(rows[:80], np.arange(80))
    assert not module.enough(rows[12:80], np.arange(68)), "28 of one class"
    assert not module.enough(rows[20:80], np.arange(60)), "none of one class right"
