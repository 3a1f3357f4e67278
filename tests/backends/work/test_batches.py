"""Which questions are asked together follows from the data and the remembered sizes, whatever is answered already."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.data.sample import Sample
from backends.work.batches import WINDOW, Batch, BatchPlan


def _samples(lengths: list[int]) -> list[Sample]:
    return [
        Sample(f"{at}#q", f"{at}.png", Path(f"{at}.png"), None, "q" * length, "q", "r")
        for at, length in enumerate(lengths)
    ]


def _ids(batches: list[Batch]) -> list[list[str]]:
    return [[sample.id for sample in batch.samples] for batch in batches]


def test_a_window_is_sorted_by_length_and_windows_stay_in_order() -> None:
    samples = _samples([1, 9, 4] * WINDOW)
    asked = [sample for batch in BatchPlan(samples, 2).batches() for sample in batch.samples]
    for at in range(0, len(samples), 2 * WINDOW):
        window, planned = samples[at : at + 2 * WINDOW], asked[at : at + 2 * WINDOW]
        assert {sample.id for sample in window} == {sample.id for sample in planned}
        lengths = [len(sample.question) for sample in planned]
        assert lengths == sorted(lengths, reverse=True)


def test_the_system_message_counts_and_equal_questions_stand_together() -> None:
    texts = ["which plane", "is it good?", "which plane", "is it good?"]
    samples = [Sample(str(at), "i", Path("i"), None, text, "q", "r") for at, text in enumerate(texts)]
    samples.append(Sample("long", "i", Path("i"), None, "?", "q", "r", system="x" * 99))
    assert [sample.id for sample in BatchPlan(samples, 8).samples] == ["long", "1", "3", "0", "2"]


@given(
    lengths=st.lists(st.integers(0, 5), max_size=60),
    size=st.integers(1, 9),
    shrinks=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=3),
    data=st.data(),
)
def test_a_resumed_plan_has_the_same_batches(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    size: int,
    shrinks: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    samples, path = _samples(lengths), tmp_path_factory.mktemp("plan") / "batches.json"
    plan = BatchPlan(samples, size, path)
    for number, smaller in shrinks:
        batches = list(plan.batches())
        if number < len(batches):
            plan.shrink(batches[number].start, smaller)
    whole = _ids(list(plan.batches()))
    assert sorted(one for batch in whole for one in batch) == sorted(sample.id for sample in samples)
    done = data.draw(st.sets(st.sampled_from(samples))) if samples else set()
    skip = {sample.id for sample in done}
    again = BatchPlan(samples, data.draw(st.integers(1, 9)), path)
    assert _ids(list(again.batches(skip))) == [batch for batch in whole if not skip.issuperset(batch)]
    assert again.batch_size == plan.batch_size


def test_a_smaller_size_holds_from_its_place_on() -> None:
    plan = BatchPlan(_samples([1] * 10), 4)
    plan.shrink(4, 2)
    assert [len(batch.samples) for batch in plan.batches()] == [4, 2, 2, 2]
    assert [batch.start for batch in plan.batches(start=6)] == [6, 8]
    plan.shrink(4, 1)  # at the same place again: the first was never used
    assert [len(batch.samples) for batch in plan.batches()] == [4, *[1] * 6]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"window": 8, "sizes": []}',
        '{"window": 0, "sizes": [[0, 4]]}',
        '{"window": 8, "sizes": [[1, 4]]}',
        '{"window": 8, "sizes": [[0, 0]]}',
        '{"window": 8, "sizes": [[0, 4], [0, 2]]}',
        '{"window": 8, "sizes": [3]}',
    ],
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "batches.json"
    path.write_text(text)
    assert BatchPlan(_samples([1] * 9), 3, path).batch_size == 3
    assert BatchPlan(_samples([1] * 9), 5, path).batch_size == 3
