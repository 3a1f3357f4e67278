from __future__ import annotations

import numpy as np
import pytest

from backends.scoring.answer import Answer
from backends.scoring.speed import Timing, percentile, score_speed


def answers(count: int, failed: int = 0) -> list[Answer]:
    return [
        Answer(
            f"{at:03}.png#Q1",
            f"{at:03}.png",
            None,
            "Q1",
            "x",
            None if at < failed else "y",
            "died" if at < failed else None,
        )
        for at in range(count)
    ]


def test_figures_by_hand() -> None:
    told = answers(5, failed=1)
    times = {one.id: Timing(0.5 * at, 10 * at) for at, one in enumerate(told) if at}
    costs = {"peak_memory_bytes": 2048, "energy_j_per_answer": None}
    rows = {
        row["metric"]: row
        for row in score_speed(told, times, {"device": "cpu"}, first_tokens=[0.3, 0.1, 0.2], costs=costs)
    }
    assert rows["tokens_per_s"]["value"] == pytest.approx(100 / 5.0)
    assert rows["answers_per_s"]["value"] == pytest.approx(4 / 5.0)
    assert (rows["latency_p50_s"]["value"], rows["latency_p95_s"]["value"]) == (1.0, 2.0)
    assert rows["first_token_p50_s"]["value"] == 0.2
    assert rows["peak_memory_bytes"]["value"] == 2048
    assert "energy_j_per_answer" not in rows
    row = rows["tokens_per_s"]
    assert (row["n"], row["answered"], row["failed"], row["timed"], row["device"]) == (5, 4, 1, 4, "cpu")
    assert [alarm["kind"] for alarm in row["alarms"]] == ["coverage"]
    assert row["ci_low"] is None  # five images
    assert {name for name, one in rows.items() if not one["lower_is_better"]} == {"tokens_per_s", "answers_per_s"}


def test_the_interval_covers_the_rate_that_the_times_were_made_with() -> None:
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        told = answers(80)
        times = {one.id: Timing(float(rng.gamma(9, 1 / 9)), int(rng.integers(10, 31))) for one in told}
        row = score_speed(told, times, {}, resamples=1000)[0]
        covered += row["ci_low"] <= 20 <= row["ci_high"]
    assert covered >= 52


def test_percentiles_are_values_that_were_measured() -> None:
    values = np.arange(1.0, 101.0)
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values[:1], 0.95)) == (50, 95, 1)


def test_nothing_timed_has_no_figures() -> None:
    assert score_speed(answers(3, failed=3), {}, {}) == []
