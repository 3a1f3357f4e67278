"""Which score stands for a model, and how it is marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.runs.rows import Alarm
from fada_tui.sources.views import RunView
from fada_tui.widgets.runlines import answer_line
from fada_tui.widgets.status import best_score, headline_score, is_right, named
from tests.fada_tui.panel import answer, model, run, score, stated


def test_reference_answers_count_before_keywords() -> None:
    best = best_score(model("m", "Tested", stated("proxy", 0.95), stated("gt", 0.6)), [])
    assert best is not None
    assert (best.kind, best.value, best.source, best.mark) == ("gt", 0.6, "note", "")


def test_a_better_run_takes_the_place_of_the_note_and_brings_its_alarm() -> None:
    best = best_score(model("m", "Tested", stated("gt", 0.6)), [score(12, 0.64, "cosine", alarms=1)])
    assert best is not None
    assert (best.source, best.mark, best.text) == ("#12", "⚠", "0.640")


def test_metrics_are_not_mixed() -> None:
    best = best_score(model("m", "Tested", stated("gt", 0.6)), [score(12, 0.9, "exact")])
    assert best is not None
    assert best.metric == "cosine"


def test_approximate_is_marked() -> None:
    best = best_score(model("m", "Tested", stated("proxy", 0.8, approximate=True)), [])
    assert best is not None
    assert best.mark == "~"


def test_partial_and_uncovered_runs_are_not_ranked() -> None:
    good = score(1, 0.5, "cosine")
    assert best_score(model("m"), [replace(good, partial=True), replace(good, answered=500)]) is None
    # An import of 10 answers to 100 questions has answered all that it holds: the alarm tells.
    told = replace(good, alarms=(Alarm("coverage", None, "answers 10 of the 100 questions in the data"),))
    assert best_score(model("m"), [good]) is not None and best_score(model("m"), [told]) is None


def test_the_check_of_an_export_is_no_score_of_its_model() -> None:
    checked = replace(score(1, 0.9, "cosine"), kind="convert")
    assert best_score(model("m"), [checked]) is None


@pytest.mark.parametrize(
    ("width", "said"),
    [(22, "Qwen2.5-VL-7B ← #12"), (12, "Qwen2… ← #12"), (8, "Q… ← #12"), (7, "Qwen2…←"), (4, "Qw…←"), (1, "←")],
)
def test_of_a_tuned_model_the_name_is_cut_and_not_the_mark(width: int, said: str) -> None:
    assert named(replace(run(15, name="Qwen2.5-VL-7B"), from_run=12), width) == said
    assert "←" not in named(run(15, name="Qwen2.5-VL-7B"), width)


def test_an_error_is_never_right() -> None:
    assert is_right(answer("Transthalamic  Plane", "transthalamic plane"))
    assert not is_right(answer("", "x"))
    assert not is_right(answer(None, "", "timeout"))


def test_the_newest_held_out_score_counts_and_the_final_one_most() -> None:
    from tests.fada_tui.panel import RUNNING

    view = RunView(RUNNING, scores=(score(12, 0.1, step=0), score(12, 0.9, step=400), score(12, 0.5, step=200)))
    assert [one.value for one in view.overall] == [0.9]
    final = replace(view, scores=(*view.scores, score(12, 0.8)))
    assert [one.value for one in final.overall] == [0.8]


def test_a_run_of_speed_is_known_by_its_speed() -> None:
    measured = [score(7, 115.6, "tokens_per_s"), score(7, 0.5, "latency_p50_s"), score(7, 5.4e8, "peak_memory_bytes")]
    best = headline_score(measured)
    assert best is not None
    assert best.metric == "tokens_per_s"


def test_a_benchmark_is_known_by_its_main_metric_and_not_by_the_highest() -> None:
    rows = [
        replace(score(7, value, metric), kind="zero-shot") for metric, value in (("accuracy", 0.5), ("macro_f1", 0.6))
    ]
    best, head = best_score(model("m"), rows), headline_score(rows)
    assert best is not None and (best.metric, best.value) == ("accuracy", 0.5)
    assert head is not None and head.metric == "accuracy"


@pytest.mark.parametrize("width", [20, 33, 90])
def test_an_answer_that_was_brought_in_without_a_reference_is_neither_right_nor_wrong(width: int) -> None:
    for said in ("Good", ""):
        one = replace(answer(said, "x"), reference=None)
        assert not is_right(one)
        line = answer_line(one, width)
        assert line[0][0] == "· " and (said or "(empty)") in line[-1][0]
