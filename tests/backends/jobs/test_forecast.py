"""When the queue should be finished: by the rules of admission, and unknown where something is unknown."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.jobs import store
from backends.jobs.admission import GIB, Capacity, Claim, admit
from backends.jobs.forecast import Past, Span, Work, clock, expected_seconds, forecast, in_words
from backends.jobs.ingest import adopt, ingest
from backends.jobs.outlook import outlook
from db.home import Home

NOW = 1_700_000_000.0
TWO = Capacity(32 * GIB, 0, 2, "VRAM")
ONE = Capacity(32 * GIB, 0, 1, "VRAM")


def queued(run: int, seconds: float | None, *after: int, reserved: int = 0, exclusive: bool = False) -> Work:
    return Work(run, "queued", seconds, after, reserved, exclusive)


def test_one_slot_adds_up() -> None:
    found = forecast([Work(1, "running", 60), queued(2, 100), queued(3, 40)], ONE, NOW)
    assert found.spans == (Span(1, NOW, NOW + 60), Span(2, NOW + 60, NOW + 160), Span(3, NOW + 160, NOW + 200))
    assert (found.done_at, found.unknown) == (NOW + 200, ())


def test_memory_and_exclusivity_decide_who_runs_together() -> None:
    big = forecast([queued(1, 10, reserved=20 * GIB), queued(2, 10, reserved=20 * GIB)], TWO, NOW)
    assert big.done_at == NOW + 20
    small = forecast([queued(1, 10, reserved=10 * GIB), queued(2, 10, reserved=10 * GIB)], TWO, NOW)
    assert small.done_at == NOW + 10
    alone = forecast([queued(1, 10), queued(2, 10, exclusive=True), queued(3, 10)], TWO, NOW)
    assert alone.spans == (Span(1, NOW, NOW + 10), Span(2, NOW + 10, NOW + 20), Span(3, NOW + 20, NOW + 30))


def test_dependants_start_when_their_parents_end() -> None:
    found = forecast([queued(1, 30), queued(2, 5), queued(3, 1, 1, 2)], TWO, NOW)
    assert found.span(3) == Span(3, NOW + 30, NOW + 31)


def test_what_is_unknown_is_said_and_holds_up_only_what_needs_it() -> None:
    found = forecast([Work(1, "running", None), queued(2, 10), queued(3, 5, 1)], TWO, NOW)
    assert (found.done_at, found.unknown) == (None, (1,))
    assert found.spans == (Span(1, NOW, None), Span(2, NOW, NOW + 10), Span(3, None, None))
    assert in_words(found, NOW) == (
        f"how long #1 will take is not known; what can be foreseen by {clock(NOW + 10, NOW)}",
        "end of #1 not known",
    )


def test_held_and_paused_runs_wait_for_a_person() -> None:
    found = forecast([Work(1, "held", 10), queued(2, 10), queued(3, 10, 1)], TWO, NOW)
    assert found.span(1) == Span(1, None, None) and found.span(3) == Span(3, None, None)
    assert found.done_at is None
    assert forecast([Work(1, "held", 10), queued(2, 10)], TWO, NOW).done_at == NOW + 10
    assert in_words(forecast([Work(1, "held", 10), queued(2, 10)], TWO, NOW), NOW).long.endswith(" without #1, held")
    assert in_words(found, NOW).long.startswith("#3 behind what is held; what can be foreseen by ")
    paused = forecast([Work(1, "paused", 10), queued(2, 10, 1)], TWO, NOW)
    assert (paused.done_at, paused.unknown) == (None, ())
    assert in_words(paused, NOW) == ("#1 paused", "#1 paused")


def test_what_others_hold_leaves_no_room_and_that_is_said() -> None:
    full = Capacity(32 * GIB, 30 * GIB, 2, "VRAM")
    found = forecast([queued(1, 10, reserved=8 * GIB), queued(2, 10, 1), queued(3, None)], full, NOW)
    assert found.no_room == (1,)
    said = in_words(found, NOW)
    assert said.long == "how long #3 will take is not known; #1 does not fit beside what others hold"
    assert forecast([Work(1, "running", None, (), 30 * GIB), queued(2, 10, reserved=8 * GIB)], TWO, NOW).no_room == ()


def test_nothing_to_do_has_no_words() -> None:
    assert in_words(forecast([], TWO, NOW), NOW) == ("", "")
    assert in_words(forecast([Work(1, "held", 60)], TWO, NOW), NOW) == ("", "")
    words = in_words(forecast([queued(1, 60)], TWO, NOW), NOW).long
    assert words == f"done by {time.strftime('%H:%M', time.localtime(NOW + 60))}"
    assert clock(NOW + 3 * 86_400, NOW) == time.strftime("%a %H:%M", time.localtime(NOW + 3 * 86_400))
    assert clock(NOW + 30 * 86_400, NOW) == time.strftime("%d %b %H:%M", time.localtime(NOW + 30 * 86_400))


WORKS = st.lists(
    st.tuples(
        st.sampled_from(["queued", "queued", "running", "held", "paused"]),
        st.one_of(st.none(), st.integers(0, 500).map(float), st.integers(0, 500).map(float)),
        st.integers(0, 40),
        st.booleans(),
        st.integers(0, 8),
    ),
    max_size=8,
)


@given(parts=WORKS, slots=st.integers(1, 3))
def test_the_rules_of_admission_hold_at_every_moment(parts: list[tuple[Any, ...]], slots: int) -> None:
    capacity = Capacity(32 * GIB, 0, slots, "VRAM")
    works = [
        Work(
            run,
            state,
            seconds,
            (parent,) if 0 < parent < run and state == "queued" else (),
            memory * GIB // 2,
            alone and state == "queued",
        )
        for run, (state, seconds, memory, alone, parent) in enumerate(parts, 1)
    ]
    found = forecast(works, capacity, NOW)
    spans = {span.run: span for span in found.spans}
    by_run = {work.run: work for work in works}
    for work in works:
        span = spans[work.run]
        if work.state == "queued" and span.start is not None:
            assert span.start >= NOW
            for parent in work.after:
                end = spans[parent].end
                assert end is not None and span.start >= end
            beside = [
                by_run[other.run]
                for other in spans.values()
                if other.start is not None
                and other.start <= span.start
                and (other.end is None or other.end > span.start)
            ]
            if span.end is None or span.end > span.start:
                old = [one for one in beside if one.state != "queued"]
                assert len(beside) <= max(slots, len(old) + 1)
                assert not work.exclusive or beside == [work]
                if len(beside) > len(old) > 0 or not old:
                    assert sum(one.reserved for one in beside) <= 32 * GIB
    ends = [spans[work.run].end for work in works if work.state != "held"]
    if found.done_at is not None:
        assert found.done_at == max(end for end in ends if end is not None) and None not in ends
    elif ends:
        assert None in ends


@given(parts=WORKS, slots=st.integers(1, 3))
def test_a_queue_that_is_worked_second_by_second_ends_when_it_was_said(
    parts: list[tuple[Any, ...]], slots: int
) -> None:
    """A dispatcher that admits at every second, and jobs that take as long as they were said to."""
    capacity = Capacity(32 * GIB, 0, slots, "VRAM")
    works = [
        Work(run, state, (seconds or 0) // 10, (parent,) if parent < run and state == "queued" else (), memory * GIB)
        for run, (state, seconds, memory, _, parent) in enumerate(parts, 1)
        if state in ("queued", "running")
    ]
    works = [
        replace(work, after=tuple(one for one in work.after if any(w.run == one for w in works))) for work in works
    ]
    left = {work.run: work.seconds or 0 for work in works}
    active = [work for work in works if work.state == "running"]
    waiting = [work for work in works if work.state == "queued"]
    over: dict[int, float] = {}
    for second in range(2000):
        while True:  # what ends at this second makes room at this second
            for work in [one for one in active if left[one.run] <= 0]:
                active.remove(work)
                over[work.run] = NOW + second
            ready = [work for work in waiting if all(parent in over for parent in work.after)]
            claims = [[Claim(work.run, work.reserved) for work in group] for group in (ready, active)]
            started = [one.run for one in admit(claims[0], claims[1], capacity) if one.reason is None]
            active += [work for work in waiting if work.run in started]
            waiting = [work for work in waiting if work.run not in started]
            if not started:
                break
        for work in active:
            left[work.run] -= 1
    found = forecast(works, capacity, NOW)
    assert {span.run: span.end for span in found.spans if span.end is not None} == over
    assert found.no_room == tuple(work.run for work in waiting if set(work.after) <= over.keys())


EVAL = {"kind": "eval", "task": "gt", "model": {"source": "m", "name": "m", "from_run": None}, "data": {"samples": 100}}


def test_earlier_runs_like_it_say_how_long_it_takes() -> None:
    def spec(**changes: Any) -> dict[str, Any]:
        return {**EVAL, **changes}

    pasts = [
        Past(spec(task="proxy"), 5.0),
        Past(spec(data={"samples": 1000}), 900.0),
        Past(EVAL, 50.0),
        Past(EVAL, 70.0),
    ]
    assert expected_seconds(EVAL, pasts) == 50.0
    assert expected_seconds(spec(data={"samples": 300}), pasts) == pytest.approx(270.0)
    assert expected_seconds(spec(data={"samples": 5}), pasts) is None
    assert expected_seconds(spec(model={"source": "n"}), pasts) is None
    run = {"kind": "run", "command": ["a"]}
    assert expected_seconds(run, [Past({"kind": "run", "command": ["b"]}, 3.0), Past(run, 4.0)]) == 4.0


def test_the_present_queue(home: Home, runs_conn: sqlite3.Connection) -> None:
    def add(**parts: Any) -> int:
        run_id = store.allocate(home)
        store.create(home, run_id, {**EVAL, "created": 1.0, **parts})
        adopt(runs_conn, home, run_id)
        ingest(runs_conn, home, run_id)
        return run_id

    past = add()
    store.write_attempt(home.run_dir(past), store.Attempt(1, started=1000.0, ended=1080.0, exit_code=0))
    ingest(runs_conn, home, past)
    first = add()
    second = add(after=[first], data={"samples": 50})
    unlike = add(task="proxy")
    found = outlook(runs_conn, NOW)
    assert found.unknown == (unlike,) and found.done_at is None
    runs_conn.execute("UPDATE runs SET state = 'cancelled' WHERE id = ?", (unlike,))
    found = outlook(runs_conn, NOW)
    assert found.span(second) == Span(second, NOW + 80, NOW + 120)
    assert found.done_at == NOW + 120
    with (home.run_dir(first) / "events.jsonl").open("w") as file:
        for done in range(4):
            event = {"t": NOW + done * 2, "kind": "progress", "done": done, "total": 13, "unit": "q", "phase": "ask"}
            file.write(json.dumps(event) + "\n")
    ingest(runs_conn, home, first)
    runs_conn.execute("UPDATE runs SET state = 'running', started = ? WHERE id = ?", (NOW, first))
    assert outlook(runs_conn, NOW).span(first) == Span(first, NOW, NOW + 20)


def test_pauses_are_nobodys_time(home: Home, runs_conn: sqlite3.Connection) -> None:
    def add(attempt: store.Attempt | None) -> int:
        run_id = store.allocate(home)
        store.create(home, run_id, {**EVAL, "created": 1.0})
        if attempt:
            store.write_attempt(home.run_dir(run_id), attempt)
        adopt(runs_conn, home, run_id)
        ingest(runs_conn, home, run_id)
        return run_id

    add(store.Attempt(1, started=1000.0, ended=1480.0, exit_code=0, pauses=((1010.0, 1400.0), (1410.0, 1420.0))))
    waiting = add(None)
    assert outlook(runs_conn, NOW).span(waiting) == Span(waiting, NOW, NOW + 80)
    live = store.Attempt(1, started=NOW - 100, pauses=((NOW - 90, NOW - 30),))
    store.write_attempt(home.run_dir(waiting), live)
    runs_conn.execute("UPDATE runs SET state = 'running', started = ? WHERE id = ?", (NOW - 100, waiting))
    assert outlook(runs_conn, NOW).span(waiting) == Span(waiting, NOW, NOW + 40)
    assert outlook(runs_conn, NOW + 50).unknown == (waiting,)
