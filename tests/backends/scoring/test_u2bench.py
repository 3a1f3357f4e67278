from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.bleu import bleu_terms, corpus_bleu, rouge_l
from backends.scoring.published import published
from backends.scoring.u2bench import leaderboard, score_u2bench
from backends.scoring.u2bench_measures import DATA_SETS, WEIGHTS, data_set_number, u2_score
from backends.scoring.u2bench_parse import (
    PLACES,
    measured,
    options_in,
    read_label,
    read_number,
    read_place,
    sector,
)
from backends.scoring.u2bench_tasks import Question

OPTIONS = ("benign", "malignant", "normal")
SENTENCES = (
    "the liver is of normal size and shape with a smooth capsule",
    "no dilated ducts and no focal lesion are seen in the parenchyma",
    "a hypoechoic nodule with irregular margins is seen in the left lobe",
)
Rows = dict[tuple[str, str | None, str | None], dict[str, Any]]


def benchmark(sets: int = 2, each: int = 40, tasks: tuple[str, ...] = tuple(WEIGHTS)) -> list[Answer]:
    """The references of a made-up benchmark; the predictions are still missing."""
    rng = np.random.default_rng(0)
    answers = []
    for task in tasks:
        names = {"CVE": ["18", "57"], "KD": ["48"], "RG": ["39"]}.get(task, [f"{80 + at}" for at in range(sets)])
        for name in names:
            for at in range(each):
                if task in ("DD", "VRA"):
                    reference = str(rng.choice(OPTIONS))
                elif task == "CVE":
                    reference = (
                        repr({"EF": float(rng.uniform(10, 75))}) if name == "18" else f"{rng.uniform(0, 85):.3f}"
                    )
                elif task in ("RG", "CG"):
                    reference = str(rng.choice(SENTENCES))
                else:
                    reference = str(rng.choice(PLACES))
                image = f"{name}/{task}{at:03}"
                answers.append(Answer(f"{image}#{task}", image, name, task, reference, None))
    return answers


def asked(model: Callable[[int, Answer], str | None], answers: list[Answer] | None = None, **given: Any) -> Rows:
    told = [
        Answer(
            one.id, one.image_path, one.category, one.topic, one.reference, said, None if said is not None else "died"
        )
        for at, one in enumerate(answers or benchmark())
        for said in [model(at, one)]
    ]
    key = {one.id: Question(OPTIONS if one.topic in ("DD", "VRA") else ()) for one in told}
    rows = score_u2bench(told, key, **{"resamples": 500, **given})
    return {(row["metric"], row["question"], row["category"]): row for row in rows}


def truth(at: int, one: Answer) -> str:
    return one.reference if one.category != "18" else one.reference.split(":")[1].strip(" }")


# ------------------------------------------------------------------ the published figures
def test_the_score_reproduces_every_published_row() -> None:
    rows = [row for row in published("u2bench") if row["verification"] == "verified-primary"]
    assert len(rows) == 22
    for row in rows:
        values = {task: row[f"{task.lower()}_acc"] for task in ("DD", "VRA", "LL", "OD", "KD")}
        values |= {"CVE": row["cve_rmse"]}
        values |= {task: (row[f"{task.lower()}_bleu4_pct"] or 0) / 100 for task in ("RG", "CG")}
        assert round(u2_score(values), 4) == row["u2_score_published"], row["model"]


def test_the_score_by_hand_is_clipped_and_needs_all_eight() -> None:
    values = {"DD": 0.5, "VRA": 0.25, "LL": 0.1, "OD": 0.2, "KD": 0.3, "CVE": 1.7, "RG": 0.05, "CG": 0.4}
    assert abs(u2_score(values) - (0.1 + 0.05 + 0.007 + 0.054 + 0.021 + 0 + 0.004 + 0.016)) < 1e-12
    with pytest.raises(KeyError):
        u2_score({task: value for task, value in values.items() if task != "KD"})
    assert math.isclose(sum(WEIGHTS.values()), 1)
    assert set(WEIGHTS) == set(DATA_SETS)


def test_second_hand_rows_are_told() -> None:
    rows = leaderboard([], "mine")
    assert len(rows) == 26
    assert sum(row["verification"] == "unverified-secondary" for row in rows) == 3
    assert len({tuple(row) for row in rows}) == 1  # the same columns everywhere


# ------------------------------------------------------------------ reading answers
@pytest.mark.parametrize(
    ("reply", "strict", "lenient"),
    [
        ("Benign", "benign", "benign"),
        ("'benign'", "'benign'", "benign"),
        ("The lesion is malignant.", "the lesion is malignant.", "malignant"),
        ("benign, not malignant", "benign, not malignant", None),
        ("nonbenign", "nonbenign", None),
        ("03", "3", None),
    ],
)
def test_labels(reply: str, strict: str | None, lenient: str | None) -> None:
    assert read_label("strict", reply, OPTIONS) == strict
    assert read_label("lenient", reply, OPTIONS) == lenient


def test_an_option_inside_another_is_not_named() -> None:
    options = ("pancreas cancer", "non-pancreas cancer")
    assert read_label("lenient", "This is non-pancreas cancer.", options) == "non-pancreas cancer"
    assert read_label("lenient", "Probably pancreas cancer", options) == "pancreas cancer"


def test_options_are_found_in_the_prompt() -> None:
    assert options_in("Which view?\nOptions: 2CH, 4CH\nOnly the option.") == ("2CH", "4CH")
    assert options_in("Which?\noptions: ['a', 'b c', \"d\"]") == ("a", "b c", "d")
    assert options_in("Describe the image.") == ()


@pytest.mark.parametrize(
    ("reply", "lenient"),
    [
        ("Upper left", "upper left"),
        ("It is in the lower center of the image.", "lower center"),
        ("The lesion is central.", "center"),
        ("top, on the right", "upper right"),
        ("middle center", "center"),
        ("upper left or lower right", None),
        ("It is not visible", "not visible"),
        ("somewhere", None),
    ],
)
def test_places(reply: str, lenient: str | None) -> None:
    assert read_place("lenient", reply) == lenient
    assert read_place("strict", reply) == reply.lower()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ([0.1, 0.1, 0.2, 0.2], "upper left"),
        ({"lesion": [0.45, 0.449, 0.1, 0.1]}, "upper center"),
        ([{"a": [0.55, 0.5]}, {"b": [0, 0]}], "middle right"),
        ([[0.5, 0.5]], "center"),
        ([300, 20], "lower left"),
        ([320, 700, 4, 4], None),
        (None, "not visible"),
        ([], "not visible"),
        ([float("nan"), 0.2], "not visible"),
        ("nan", "not visible"),
    ],
)
def test_sectors(place: Any, expected: str | None) -> None:
    size = (1000, 30) if expected else None
    assert sector(place, size) == expected


def test_numbers() -> None:
    assert [read_number("strict", text) for text in ("42.5", " 7 ", "EF 42", "null", "nan")] == [
        42.5,
        7,
        None,
        None,
        None,
    ]
    assert [read_number("lenient", text) for text in ("about 3 of 42.5 %", "EF 42%", "null")] == [42.5, 42, None]
    assert measured({"ED": 3, "EF": 55.5}, ("EF",)) == 55.5
    assert measured({"IMT": [0.71, 0.9]}, ("IMT",)) == 0.71
    assert measured([{"x": "4.5"}]) == 4.5
    assert measured(None) is None
    assert [data_set_number(name) for name in ("18_1.Ultrasound", "057", "ACOUSLIC_AI", "x")] == ["18", "57", "50", "x"]


# ------------------------------------------------------------------ texts
def test_bleu_by_hand() -> None:
    said, reference = "a b c d e", "a b c d f g"
    precision = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    expected = precision * math.exp(1 - 6 / 5)
    assert abs(float(corpus_bleu(np.array(bleu_terms(said, reference)))) - expected) < 1e-8
    # A corpus is not the mean of its sentences.
    both = np.array([bleu_terms(said, reference), bleu_terms("x y z w", "x y z w")]).sum(0)
    precision = (8 / 9 * 6 / 7 * 4 / 5 * 2 / 3) ** 0.25
    assert abs(float(corpus_bleu(both)) - precision * math.exp(1 - 10 / 9)) < 1e-8
    assert float(corpus_bleu(np.array(bleu_terms("", "a b c d")))) == 0
    assert rouge_l("a x b", "a b c") == pytest.approx((1 + 1.44) * (2 / 3) * (2 / 3) / (2 / 3 + 1.44 * 2 / 3))
    assert rouge_l("x", "a b") == 0


# ------------------------------------------------------------------ whole runs
def test_an_oracle_is_perfect_by_both_parsers() -> None:
    rows = asked(truth)
    for metric in ("u2_score", "u2_score_lenient"):
        row = rows[metric, None, None]
        assert row["value"] == pytest.approx(1, abs=1e-6)
        assert row["floors"]["majority"] < 0.6 and row["floors"]["shuffled"] < 0.6
        assert row["gain"] > 0.4
        assert row["references"] == {"published_random": 0.2125, "published_best": 0.4748}
        [alarm] = row["alarms"]
        assert alarm["kind"] == "composition" and "DD 2 of 13" in alarm["text"]
    assert (rows["accuracy", "DD", None]["parser"], rows["accuracy_lenient", "DD", None]["parser"]) == (
        "strict",
        "lenient",
    )
    assert rows["one_minus_rmse", "CVE", None]["value"] == pytest.approx(1)


def test_a_task_is_the_mean_over_its_data_sets_and_the_total_is_their_weighted_sum() -> None:
    rng = np.random.default_rng(1)
    answers = [
        one for one in benchmark() if not (one.topic == "DD" and one.category == "81" and int(one.id[5:8]) >= 31)
    ]
    rows = asked(lambda at, one: truth(at, one) if rng.random() < 0.7 else "benign", answers, seed=3)
    sets = [rows["accuracy", "DD", name] for name in ("80", "81")]
    assert [row["n"] for row in sets] == [40, 31]
    task = rows["accuracy", "DD", None]
    assert task["value"] == pytest.approx((sets[0]["value"] + sets[1]["value"]) / 2, abs=1e-12)
    assert task["n"] == 71 and task["data_sets"] == 2
    assert task["ci_low"] < task["value"] < task["ci_high"]
    values = {name: rows["accuracy", name, None]["value"] for name in ("DD", "VRA", "LL", "OD", "KD")}
    values |= {"CVE": rows["one_minus_rmse", "CVE", None]["rmse"]}
    values |= {name: rows["bleu4", name, None]["value"] for name in ("RG", "CG")}
    total = rows["u2_score", None, None]
    assert total["value"] == pytest.approx(u2_score(values), abs=1e-9)
    assert total["ci_low"] < total["value"] < total["ci_high"]
    table = leaderboard(list(rows.values()), "mine")
    [mine] = [row for row in table if row["model"] == "mine"]
    assert mine["u2_score_recomputed"] == total["value"] and mine["verification"] == "this run"
    assert mine["rg_bleu4_pct"] == pytest.approx(100 * values["RG"])
    assert mine["dd_f1"] == task["f1"]


def test_a_subset_has_task_values_and_no_total() -> None:
    rows = asked(truth, benchmark(tasks=("DD", "OD", "CVE", "RG")))
    assert {question for _, question, _ in rows} == {"DD", "OD", "CVE", "RG"}
    assert "u2_score" not in {metric for metric, _, _ in rows}
    [mine] = [row for row in leaderboard(list(rows.values()), "mine") if row["model"] == "mine"]
    assert mine["u2_score_recomputed"] is None and mine["od_acc"] == 1 and mine["kd_acc"] is None


def test_a_chatty_model_is_read_leniently_only() -> None:
    rows = asked(lambda at, one: f"I think it is {truth(at, one)}, clearly")
    strict, lenient = rows["accuracy", "DD", None], rows["accuracy_lenient", "DD", None]
    assert (strict["value"], strict["parser_rate"], strict["unparseable"]) == (0, 0, 80)
    assert (lenient["value"], lenient["parser_rate"], lenient["unparseable"]) == (1, 1, 0)
    values = rows["one_minus_rmse", "CVE", None]
    assert (values["rmse"], values["value"], values["mae"]) == (1, 0, None)
    assert [alarm["kind"] for alarm in values["alarms"]] == ["coverage"]
    assert rows["one_minus_rmse_lenient", "CVE", None]["value"] == pytest.approx(1)


def test_clinical_values_by_hand() -> None:
    said = ["50", "10.0", "none", None]
    answers = [
        Answer(f"18/{at}#CVE", f"18/{at}", "18", "CVE", reference, None)
        for at, reference in enumerate(
            ["{'EF': 37}", "{'EF': 23}", "{'EF': 75}", "{'EF': 42.5}", "nan", "{'EF': None}"]
        )
    ]
    answers += [Answer("31/0#CVE", "31/0", "31", "CVE", "{'HC': 200}", None)]
    rows = asked(lambda at, one: said[at] if at < 4 else "5", answers)
    row = rows["one_minus_rmse", "CVE", None]
    root = math.sqrt(((13 / 65) ** 2 + (13 / 65) ** 2) / 2)
    assert row["rmse"] == pytest.approx(root, abs=1e-9) and row["value"] == pytest.approx(1 - root, abs=1e-9)
    assert (row["n"], row["answered"], row["failed"], row["unparseable"]) == (4, 3, 1, 1)
    assert (row["unreadable_references"], row["skipped"], row["within_tolerance"]) == (2, ["31"], 0)
    worst = math.sqrt((0.04 + 0.04 + 1 + 0.25) / 4)
    assert row["counting_all"] == pytest.approx(1 - worst, abs=1e-9)
    assert row["parser_rate"] == 0.5
    assert row["ci_low"] is None


def test_a_constant_model_gains_nothing_and_is_alarming() -> None:
    constant = {"DD": "benign", "VRA": "benign", "CVE": "40", "RG": SENTENCES[0], "CG": SENTENCES[0]}
    rows = asked(lambda at, one: constant.get(one.topic, "center"))
    total = rows["u2_score", None, None]
    assert total["gain"] <= 0
    assert {alarm["question"] for alarm in total["alarms"] if alarm["kind"] == "collapse"} >= {"DD", "VRA", "OD"}
    dd = rows["accuracy", "DD", None]
    assert dd["floors"]["chance"] == pytest.approx(1 / 3)
    assert dd["value"] == pytest.approx(dd["floors"]["shuffled"])
    assert dd["value"] <= dd["floors"]["majority"]


def test_one_answer_for_each_data_set_is_a_collapse_of_it() -> None:
    """Its prompt tells which data set an image is of: two answers for two of them are no sight."""
    answer = {"80": "benign", "81": "malignant"}
    rows = asked(lambda at, one: answer[str(one.category)] if one.topic == "DD" else truth(at, one))
    flat = {key: [a for a in row["alarms"] if a["kind"] == "collapse"] for key, row in rows.items()}
    for metric in ("accuracy", "accuracy_lenient"):
        assert len(flat[metric, "DD", None]) == 2, "the task has both"
        for name in ("80", "81"):
            [alarm] = flat[metric, "DD", name]
            assert alarm["question"] == "DD" and f"DD {name}: 100%" in alarm["text"]
        assert flat[metric, "VRA", None] == []
    assert len(flat["u2_score", None, None]) == 2

    half = asked(lambda at, one: "benign" if (one.topic, one.category) == ("DD", "80") else truth(at, one))
    assert [len(half["accuracy", "DD", name]["alarms"]) for name in ("80", "81")] == [1, 0]


def test_failures_count_as_wrong_and_order_does_not_matter() -> None:
    half = asked(lambda at, one: truth(at, one) if at % 2 else None)
    assert half["accuracy", "OD", None]["value"] == pytest.approx(0.5)
    assert (half["accuracy", "OD", None]["failed"], half["accuracy", "OD", None]["n"]) == (40, 80)
    assert "coverage" in {alarm["kind"] for alarm in half["accuracy", "OD", None]["alarms"]}
    answers = benchmark(each=32)
    told = [Answer(*(vars(one) | {"prediction": "benign"}).values()) for one in answers]
    assert score_u2bench(told, {}, resamples=200) == score_u2bench(told[::-1], {}, resamples=200)
    assert score_u2bench([], {}) == []


def test_images_of_one_patient_are_resampled_together() -> None:
    rng = np.random.default_rng(2)
    answers = benchmark(tasks=("KD",), each=120)
    right = rng.random(30) < 0.5
    told = [
        Answer(*(vars(one) | {"prediction": one.reference if right[at // 4] else "x"}).values())
        for at, one in enumerate(answers)
    ]
    alone = score_u2bench(told, {}, resamples=2000)[0]
    grouped = score_u2bench(told, {one.id: Question((), str(at // 4)) for at, one in enumerate(told)}, resamples=2000)[
        0
    ]
    assert grouped["ci_high"] - grouped["ci_low"] > 1.5 * (alone["ci_high"] - alone["ci_low"])
    assert (alone["images"], grouped["images"]) == (120, 30)
