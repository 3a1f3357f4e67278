"""What a limit takes: a seeded sample, or for training a stratified one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from backends.data.door import open_data
from backends.data.sample import Sample
from backends.data.subset import STRATIFIED, choose, choose_stratified


def data(**counts: int) -> list[Sample]:
    """So many samples of each category, sorted by it as FADA's files are, two questions in turn."""
    return [
        Sample(f"{name}/{at}#Q{at % 2}", f"{name}/{at}.png", Path("x"), name, "q", f"Q{at % 2}", "a")
        for name, count in counts.items()
        for at in range(count)
    ]


def held(samples: list[Sample]) -> Counter[tuple[str | None, str]]:
    return Counter((sample.category, sample.topic) for sample in samples)


def test_each_category_and_question_has_its_share() -> None:
    samples = data(Abdomen=600, Femur=300, Thorax=100)
    taken = held(choose_stratified(samples, 100))
    assert sum(taken.values()) == 100
    assert all(abs(taken["Abdomen", f"Q{n}"] - 30) <= 1 and abs(taken["Thorax", f"Q{n}"] - 5) <= 1 for n in range(2))


def test_what_is_rare_is_never_left_out() -> None:
    samples = data(Abdomen=5000, Femur=2)
    assert all(held(choose_stratified(samples, 4, seed))["Femur", f"Q{n}"] == 1 for seed in range(20) for n in range(2))
    assert any(not held(choose(samples, 4, seed))["Femur", "Q0"] for seed in range(20)), "the plain draw does"


@pytest.mark.parametrize("limit", [1, 3, 5, 6, 7, 50, 99])
def test_exactly_so_many_in_file_order_the_same_ones_each_time(limit: int) -> None:
    samples = data(A=60, B=30, C=11)
    taken = choose_stratified(samples, limit, seed=3)
    assert len(taken) == limit and taken == [sample for sample in samples if sample in taken]
    assert taken == choose_stratified(iter(samples), limit, seed=3)
    assert {one.id for one in taken} == {one.id for one in choose_stratified(samples[::-1], limit, seed=3)}
    if limit < 99:
        assert taken != choose_stratified(samples, limit, seed=4)


def test_no_limit_and_a_larger_one_take_all() -> None:
    samples = data(A=4, B=3)
    assert (
        choose_stratified(samples, None) == choose_stratified(samples, 7) == choose_stratified(samples, 99) == samples
    )


def test_evaluations_draw_as_ever(phantom_set: dict[str, str]) -> None:
    path = Path(phantom_set["test"])
    plain = list(open_data(path, "gt", limit=7))
    assert plain == choose(open_data(path, "gt"), 7)
    stratified = list(open_data(path, "finetune", limit=7, sampling=STRATIFIED))
    assert stratified == choose_stratified(open_data(path, "finetune"), 7)
