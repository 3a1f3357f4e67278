from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.choice import LETTERS, chosen
from backends.scoring.gauge import Question, leaderboard, score_gauge

PLANES = ("Transventricular", "Transthalamic plane", "Trans-cerebellum", "Abdomen")
Rows = dict[tuple[str, str | None, str | None], dict[str, Any]]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("B", 1),
        (" (b). ", 1),
        ("**C**", 2),
        ("E", None),
        ("B. Transthalamic plane", 1),
        ("B) It shows the thalami, unlike C", 1),
        ("abdomen.", 3),
        ("The answer is C", 2),
        ("Answer: (D)", 3),
        ("I would pick option B because of the thalami", 1),
        ("This is the transthalamic plane of the head", 1),
        ("Transventricular or Abdomen", None),
        ("A fetal head is seen", None),
        ("A transthalamic plane", 1),
        ("I am sure of (C)", 2),
        ("either (C) or (D)", None),
        ("The answer is A or the answer is B", None),
        ("", None),
        ("I cannot tell", None),
    ],
)
def test_letter_or_text(reply: str, expected: int | None) -> None:
    assert chosen(reply, PLANES) == expected


def test_an_option_inside_another_is_not_named() -> None:
    assert chosen("clearly not normal", ("normal", "not normal")) == 1
    assert chosen("Answer: 2", ("1", "2")) == 1


def benchmark(each: int = 60) -> tuple[list[Answer], dict[str, Question]]:
    rng = np.random.default_rng(0)
    answers, key = [], {}
    for task, texts in (
        ("PI", PLANES),
        ("VC", ("Standard", "Non-standard")),
        ("VG", ("head", "femur", "spine", "heart")),
    ):
        for at in range(each):
            options = tuple(map(str, rng.permutation(texts)))
            right = int(rng.integers(len(options)))
            name = f"img/{at:03}.png"
            answers.append(Answer(f"{name}#{task}", name, "img", task, options[right], None))
            size = float(at) if task == "VG" else None
            key[answers[-1].id] = Question(options, right, "north" if at % 2 else "south", size)
    return answers, key


def asked(model: Callable[[Question], str | None], each: int = 60) -> Rows:
    answers, key = benchmark(each)
    told = []
    for one in answers:
        said = model(key[one.id])
        told.append(Answer(*(vars(one) | {"prediction": said, "error": "died" if said is None else None}).values()))
    rows = score_gauge(told, key, resamples=500)
    return {(row["metric"], row["question"], row["category"]): row for row in rows}


def test_an_oracle_and_a_wrong_one() -> None:
    rows = asked(lambda question: f"{LETTERS[question.answer]}.")
    for metric in ("accuracy", "chance_corrected"):
        assert rows[metric, None, None]["value"] == pytest.approx(1)
    assert not rows["accuracy", None, None]["alarms"]
    assert rows["accuracy", "PI", None]["floors"]["chance"] == 0.25
    assert rows["accuracy", "VC", None]["floors"]["chance"] == 0.5
    assert rows["accuracy", None, None]["floors"]["chance"] == pytest.approx(1 / 3)
    assert rows["accuracy", "PI", None]["references"] == {"published_random": 0.26, "published_best": 0.66}
    rows = asked(lambda question: question.options[(question.answer + 1) % len(question.options)])
    assert rows["accuracy", None, None]["value"] == 0
    assert rows["chance_corrected", None, None]["value"] == pytest.approx(-0.5)
    assert rows["chance_corrected", "VC", None]["value"] == pytest.approx(-1)


def test_correction_by_hand_with_its_interval() -> None:
    rng = np.random.default_rng(1)
    rows = asked(lambda q: q.options[q.answer] if rng.random() < 0.6 else LETTERS[int(rng.integers(len(q.options)))])
    plain, corrected = (rows[metric, "PI", None] for metric in ("accuracy", "chance_corrected"))
    for key in ("value", "ci_low", "ci_high"):
        assert corrected[key] == pytest.approx((plain[key] - 0.25) / 0.75, abs=1e-9)
    assert corrected["floors"]["chance"] == 0
    assert corrected["gain"] == pytest.approx(corrected["value"] - max(corrected["floors"].values()))
    macro = rows["accuracy", None, None]["macro"]["question"]["value"]
    assert macro == pytest.approx(np.mean([rows["accuracy", task, None]["value"] for task in ("PI", "VC", "VG")]))


def test_slices() -> None:
    rows = asked(lambda question: question.options[question.answer] if question.source == "north" else "?")
    assert rows["accuracy", None, "source north"]["value"] == 1
    assert rows["accuracy", None, "source south"]["value"] == 0
    assert [rows["accuracy", None, f"box {size}"]["n"] for size in ("small", "medium", "large")] == [20, 20, 20]
    assert rows["accuracy", None, "source south"]["unparseable"] == 90
    assert ("accuracy", None, "img") not in rows


@pytest.mark.parametrize("model", [lambda question: "B", lambda question: "It is Abdomen, Standard, head"])
def test_a_constant_model_is_alarming(model: Callable[[Question], str]) -> None:
    rows = asked(model)
    assert {alarm["question"] for alarm in rows["accuracy", None, None]["alarms"]} == {"PI", "VC", "VG"}
    assert abs(rows["chance_corrected", None, None]["value"]) < 0.15
    assert rows["accuracy", None, None]["gain"] < 0.05


def test_one_text_for_every_image_is_alarming_though_its_letters_vary() -> None:
    rows = asked(lambda question: LETTERS[question.options.index("Abdomen")] if "Abdomen" in question.options else "A")
    assert "PI" in {alarm["question"] for alarm in rows["accuracy", None, None]["alarms"]}


def test_failures_count_as_wrong() -> None:
    rows = asked(lambda question: LETTERS[question.answer] if question.source == "north" else None)
    overall = rows["accuracy", None, None]
    assert (overall["value"], overall["n"], overall["answered"], overall["failed"]) == (0.5, 180, 90, 90)
    assert "coverage" in {alarm["kind"] for alarm in overall["alarms"]}
    assert score_gauge([], {}) == []


def test_the_published_table_has_our_row() -> None:
    table = leaderboard(list(asked(lambda question: LETTERS[question.answer]).values()), "mine")
    assert [row["model"] for row in table[:2]] == ["mine", "Llama-3.2-11B-Vision"]
    assert table[0]["pi_acc"] == 1 and table[0]["cd_acc"] is None
    assert all(row["verification"].startswith("unverified") for row in table if row["setting"] != "own")
