from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from backends.scoring.answer import Answer
from backends.scoring.score import score_answers
from backends.work import live as module
from backends.work.live import CHUNK, LiveScores

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORE_EVERY_S", 0.0)


def _answers(images: int) -> dict[str, Answer]:
    """Four questions an image; all of one image in four are wrong."""
    return {
        f"{image}#Q{q}": Answer(f"{image}#Q{q}", str(image), "c", f"Q{q}", "yes", "yes" if image % 4 else "no")
        for image in range(images)
        for q in range(4)
    }


def _count(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    return [{"n": len(answers)}]


def test_scores_grow_over_whole_chunks_in_the_order_of_the_data() -> None:
    answers, told, taken = _answers(100), [], []  # type: ignore[var-annotated]
    ids = list(answers)
    late = [*ids[CHUNK:], *ids[:CHUNK]]  # the first chunk is answered last
    with LiveScores(ids, _count, lambda **row: told.append(row["n"]), taken.append) as live:
        so_far: dict[str, Answer] = {}
        for one in late:
            so_far[one] = answers[one]
            live.feed(so_far)
            assert one == late[-1] or not taken
    assert [answer.id for chunk in taken for answer in chunk] == ids
    assert [len(chunk) for chunk in taken] == [CHUNK] * (400 // CHUNK) + [400 % CHUNK]
    assert told[-1] == 400 and told == sorted(set(told))


def test_a_backlog_holds_no_score_back() -> None:
    answers, told, fed = _answers(100), [], threading.Event()  # type: ignore[var-annotated]

    def tell(**row: int) -> None:
        told.append(row["n"])

    with LiveScores(list(answers), _count, tell, lambda chunk: fed.wait(10)) as live:
        live.feed(answers)
        fed.set()
    assert told[0] == CHUNK and told[-1] == 400


def test_chunks_are_the_same_wherever_a_run_was_interrupted() -> None:
    answers = _answers(50)
    found = []
    for steps in (1, 7, 200):
        taken: list[Sequence[Answer]] = []
        with LiveScores(list(answers), _count, lambda **row: None, taken.append) as live:
            for end in range(steps, 200 + steps, steps):
                live.feed(dict(list(answers.items())[:end]))
        found.append([[answer.id for answer in chunk] for chunk in taken])
    assert found[0] == found[1] == found[2]


def test_an_interval_comes_with_enough_images() -> None:
    answers, told = _answers(64), []  # type: ignore[var-annotated]

    def measure(some: Sequence[Answer]) -> list[dict[str, Any]]:
        return score_answers(some, resamples=500, partial=True)[:1]

    with LiveScores(list(answers), measure, lambda **row: told.append(row)) as live:
        live.feed(answers)
    assert told[-1]["partial"] and told[-1]["interval"] == "bca"
    assert told[-1]["ci_low"] < told[-1]["value"] == 0.75 < told[-1]["ci_high"]


def test_what_goes_wrong_in_the_thread_is_raised_outside() -> None:
    def broken(answers: Sequence[Answer]) -> None:
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError), LiveScores(list(_answers(20)), _count, lambda **row: None, broken) as live:
        live.feed(_answers(20))
    assert not any(thread.name == "scores" for thread in threading.enumerate())


def test_an_error_in_the_run_is_not_replaced_and_ends_the_thread() -> None:
    with pytest.raises(KeyError), LiveScores(list(_answers(20)), _count, lambda **row: None) as live:
        live.feed(_answers(20))
        raise KeyError("the run's own")
    assert not any(thread.name == "scores" for thread in threading.enumerate())


def test_a_stop_waits_for_no_backlog() -> None:
    go, taken = threading.Event(), []  # type: ignore[var-annotated]

    def take_in(answers: Sequence[Answer]) -> None:
        taken.append(len(answers))
        go.wait(10)

    told: list[int] = []
    with LiveScores(list(_answers(100)), _count, lambda **row: told.append(row["n"]), take_in) as live:
        live.feed(_answers(100))
        while not taken:
            pass
        live.hurry()
        go.set()
    assert taken == [CHUNK] and told[-1:] == [CHUNK]
