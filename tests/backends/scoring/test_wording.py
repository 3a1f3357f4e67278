"""Hand cases: what an answer names, for FADA's Q1 to Q4 and the proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.scoring.vocabulary import SECTIONS, section, words_of
from backends.scoring.wording import keyword_f1, keyword_recall, keywords, relaxed_accuracy, set_f2, structures


def test_the_synonyms_file_is_whole() -> None:
    """Loading a section refuses a spelling that stands for two terms."""
    for name in SECTIONS:
        assert all(section(name).phrases.values())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Skull, midline falx, thalami and CSP.", {"skull", "midline falx", "thalami", "cavum septum pellucidum"}),
        ("The image shows the cavum septi pellucidi (CSP)", {"cavum septum pellucidum"}),
        ("Calvarium; thalamus", {"skull", "thalami"}),
        ("Stomach bubble, no kidneys, cerebellum not visible", {"stomach"}),
        ("Femur, something odd", {"femur", "something odd"}),
        ("A transverse section through the fetal body at some level", set()),
        ("Visible structures: four-chamber view of the heart", {"four chambers"}),
        ("", set()),
    ],
)
def test_structures(text: str, found: set[str]) -> None:
    assert structures(text) == found


@pytest.mark.parametrize(
    ("said", "true", "value"),
    [
        ("Skull, thalami", "thalamus and cranium", 1),
        ("Skull", "Skull, thalami, CSP", 5 / (4 * 3 + 1)),  # TP 1, FN 2, FP 0: 5 / (5 + 8)
        ("Skull, thalami, CSP, femur, liver", "Skull, thalami", 10 / (4 * 2 + 5)),  # TP 2, FP 3: 10 / (10 + 3)
        ("Femur", "Skull", 0),
        ("", "Skull", 0),
        ("It is.", "It is", 1),  # nothing named on either side: the text decides
        ("Skull", "It is", 0),
    ],
)
def test_set_f2(said: str, true: str, value: float) -> None:
    assert set_f2(said, true) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "said", "true", "value"),
    [
        ("planes", "transthalamic plane.", "Transthalamic plane", 1),
        ("planes", "This is a trans-thalamic view", "Transthalamic plane", 0.5),
        ("planes", "Transthalamic or transcerebellar plane", "Transthalamic plane", 0),  # names a rival
        ("planes", "not transcerebellar, but transthalamic", "Transthalamic plane", 0.5),
        ("planes", "Non_standard NT", "Standard NT", 0),
        ("planes", "Femur", "Transthalamic plane", 0),
        ("orientation", "Cephalic, spine to the left", "Vertex presentation", 0.5),  # more, of another kind
        ("orientation", "Cephalic", "Cephalic, spine left", 0),  # less
        ("orientation", "Breech, spine left", "Cephalic, spine left", 0),
        ("planes", "an oblique cut somewhere low", "Low oblique cut", 0.5),  # no known term: all content words
        ("planes", "oblique", "Low oblique cut", 0),
    ],
)
def test_relaxed_accuracy(name: str, said: str, true: str, value: float) -> None:
    assert relaxed_accuracy(name, said, true) == value


def test_naming_everything_earns_nothing() -> None:
    everything = ", ".join(section("planes").groups)
    assert {relaxed_accuracy("planes", everything, plane) for plane in section("planes").groups} == {0}


@pytest.mark.parametrize(
    ("said", "true", "value"),
    [
        ("BPD, HC", "Biparietal diameter and head circumference", 1),
        ("BPD 52 mm", "bpd 52 mm, hc 190 mm", 2 * 3 / (3 + 5)),  # bpd 52 mm of bpd 52 mm hc 190
        ("The BPD", "BPD", 1),
        ("femur length", "BPD", 0),
    ],
)
def test_keyword_f1(said: str, true: str, value: float) -> None:
    assert keyword_f1(said, true) == pytest.approx(value, abs=1e-9)


def test_keyword_recall_never_punishes_length() -> None:
    assert keyword_recall("a normal four chamber view and much else", "Normal chamber") == 1
    assert keyword_recall("normal", "Normal chamber") == 0.5
    assert keyword_recall("", "Normal chamber") == 0 and keyword_recall("x", "...") == 0


@given(st.text(max_size=60))
def test_saying_the_reference_is_right(text: str) -> None:
    if words_of(text) and keywords(text):
        assert keyword_f1(text, text) == keyword_recall(text, text) == 1
        assert relaxed_accuracy("planes", text, text) in (0, 1)
        assert set_f2(text, text) == 1
