"""Models whose worth is known, through the whole scorer: each must come out as what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.score import score_answers

IMAGES = 120
VOCABULARY = {
    "Q1": ("Skull, thalami, CSP", "Femur, placenta", "Stomach, spine, umbilical vein, liver", "Heart, lungs, ribs"),
    "Q2": ("Cephalic, spine left", "Breech, spine right", "Transverse lie"),
    "Q3": ("Transthalamic plane", "Femur plane", "Abdominal plane", "Four chamber view"),
    "Q4": ("BPD and HC", "Femur length", "Abdominal circumference", "None measurable"),
    "Q5": ("14 to 20 weeks", "21 to 27 weeks", "29 to 36 weeks"),
    "Q6": ("Poor", "Fair", "Good", "Excellent"),
    "Q7": ("Normal", "Normal", "Abnormal"),
    "Q8": ("Routine follow-up", "Repeat in two weeks", "Refer to a specialist"),
}
OF_QUESTION = {
    "Q1": "set_f2",
    "Q2": "relaxed_accuracy",
    "Q3": "relaxed_accuracy",
    "Q4": "keyword_f1",
    "Q5": "bin_accuracy",
    "Q6": "bin_accuracy",
    "Q7": "balanced_accuracy",
}
Rows = dict[tuple[str, str | None], dict[str, Any]]


def references() -> list[Answer]:
    rng = np.random.default_rng(0)
    answers = []
    for image in range(IMAGES):
        name = f"{'ABC'[image % 3]}/{image:03}.png"
        for topic, texts in VOCABULARY.items():
            text = str(rng.choice(texts))
            answers.append(Answer(f"{name}#{topic}", name, name[0], topic, text, None))
    return answers


def asked(model: Callable[[int, Answer], str | None], **given: Any) -> Rows:
    """The rows of a model that is told the reference; by metric and question, categories left out."""
    answers = [
        Answer(
            one.id, one.image_path, one.category, one.topic, one.reference, said, None if said is not None else "died"
        )
        for at, one in enumerate(references())
        for said in [model(at, one)]
    ]
    rows = score_answers(answers, **{"resamples": 2_000, **given})
    return {(row["metric"], row["question"]): row for row in rows if row["category"] is None}


def kinds(row: dict[str, Any]) -> list[str]:
    return [alarm["kind"] for alarm in row["alarms"]]


def test_an_oracle_is_perfect_everywhere() -> None:
    rows = asked(lambda at, one: one.reference)
    assert {row["value"] for row in rows.values()} == {1.0}
    assert all(row["ci_high"] == 1 and row["ci_low"] > 0.9 for key, row in rows.items() if row["ci_low"] is not None)
    assert all(row["gain"] > 0.2 and row["alarms"] == [] for row in rows.values())
    assert rows["exact", None]["macro"]["question"]["value"] == 1
    assert rows["balanced_accuracy", "Q7"]["mcc"] == 1 and rows["mcc", "Q7"]["value"] == 1
    assert {(metric, topic) for metric, topic in rows if topic and metric != "exact"} == {
        *((metric, topic) for topic, metric in OF_QUESTION.items()),
        ("mcc", "Q7"),
    }


def test_the_most_frequent_answer_gains_nothing_and_raises_the_alarm_everywhere() -> None:
    counts: dict[str, dict[str, int]] = {}
    for one in references():
        counts.setdefault(one.topic, {}).setdefault(one.reference, 0)
        counts[one.topic][one.reference] += 1
    top = {topic: max(sorted(texts), key=lambda text: texts[text]) for topic, texts in counts.items()}
    rows = asked(lambda at, one: top[one.topic])
    for (metric, topic), row in rows.items():
        assert row["value"] == pytest.approx(row["floors"]["majority"], abs=1e-12), (metric, topic)
        assert row["value"] == pytest.approx(row["floors"]["shuffled"], abs=1e-12), "one answer has nothing to shuffle"
        assert row["gain"] == pytest.approx(0, abs=1e-12)
        assert set(kinds(row)) == {"collapse"}
    assert len(rows["exact", None]["alarms"]) == 8
    assert rows["balanced_accuracy", "Q7"]["value"] == 0.5 and rows["mcc", "Q7"]["value"] == 0
    assert rows["balanced_accuracy", "Q7"]["specificity"] == 1 and rows["balanced_accuracy", "Q7"]["sensitivity"] == 0


def test_answers_of_other_images_score_the_shuffled_floor() -> None:
    by_topic: dict[str, list[str]] = {}
    for one in references():
        by_topic.setdefault(one.topic, []).append(one.reference)
    rng = np.random.default_rng(1)
    dealt = {topic: list(rng.permutation(texts)) for topic, texts in by_topic.items()}
    rows = asked(lambda at, one: str(dealt[one.topic][at // 8]))
    for (metric, topic), row in rows.items():
        apart = 0.25 if metric == "mcc" else 0.12
        assert row["value"] == pytest.approx(row["floors"]["shuffled"], abs=apart), (metric, topic)
        assert row["alarms"] == [], "as varied as the references: only the floor tells"
    overall = rows["exact", None]
    assert overall["ci_low"] < overall["floors"]["shuffled"] < overall["ci_high"]
    assert rows["exact", None]["floors"]["shuffled"] < 0.5 and overall["gain"] < 0.05


def test_the_shuffled_floor_is_the_mean_of_many_shuffles() -> None:
    rng = np.random.default_rng(2)
    model = lambda at, one: str(np.random.default_rng(at).choice(VOCABULARY[one.topic]))  # noqa: E731
    rows = asked(model, resamples=0)
    answers = references()
    said = {topic: [model(at, one) for at, one in enumerate(answers) if one.topic == topic] for topic in VOCABULARY}
    values: dict[tuple[str, str | None], list[float]] = {}
    for _ in range(40):
        dealt = {topic: iter(rng.permutation(texts)) for topic, texts in said.items()}
        for key, row in asked(lambda at, one, dealt=dealt: str(next(dealt[one.topic])), resamples=0).items():
            values.setdefault(key, []).append(row["value"])
    for key, row in rows.items():
        error = np.std(values[key]) / np.sqrt(40)
        assert row["floors"]["shuffled"] == pytest.approx(np.mean(values[key]), abs=5 * error + 1e-9), key


def test_a_half_right_model_is_half_right() -> None:
    rng = np.random.default_rng(3)
    knows = rng.random(IMAGES * 8) < 0.5
    rows = asked(lambda at, one: one.reference if knows[at] else "no idea at all")
    for (metric, topic), row in rows.items():
        if metric != "mcc":
            assert row["value"] == pytest.approx(0.5, abs=0.13), (metric, topic)
            assert row["ci_low"] is None or (row["ci_low"] < 0.55 and row["ci_high"] > 0.45)
    overall = rows["exact", None]
    assert overall["ci_low"] < 0.5 < overall["ci_high"] and overall["ci_high"] - overall["ci_low"] < 0.1
    assert rows["bin_accuracy", "Q6"]["unparseable"] == sum(~knows[5::8])
    assert rows["balanced_accuracy", "Q7"]["unparseable"] == sum(~knows[6::8])


def test_silence_is_wrong_and_said_to_be_silence() -> None:
    rows = asked(lambda at, one: None if at % 2 else " ")
    assert {row["value"] for (metric, _), row in rows.items() if metric != "mcc"} == {0.0}
    assert all("coverage" in kinds(row) for row in rows.values())
    assert rows["exact", None]["failed"] == rows["exact", None]["empty"] == IMAGES * 4
    assert rows["bin_accuracy", "Q5"]["unparseable"] == 0, "empty is counted once"
    assert rows["mcc", "Q7"]["value"] == -1, "every answer wrong"


def test_micro_and_macro() -> None:
    """90 answers of one category, all right, and 10 of another, all wrong."""
    answers = [
        Answer(f"{at}#x", f"{at}", "A" if at < 90 else "B", "x", "a", "a" if at < 90 else "b") for at in range(100)
    ]
    overall = score_answers(answers)[0]
    assert overall["micro"] == overall["value"] == 0.9
    assert overall["macro"]["category"] == {"value": 0.5, "ci_low": None, "ci_high": None, "groups": 2}
    assert overall["macro"]["question"]["value"] == 0.9


def test_macro_has_an_interval_where_every_group_has_images_enough() -> None:
    rng = np.random.default_rng(4)
    answers = [
        Answer(
            f"{at}#x",
            f"{at}",
            "A" if at < 200 else "B",
            "x",
            "a",
            "a" if rng.random() < (0.9 if at < 200 else 0.4) else "b",
        )
        for at in range(250)
    ]
    macro = score_answers(answers)[0]["macro"]["category"]
    assert macro["ci_low"] < macro["value"] < macro["ci_high"] and 0.5 < macro["value"] < 0.75


def test_a_proxy_run_has_keywords_only_and_compares_with_nothing() -> None:
    rows = asked(lambda at, one: f"I think it is {one.reference}, or something else", kind="proxy")
    assert {metric for metric, _ in rows} == {"keyword"}
    assert rows["keyword", None]["value"] == 1 and rows["keyword", None]["floors"]["majority"] < 0.7
    assert all(row["comparable"] is False for row in rows.values())
    wrong = asked(lambda at, one: "nothing of it", kind="proxy")["keyword", None]
    assert wrong["value"] < 0.05 and wrong["comparable"] is False
    assert "comparable" not in asked(lambda at, one: one.reference)["exact", None]
    with pytest.raises(ValueError, match="perf"):
        asked(lambda at, one: "x", kind="perf")


def test_only_the_eight_questions_have_metrics_of_their_own() -> None:
    answers = [Answer(f"{at}#Colour", f"{at}", None, "Colour", "red", "red") for at in range(5)]
    assert {row["metric"] for row in score_answers(answers)} == {"exact"}


def test_references_that_are_neither_normal_nor_abnormal_give_no_normality() -> None:
    answers = [Answer(f"{at}#Q7", f"{at}", None, "Q7", "unclear", "normal") for at in range(5)]
    assert {row["metric"] for row in score_answers(answers)} == {"exact"}
