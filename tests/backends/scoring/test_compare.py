from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.compare import Contestant, compare_all, holm, ranks, sign_flip
from backends.scoring.fingerprints import unlike
from backends.scoring.values import per_answer


def contestant(run: int, said: Sequence[str | None], each: int = 2, first: int = 0, true: str = "yes") -> Contestant:
    """``each`` questions an image."""
    answers = {}
    for at, text in enumerate(said, first):
        image, question = f"A/{at // each}.png", f"Q{at % each + 1}"
        key = f"{image}#{question}"
        answers[key] = Answer(key, image, "A", question, true, text, None if text is not None else "died")
    return Contestant(run, answers, per_answer("exact", list(answers.values())))


def compare(*runs: Contestant, **given: Any) -> list[dict[str, Any]]:
    return compare_all(runs, "exact", unlike=given.pop("unlike", {}), **given)


def said(rng: np.random.Generator, share: float, n: int = 400) -> list[str | None]:
    return ["yes" if right else "no" for right in rng.random(n) < share]


def test_a_better_run_is_better() -> None:
    rng = np.random.default_rng(0)
    good, bad = contestant(1, said(rng, 0.8)), contestant(2, said(rng, 0.6))
    (row,) = compare(good, bad)
    mean = np.mean(list(good.values.values())) - np.mean(list(bad.values.values()))
    assert row["difference"] == pytest.approx(mean, abs=1e-12)
    assert (row["a"], row["b"], row["n_common"], row["images"]) == (1, 2, 400, 200)
    assert 0 < row["ci_low"] < mean < row["ci_high"] and row["p"] == row["p_holm"] < 0.01
    assert row["warnings"] == []
    (back,) = compare(bad, good)
    assert back["difference"] == pytest.approx(-mean) and back["p"] == pytest.approx(row["p"], abs=0.003)


@pytest.mark.parametrize(
    ("images", "changed", "why"),
    [
        (8, 4, "too few images (8, it takes 30)"),
        (40, 9, "too few images where the answers differ (9 of 40, it takes 10)"),
    ],
)
def test_why_a_difference_has_no_interval_is_said(images: int, changed: int, why: str) -> None:
    base: list[str | None] = ["no"] * (2 * images)
    better: list[str | None] = ["yes"] * (2 * changed) + base[2 * changed :]
    (row,) = compare(contestant(1, better), contestant(2, base))
    assert (row["ci_low"], row["ci_high"]) == (None, None)
    assert row["warnings"] == [f"no interval for the difference in exact: {why}"]


def test_pairing_sees_what_apart_would_be_noise() -> None:
    """The second run differs from the first on 12 images only, always for the worse."""
    rng = np.random.default_rng(1)
    base = said(rng, 0.5, 800)
    worse = list(base)
    right = [at for at, text in enumerate(base) if text == "yes"][::30][:12]
    for at in right:
        worse[at] = "no"
    (row,) = compare(contestant(1, base), contestant(2, worse))
    assert row["difference"] == pytest.approx(12 / 800) and row["ci_low"] > 0 and row["p"] < 0.002


def test_images_count_not_answers() -> None:
    """Ten images whose 40 questions all go one way are ten observations: p is 2 / 2^10."""
    good, bad = contestant(1, ["yes"] * 400, each=40), contestant(2, ["no"] * 400, each=40)
    (row,) = compare(good, bad)
    assert row["p"] == pytest.approx(2 / 1024, abs=0.002) and row["ci_low"] is None


def test_the_p_value_is_that_of_all_sign_flips() -> None:
    differences = np.array([1, 1, 0.5, -0.5, 1, 0, 0.25, 1.0])
    images = np.array([0, 0, 1, 2, 3, 4, 5, 6])
    sums = np.bincount(images, differences)
    every = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=len(sums))]
    expected = np.mean([one >= abs(sums.sum()) - 1e-9 for one in every])
    assert sign_flip(differences, images) == pytest.approx(expected, abs=0.012)
    assert sign_flip(np.zeros(8), images) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, None, 0.7]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_two_equal_runs_are_called_duplicates() -> None:
    rng = np.random.default_rng(2)
    same = said(rng, 0.5)
    (row,) = compare(contestant(1, same), contestant(2, same))
    assert (row["difference"], row["p"], row["ci_low"]) == (0, 1, None)
    assert any("duplicate" in text and "400" in text for text in row["warnings"])


def test_what_is_not_shared_is_said() -> None:
    rng = np.random.default_rng(3)
    a, b, c = (
        contestant(1, said(rng, 0.5, 100)),
        contestant(2, said(rng, 0.5, 100), first=40),
        contestant(3, ["x"] * 9, first=900),
    )
    rows = {(row["a"], row["b"]): row for row in compare(a, b, c)}
    assert rows[1, 2]["n_common"] == 60 and "40 only in #1, 40 only in #2" in rows[1, 2]["warnings"][0]
    apart = rows[1, 3]
    assert apart["n_common"] == 0 and apart["difference"] is None and apart["p"] is None and apart["p_holm"] is None
    assert apart["warnings"] == ["no question in common"]
    assert rows[1, 2]["p_holm"] == rows[1, 2]["p"], "what could not be tested corrects nothing"


def test_other_references_are_left_out_and_low_coverage_is_said() -> None:
    rng = np.random.default_rng(4)
    a, b = contestant(1, said(rng, 0.5, 60)), contestant(2, [*said(rng, 0.5, 50), *[None] * 10])
    mixed = dict(b.answers) | {
        key: answer for key, answer in contestant(2, ["no"] * 60, true="no").answers.items() if key < "A/2"
    }
    odd = Contestant(2, mixed, b.values)
    (row,) = compare(a, odd)
    assert row["n_common"] < 60 and any("references differ" in text for text in row["warnings"])
    assert any("#2 answered" in text and "below 95%" in text for text in row["warnings"])


def test_unlike_specs() -> None:
    spec = {
        "kind": "eval",
        "task": "gt",
        "seed": 0,
        "model": {"source": "a"},
        "generation": {"max_new_tokens": 64, "do_sample": False},
        "scoring": {"embedding": "all-MiniLM-L6-v2"},
        "data": {"path": "/a", "sha256": "1" * 64, "limit": None},
        "versions": {"torch": "2.13.0", "textual": "8"},
    }
    moved = {**spec, "model": {"source": "b"}, "data": {**spec["data"], "path": "/b"}, "versions": {"torch": "2.13.0"}}  # type: ignore[dict-item]
    assert unlike(spec, moved) == []
    other = {
        **spec,
        "generation": {"max_new_tokens": 32, "do_sample": False},
        "data": {**spec["data"], "sha256": "2" * 64},
    }  # type: ignore[dict-item]
    assert unlike(spec, other) == [f"data.sha256 {'1' * 12}…, {'2' * 12}…", "generation.max_new_tokens 64, 32"]
    (row,) = compare(contestant(1, ["yes"] * 4), contestant(2, ["no"] * 4), unlike={(1, 2): unlike(spec, other)})
    assert "fingerprints differ" in row["warnings"][0] and "max_new_tokens 64, 32" in row["warnings"][0]


def test_ranks_have_intervals() -> None:
    rng = np.random.default_rng(5)
    runs = [contestant(run, said(rng, share)) for run, share in ((1, 0.6), (2, 0.9), (3, 0.61), (4, 0.2))]
    runs.append(contestant(5, [None] * 400))
    rows = {row["run"]: row for row in ranks(runs, "exact")}
    assert (rows[2]["rank"], rows[2]["rank_low"], rows[2]["rank_high"]) == (1, 1, 1)
    assert (rows[4]["rank"], rows[4]["rank_low"], rows[4]["rank_high"]) == (4, 4, 4)
    assert {rows[1]["rank"], rows[3]["rank"]} == {2, 3}
    assert (rows[1]["rank_low"], rows[1]["rank_high"]) == (2, 3), "the two cannot be told apart"
    assert rows[5]["rank"] is None and rows[5]["value"] is None, "no answers, no rank"
    few = ranks([contestant(1, ["yes"] * 8), contestant(2, ["no"] * 8)], "exact")
    assert [row["rank"] for row in few] == [1, 2] and few[0]["rank_low"] is None


def test_ranks_leave_out_what_was_not_asked_alike() -> None:
    """Equal names do not make equal questions: where references differ, another thing was asked."""
    first = contestant(1, ["yes"] * 80)
    second = contestant(2, ["yes"] * 80)
    other = contestant(3, ["no"] * 40, first=40, true="no")
    mixed = Contestant(2, {**second.answers, **other.answers}, second.values)
    rows = ranks([first, mixed], "exact")
    assert [(row["n"], row["images"]) for row in rows] == [(40, 20)] * 2


def test_equal_runs_share_the_better_rank() -> None:
    rng = np.random.default_rng(6)
    same = said(rng, 0.5)
    rows = ranks([contestant(1, same), contestant(2, same)], "exact")
    assert [(row["rank"], row["rank_low"], row["rank_high"]) for row in rows] == [(1, 1, 2)] * 2


def test_a_metric_of_some_questions_is_of_theirs_only() -> None:
    answers = [
        Answer("a#Q6", "a", None, "Q6", "good", "excellent"),
        Answer("a#Q3", "a", None, "Q3", "femur", "femur"),
        Answer("b#Q5", "b", None, "Q5", "22 weeks", None),
    ]
    assert per_answer("bin_accuracy", answers) == {"a#Q6": 0.5, "b#Q5": 0}
    for metric in ("mcc", "cosine", "nonsense"):
        with pytest.raises(ValueError, match=r"metric|embedding"):
            per_answer(metric, answers)
