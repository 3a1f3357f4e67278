from __future__ import annotations

from typing import Any

import pytest

from backends.scoring.answer import Answer
from backends.scoring.duplicates import duplicates, with_duplicates
from backends.scoring.score import score_answers


def scores(said: list[str], n: int = 40) -> list[dict[str, Any]]:
    answers = [
        Answer(f"{i}#x", f"{i}.png", "AB"[i % 2], "x", ("a", "b", "c")[i % 3], said[i % len(said)]) for i in range(n)
    ]
    return score_answers(answers, resamples=0)


def test_the_same_answers_are_a_duplicate_whatever_their_spelling() -> None:
    first, again, other = scores(["a", "b"]), scores(["A.", " b"]), scores(["a", "c"])
    (alarm,) = duplicates(first, again, "#3")
    assert alarm["kind"] == "duplicate" and "40 answers" in alarm["text"] and "#3" in alarm["text"]
    assert duplicates(first, other) == []
    assert duplicates(scores(["a"], n=5), scores(["a"], n=5)) == [], "too few to say"
    assert duplicates(first, []) == []


def test_tables_without_digests_are_compared_to_six_digits() -> None:
    table = [
        {
            "metric": "cosine",
            "question": f"Q{i}" if i else None,
            "category": None,
            "n": 600,
            "value": 0.61234567 + i / 100,
        }
        for i in range(12)
    ]
    near = [{**row, "value": row["value"] + 1e-8} for row in table]  # type: ignore[operator]
    (alarm,) = duplicates(table, near)
    assert "12 scores" in alarm["text"]
    assert duplicates(table, [{**near[0], "value": 0.7}, *near[1:]]) == []
    assert duplicates(table[:5], near[:5]) == [], "too few to say"
    whole = [{**row, "value": 1.0} for row in table]
    assert duplicates(whole, whole) == [], "both perfect"


def test_the_alarm_stands_in_the_overall_rows_and_not_for_a_repeat() -> None:
    rows = scores(["a", "b"])
    others = [
        (7, {"fingerprint": "f", "model": {"name": "m"}}, scores(["a", "b"])),
        (8, {"fingerprint": "g"}, scores(["c"])),
    ]
    found = with_duplicates(rows, {"fingerprint": "e"}, others)
    marked = [row for row in found if any(alarm["kind"] == "duplicate" for alarm in row["alarms"])]
    assert [(row["question"], row["category"]) for row in marked] == [(None, None)]
    assert "#7 (m)" in marked[0]["alarms"][-1]["text"]
    assert with_duplicates(rows, {"fingerprint": "f"}, others) == rows, "the same spec should answer the same"
    assert rows == scores(["a", "b"]), "what was given stays as it is"


@pytest.mark.parametrize(
    ("change", "alarms"),
    [
        ({"task": "proxy", "scoring": {"embedding": None}}, 0),
        ({"generation": {"max_new_tokens": 64, "batch_size": 4}, "seed": 7}, 0),
        ({"model": {"source": "/m", "content": "c", "parent": "adapter"}}, 1),
        ({"model": {"source": "/other", "content": "d"}}, 1),
        ({"prompt": "Look again."}, 1),
        ({"generation": {"max_new_tokens": 16, "batch_size": 8}}, 1),
        ({"data": {"sha256": "e", "path": "/d"}}, 1),
        ({"server": {"base_url": "http://localhost/v1", "model": "m"}}, 1),
    ],
)
def test_one_model_asked_the_same_twice_is_no_duplicate(change: dict[str, Any], alarms: int) -> None:
    """A proxy score beside a gt one, or a larger batch: the answers should be the same. An adapter's should not."""
    spec: dict[str, Any] = {
        "task": "gt",
        "fingerprint": "e",
        "model": {"source": "/m", "content": "c"},
        "data": {"sha256": "d", "path": "/d"},
        "generation": {"max_new_tokens": 64, "batch_size": 8},
    }
    rows = scores(["a", "b"])
    other = {**spec, "fingerprint": "f", **change}
    [overall, *_] = with_duplicates(rows, spec, [(7, other, scores(["a", "b"]))])
    assert sum(alarm["kind"] == "duplicate" for alarm in overall["alarms"]) == alarms


def test_models_that_nothing_is_known_of_are_not_the_same() -> None:
    spec: dict[str, Any] = {"model": {"name": "m", "source": None}, "data": None}
    [overall, *_] = with_duplicates(scores(["a", "b"]), spec, [(7, spec, scores(["a", "b"]))])
    assert [alarm["kind"] for alarm in overall["alarms"]][-1:] == ["duplicate"]


@pytest.mark.parametrize("change", ["failed", "moved"])
def test_the_digest_knows_failures_and_which_question(change: str) -> None:
    answers = [Answer(f"{i}#x", f"{i}.png", None, "x", "a", "ab"[i % 2]) for i in range(12)]
    before = score_answers(answers, resamples=0)[0]["digest"]
    if change == "failed":
        answers[0] = Answer("0#x", "0.png", None, "x", "a", None, "died")
    else:
        answers[0], answers[1] = (Answer(f"{i}#x", f"{i}.png", None, "x", "a", "ba"[i]) for i in (0, 1))
    assert score_answers(answers, resamples=0)[0]["digest"] != before
