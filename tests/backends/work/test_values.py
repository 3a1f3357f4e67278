"""The values of single answers: their means are the scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.scoring.answer import Answer
from backends.scoring.gauge import Question as Choice
from backends.scoring.gauge import is_right
from backends.scoring.score import score_answers
from backends.scoring.u2bench import score_u2bench
from backends.scoring.u2bench_tasks import Question
from backends.scoring.u2bench_values import answer_values
from backends.work.values import values_of, write_values

SAID = ("Spine anterior", "spine to the left.", None, "", "21 to 28 weeks")
TRUE = ("Spine anterior", "Spine to the left", "Spine anterior", "Spine posterior", "14 to 20 weeks")


def answers() -> list[Answer]:
    return [
        Answer(
            f"{n}#{topic}",
            f"{n}.png",
            "A",
            topic,
            TRUE[n % 5],
            SAID[n % 5],
            None if SAID[n % 5] is not None else "died",
        )
        for n in range(40)
        for topic in ("Q2", "Q5")
    ]


@pytest.mark.parametrize("kind", ["gt", "proxy"])
def test_their_means_are_the_scores(kind: str) -> None:
    values = values_of(answers(), kind, None)
    for row in score_answers(answers(), kind=kind, resamples=0):
        if row["category"] is None and row["question"] is None:
            column = [each[row["metric"]] for each in values.values() if row["metric"] in each]
            assert sum(column) / len(column) == pytest.approx(row["value"], abs=1e-9)
    q2 = [each["relaxed_accuracy"] for name, each in values.items() if name.endswith("Q2")] if kind == "gt" else []
    assert kind == "proxy" or (q2 and "relaxed_accuracy" not in values["0#Q5"])


def test_a_file_is_replaced_whole_and_none_is_left_without_values(tmp_path: Path) -> None:
    write_values(tmp_path, {"a": {"cosine": 1 / 3, "exact": 0.0}, "b": {}})
    lines = [json.loads(line) for line in (tmp_path / "values.jsonl").read_text().splitlines()]
    assert lines == [{"id": "a", "cosine": 0.333333, "exact": 0.0}]
    assert list(lines[0]) == ["id", "cosine", "exact"]
    write_values(tmp_path, {})
    assert not (tmp_path / "values.jsonl").exists()


def test_of_a_benchmark_they_are_what_its_parser_reads() -> None:
    right = Answer("x", "x.png", None, "PI", "Femur", "B", None)
    assert is_right(right, Choice(("Brain", "Femur"), 1)) and not is_right(right, Choice(("Brain", "Femur"), 0))
    made = [Answer(f"{n}#DD", f"set/{n}", "set", "DD", "benign", ("benign", "malignant")[n % 2]) for n in range(10)]
    made.append(Answer("0#RG", "set/0", "set", "RG", "a normal fetus", "a normal fetus"))
    key = {one.id: Question(("benign", "malignant")) for one in made}
    values = answer_values(made, key)
    assert values["0#DD"] == {"accuracy": 1.0, "accuracy_lenient": 1.0} and values["1#DD"]["accuracy"] == 0.0
    assert values["0#RG"] == {"rouge_l": pytest.approx(1.0)}
    row = next(row for row in score_u2bench(made, key, resamples=0) if row["metric"] == "accuracy")
    assert row["value"] == pytest.approx(sum(values[f"{n}#DD"]["accuracy"] for n in range(10)) / 10)
