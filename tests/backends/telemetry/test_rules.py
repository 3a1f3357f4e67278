"""Alerts on any course of readings: raised once, over once, never flapping between the two levels."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.telemetry.rules import Alert, Known, Limit, Reading, Step, alerts_of, step

HOT = {"temperature": Limit(85, 80, 10, 10)}
LOW = {"disk": Limit(5, 7, 0, 0)}
COURSES = st.lists(st.tuples(st.floats(0.1, 30), st.one_of(st.none(), st.floats(60, 100))), max_size=60)


@dataclass
class Course:
    """Steps through readings of one key and keeps what happened."""

    limits: dict[str, Limit]
    kind: str
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.told: list[str] = []

    def go(self, passed: float, value: float | None) -> Step:
        self.now += passed
        found = step(self.known, [Reading("x", self.kind, value, f"at {value}")], self.limits, self.now)
        self.known = found.known
        self.told += ["raised"] * len(found.raised) + ["cleared"] * len(found.cleared)
        return found

    @property
    def up(self) -> bool:
        return bool(alerts_of(self.known))


@given(COURSES)
def test_raised_and_cleared_take_turns(course: list[tuple[float, float | None]]) -> None:
    run = Course(HOT, "temperature")
    for passed, value in course:
        run.go(passed, value)
    assert run.told == (["raised", "cleared"] * len(run.told))[: len(run.told)]
    assert run.up == (len(run.told) % 2 == 1)


@given(COURSES)
def test_raised_only_after_long_enough_above_and_over_only_after_long_enough_below(
    course: list[tuple[float, float | None]],
) -> None:
    run = Course(HOT, "temperature")
    above: float | None = None
    below: float | None = None
    for passed, value in course:
        found = run.go(passed, value)
        if value is None or value < 85:
            above = None
        elif above is None:
            above = run.now
        if value is None or value > 80:
            below = None
        elif below is None:
            below = run.now
        if found.raised:
            assert above is not None and run.now - above >= 10
        if found.cleared:
            assert below is not None and run.now - below >= 10


@given(st.lists(st.floats(80.001, 84.999), max_size=50), st.booleans())
def test_between_the_levels_nothing_changes(values: list[float], up: bool) -> None:
    run = Course(HOT, "temperature")
    if up:
        run.go(1, 90)
        run.go(10, 90)
    before = list(run.told)
    for value in values:
        run.go(20, value)
    assert (run.told, run.up) == (before, up)


@given(st.lists(st.one_of(st.none(), st.just(float("nan"))), max_size=20), st.booleans())
def test_what_is_not_known_neither_raises_nor_clears(values: list[float | None], up: bool) -> None:
    run = Course(HOT, "temperature")
    if up:
        run.go(1, 90)
        run.go(10, 90)
    for value in values:
        run.go(60, value)
    assert run.up == up


def test_low_values_are_bad_where_the_level_that_clears_is_above() -> None:
    run = Course(LOW, "disk")
    for value, up in ((8, False), (5, True), (6.9, True), (7, False), (4, True)):
        run.go(1, value)
        assert run.up == up


def test_a_key_that_is_gone_is_over_and_a_kind_without_a_limit_is_not_watched() -> None:
    run = Course(LOW, "disk")
    run.go(1, 1)
    found = step(run.known, [Reading("y", "unheard of", 1, "")], LOW, run.now)
    assert [alert.key for alert in found.cleared] == ["x"]
    assert found.known == {}


def test_a_clock_that_goes_back_begins_the_time_anew() -> None:
    run = Course(HOT, "temperature")
    run.go(1, 90)
    run.go(-500, 90)
    assert not run.up
    run.go(10, 90)
    assert run.up


def test_an_alert_that_was_told_in_an_earlier_life_is_not_raised_again() -> None:
    alert = Alert("x", "temperature", "at 90", 500.0)
    found = step({"x": Known(alert=alert)}, [Reading("x", "temperature", 91, "at 91")], HOT, 1000.0)
    assert found.raised == ()
    assert alerts_of(found.known) == (Alert("x", "temperature", "at 91", 500.0),)


@pytest.mark.parametrize("value", [85, 100])
def test_the_text_is_that_of_now(value: float) -> None:
    run = Course({"temperature": Limit(85, 80)}, "temperature")
    run.go(1, 99)
    run.go(1, value)
    assert alerts_of(run.known)[0].text == f"at {value}"
