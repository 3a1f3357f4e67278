from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.jobs.admission import GIB, MARGIN, Capacity, Claim, admit, impossible

CARD = Capacity(32 * GIB, 0, 8, "VRAM")


def reasons(waiting: list[Claim], active: list[Claim], capacity: Capacity = CARD) -> list[str | None]:
    return [verdict.reason for verdict in admit(waiting, active, capacity)]


def test_reservations_decide_not_what_is_free_now() -> None:
    first, second, third = (Claim(n, 12 * GIB) for n in (1, 2, 3))
    assert reasons([first, second, third], []) == [None, None, "needs 12.0 GiB of VRAM, 7.5 GiB free"]


def test_what_others_hold_is_not_ours_to_give() -> None:
    busy = Capacity(32 * GIB, 25 * GIB, 8, "VRAM")
    assert reasons([Claim(1, 12 * GIB)], [], busy) == ["needs 12.0 GiB of VRAM, 6.5 GiB free"]


def test_a_small_job_passes_a_large_one_that_waits() -> None:
    assert reasons([Claim(2, 20 * GIB), Claim(3, 5 * GIB)], [Claim(1, 15 * GIB)])[1] is None


def test_an_exclusive_job_runs_alone_and_is_not_starved() -> None:
    tune = Claim(2, 10 * GIB, exclusive=True)
    waits, behind = reasons([tune, Claim(3, GIB)], [Claim(1, GIB)])
    assert waits == "needs the machine alone; waits for #1"
    assert behind == "after #2, which needs the machine alone"
    assert reasons([Claim(3, GIB)], [tune]) == ["#2 has the machine alone"]


def test_what_never_fits_names_both_numbers() -> None:
    assert impossible(Claim(1, 145 * GIB), CARD) == "needs 145.0 GiB of VRAM, this machine has 32.0 GiB"
    assert impossible(Claim(1, 31 * GIB), CARD) is None


def test_slots() -> None:
    assert reasons([Claim(3, 0)], [Claim(1, 0), Claim(2, 0)], Capacity(8 * GIB, 0, 2, "RAM")) == [
        "all 2 slots are taken"
    ]


@given(
    sizes=st.lists(st.tuples(st.integers(0, 40 * GIB), st.booleans()), max_size=12),
    external=st.integers(0, 32 * GIB),
    slots=st.integers(1, 6),
)
def test_never_more_than_there_is(sizes: list[tuple[int, bool]], external: int, slots: int) -> None:
    capacity = Capacity(32 * GIB, external, slots, "VRAM")
    waiting = [Claim(number, size, exclusive) for number, (size, exclusive) in enumerate(sizes, start=1)]
    started = [waiting[verdict.run - 1] for verdict in admit(waiting, [], capacity) if verdict.reason is None]
    assert len(started) <= slots
    assert not started or sum(claim.bytes for claim in started) + external + MARGIN <= capacity.total
    assert not any(claim.exclusive for claim in started) or len(started) == 1
