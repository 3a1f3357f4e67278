from __future__ import annotations

import pytest

from fada_tui import format as fmt


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (3 << 30, "3.0 GiB"), (512 << 30, "512 GiB")],
)
def test_size(value: int | None, text: str) -> None:
    assert fmt.size(value) == text


def test_size_pair() -> None:
    assert fmt.size_pair(23 << 30, 32 << 30) == "23.0/32.0 GiB"
    assert fmt.size_pair(1 << 20, 32 << 30) == "0.0/32.0 GiB"
    assert fmt.size_pair(None, None) == "n/a"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "n/a"), (0.4, "0:00"), (41, "0:41"), (59.6, "1:00"), (3661, "1:01:01"), (90061, "1d 01:01")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(3.21, "steps", "3.21 steps/s"), (0.25, "steps", "4 s/step"), (0, "steps", "n/a"), (None, None, "n/a")],
)
def test_rate(value: float | None, unit: str | None, text: str) -> None:
    assert fmt.rate(value, unit) == text


def test_percent_is_100_only_when_it_is() -> None:
    assert fmt.percent(0.999) == "99 %"
    assert fmt.percent(1.0) == "100 %"
    assert fmt.percent(0.29) == "29 %"


def test_number() -> None:
    assert [fmt.number(value) for value in (None, float("nan"), 0.4123, 12.34, 456.7, 1e-6)] == [
        "n/a", "NaN", "0.412", "12.3", "457", "1.00e-06",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("peak_memory_bytes", 539734016.0, "515 MiB"),
        ("tokens_per_s", 115.63, "116"),
        ("latency_p50_s", 0.507, "0.507"),
        ("cosine", 0.8114, "0.811"),
    ],
)
def test_measured(metric: str, value: float, text: str) -> None:
    assert fmt.measured(metric, value) == text
