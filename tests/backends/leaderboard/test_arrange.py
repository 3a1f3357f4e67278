"""Who is ranked with whom, who is not and why, and floors in their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.leaderboard.arrange import arrange
from backends.leaderboard.entries import Entry, Rank, Stated, View
from db.runs.rows import Alarm
from tests.backends.leaderboard.made import DECIDING, candidate, candidates, flat


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.name for entry in entries]


def test_floors_and_references_stand_in_their_place() -> None:
    board = arrange(candidates(candidate(1, 0.45), candidate(2, 0.9), candidate(3, 0.6)))
    [group] = board.groups
    assert names(group.entries) == ["M2", "category_majority", "M3", "majority", "M1", "shuffled"]
    assert [entry.role for entry in group.entries if entry.name != "majority"].count("run") == 3
    shuffled = group.entries[-1]
    assert shuffled.value == 0.45 and shuffled.notes == ("highest of 3 runs, lowest 0.225",)


def test_ranks_are_intervals_where_intervals_overlap() -> None:
    board = arrange(candidates(candidate(1, 0.9), candidate(2, 0.89), candidate(3, 0.5), candidate(4, 0.7, None)))
    ranks = {entry.name: entry.rank for entry in board.groups[0].entries if entry.role == "run"}
    assert ranks == {"M1": Rank(1, 2), "M2": Rank(1, 2), "M3": Rank(3, 3), "M4": None}
    assert all(entry.ranked for entry in board.groups[0].entries if entry.role == "run")


def test_the_least_is_the_best_where_less_is_better() -> None:
    slow, quick = candidate(1, 2.0, lower_is_better=True), candidate(2, 0.5, lower_is_better=True)
    board = arrange(candidates(slow, quick, kind="perf", metric="latency_p50_s"))
    runs = [entry for entry in board.groups[0].entries if entry.role == "run"]
    assert [(entry.name, entry.rank) for entry in runs] == [("M2", Rank(1, 1)), ("M1", Rank(2, 2))]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=12))
def test_a_rank_interval_holds_every_order_that_the_intervals_allow(runs: list[tuple[float, float]]) -> None:
    board = arrange(candidates(*(candidate(at, value, half) for at, (value, half) in enumerate(runs, 1))))
    entries = [entry for entry in board.groups[0].entries if entry.role == "run"]
    for one in entries:
        assert one.rank is not None and one.low is not None and one.high is not None
        others = [other for other in entries if other is not one]
        above = sum(other.low > one.high for other in others if other.low is not None)
        below = sum(other.high < one.low for other in others if other.high is not None)
        assert (one.rank.low, one.rank.high) == (1 + above, len(entries) - below)


def test_a_comparison_of_just_these_runs_gives_their_ranks() -> None:
    found = candidates(candidate(1, 0.9), candidate(2, 0.89))
    compared = {frozenset((1, 2)): {1: Rank(1, 1, 7), 2: Rank(2, 2, 7)}}
    board = arrange(replace(found, compared=compared))
    assert [entry.rank for entry in board.groups[0].entries if entry.role == "run"] == [Rank(1, 1, 7), Rank(2, 2, 7)]
    other = arrange(replace(found, runs=(*found.runs, candidate(3, 0.2)), compared=compared))
    assert other.groups[0].entries[0].rank == Rank(1, 2)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"answered": 500, "failed": 100}, "500 of 600 answered: below 95%"),
        ({"alarms": (Alarm("coverage", None, "few"),)}, "few"),
        ({"alarms": flat("Q1", "Q2")}, "one answer for every image in 2 of 3 questions"),
        ({"partial": True, "state": "running", "progress": (3, 9)}, "still running at 3 of 9"),
        ({"partial": True, "state": "cancelled", "progress": (3, 9)}, "cancelled at 3 of 9"),
        ({"state": "failed"}, "the run is failed"),
        ({"stated": True, "source": "import", "n": 0}, "as stated elsewhere, not scored here"),
        ({"n": 300, "answered": 300}, "300 of the 600 questions that others were asked of this data"),
    ],
)
def test_who_is_not_ranked_is_listed_with_the_reason(parts: dict[str, object], why: str) -> None:
    board = arrange(candidates(candidate(1, 0.6), candidate(2, 0.9, **parts)))
    assert names(board.groups[0].entries)[0] != "M2"
    [entry] = board.unranked
    assert (entry.name, entry.why, entry.rank, entry.ranked) == ("M2", why, None, False)
    assert entry.alarms == parts.get("alarms", ())


def test_one_flat_question_of_many_is_an_alarm_and_no_more() -> None:
    board = arrange(candidates(candidate(1, 0.9, alarms=flat("Q1"), questions=8)))
    assert board.groups[0].entries[0].alarms == flat("Q1") and not board.unranked


def test_a_flat_run_alone_still_has_its_floors() -> None:
    board = arrange(candidates(candidate(1, 0.4, alarms=flat("Q1", "Q2", "Q3"))))
    assert names(board.groups[0].entries) == ["category_majority", "majority", "shuffled"]
    assert names(board.unranked) == ["M1"]


def test_runs_that_were_asked_otherwise_are_a_group_of_their_own() -> None:
    others = [candidate(at, 0.95, deciding=DECIDING | {"max_new_tokens": 8}) for at in (3,)]
    board = arrange(candidates(candidate(1, 0.6), candidate(2, 0.7), *others))
    first, second = board.groups
    assert first.differs == () and second.differs == ("max new tokens 8 instead of 64",)
    assert second.entries[0].rank == Rank(1, 1) and first.entries[0].name == "M2"


def test_an_imported_run_joins_what_it_does_not_contradict() -> None:
    told = {"data": "a" * 64, "scorer": 2}
    joins = candidate(2, 0.8, source="import", deciding=told)
    apart = candidate(3, 0.9, source="import", deciding={"scorer": 2}, data="")
    board = arrange(candidates(candidate(1, 0.6), joins, apart))
    first, second = board.groups
    entry = first.entries[0]
    assert entry.name == "M2" and entry.notes == ("imported", "max new tokens not known")
    assert second.title.startswith("data not known") and "data not known instead of aaaaaaaa" in second.differs


def test_only_the_newest_run_of_a_model_and_adapter() -> None:
    old, new = candidate(1, 0.9, model="M"), candidate(2, 0.6, model="m")
    tuned, put_away = candidate(3, 0.7, model="M", from_run=1), candidate(4, 0.99, model="N", archived=True)
    found = candidates(old, new, tuned, put_away)
    board = arrange(found)
    assert [entry.run for entry in board.groups[0].entries if entry.run] == [3, 2] and board.older == 1
    everything = arrange(found, View(newest=False))
    assert [entry.run for entry in everything.groups[0].entries if entry.run] == [4, 1, 3, 2]


def test_a_newer_run_that_cannot_be_ranked_hides_no_older_one() -> None:
    good, lost = candidate(1, 0.9, model="M"), candidate(2, 0.6, model="M", answered=300, failed=300)
    board = arrange(candidates(good, lost))
    assert [entry.run for entry in board.groups[0].entries if entry.run] == [1]
    assert [entry.run for entry in board.unranked] == [2] and board.older == 0
    board = arrange(candidates(good, lost, candidate(3, 0.8, model="M")))
    assert [entry.run for entry in board.groups[0].entries if entry.run] == [3]
    assert board.unranked == () and board.older == 2


def test_other_versions_are_noted() -> None:
    runs = [candidate(at, 0.5 + at / 10) for at in (1, 2)]
    board = arrange(candidates(*runs, candidate(3, 0.9, minor={"torch": "2.12.0"})))
    notes = {entry.name: entry.notes for entry in board.groups[0].entries if entry.role == "run"}
    assert notes == {"M1": (), "M2": (), "M3": ("torch 2.12.0 (most: 2.13.0)",)}


def test_what_the_note_states_stands_apart() -> None:
    stated = (Stated("Qwen2.5-VL-7B", 0.811, 600, False, "81.1% GT"), Stated("Molmo", 0.7, None, True, "~70%"))
    board = arrange(candidates(candidate(1, 0.6), stated=stated))
    assert "Qwen2.5-VL-7B" not in names(board.groups[0].entries)
    assert names(board.stated) == ["Qwen2.5-VL-7B", "Molmo"] and "about" in board.stated[1].notes


def test_published_rows_stand_beside_the_first_group() -> None:
    other = candidate(2, 0.5, deciding=DECIDING | {"scorer": 1})
    board = arrange(candidates(candidate(1, 0.3), other, kind="fetal-gauge", metric="accuracy"))
    published = [[entry for entry in group.entries if entry.role == "published"] for group in board.groups]
    assert len(published[0]) == 9 and not published[1]
    assert published[0][1].name == "GPT-5" and published[0][1].notes == ("zero-shot", "published, second-hand")
    assert not any(entry.ranked for entry in published[0])


def test_a_filter_leaves_no_group_without_a_run() -> None:
    flat_one = candidate(3, 0.5, deciding=DECIDING | {"scorer": 0}, state="failed")
    found = candidates(candidate(1, 0.3), candidate(2, 0.5, deciding=DECIDING | {"scorer": 1}), flat_one)
    for text, floors in (("m1", 2), ("m2", 2), ("m3", 2), ("nobody", 0)):
        board = arrange(found, View(text=text))
        shown = [entry for group in board.groups for entry in group.entries]
        assert [entry.name for entry in shown if entry.role == "run"] == (
            [text.upper()] if text in ("m1", "m2") else []
        )
        assert len([entry for entry in shown if entry.role == "floor"]) == floors
        assert not any(group.differs for group in board.groups), "nothing else is there to differ from"


def test_filter_and_order() -> None:
    found = candidates(*(candidate(at, 0.4 + at / 10, gain=-at / 10, model=f"Model-{9 - at}") for at in (1, 2, 3)))
    shown = arrange(found, View(text="model-7"))
    assert [entry.run for entry in shown.groups[0].entries if entry.run] == [2]
    for sort, order in {"value": [3, 2, 1], "gain": [1, 2, 3], "model": [3, 2, 1], "newest": [3, 2, 1]}.items():
        board = arrange(found, View(sort=sort))
        assert [entry.run for entry in board.groups[0].entries if entry.run] == order
