"""Whose memory: the parts make up what is in use, whatever processes claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.telemetry.owners import shares
from backends.telemetry.sample import Gpu, GpuProcess

SIZES = st.one_of(st.none(), st.integers(0, 40))
PROCESSES = st.lists(
    st.builds(
        GpuProcess,
        st.integers(1, 99),
        SIZES,
        st.sampled_from([None, "ada", "bob"]),
        st.sampled_from([None, None, 7, 8]),
    ),
    max_size=8,
)


def card(total: int | None, used: int | None, *processes: GpuProcess) -> Gpu:
    return Gpu(0, "Card", "u", None, used, total, None, None, None, processes)


@given(st.integers(1, 64), st.integers(0, 64), PROCESSES)
def test_the_parts_make_up_what_is_in_use(total: int, used: int, processes: list[GpuProcess]) -> None:
    found = shares(card(total, used, *processes))
    assert found is not None
    parts = [*found.by_run.values(), *found.by_user.values(), found.unknown]
    assert sum(parts) == used
    assert min(parts) >= 0
    assert found.free == max(0, total - used)


def test_jobs_users_and_what_nobody_can_be_named_for() -> None:
    processes = (GpuProcess(1, 10, "me", 7), GpuProcess(2, 4, "bob"), GpuProcess(3, 3, None), GpuProcess(4, 2, "me", 7))
    found = shares(card(32, 20, *processes))
    assert found is not None
    assert (found.by_run, found.by_user, found.unknown, found.free) == ({7: 12}, {"bob": 4}, 4, 12)
    hidden = shares(card(32, 20, GpuProcess(1, None, "me", 7)))
    assert hidden is not None
    assert (hidden.by_run, hidden.unknown, hidden.silent_runs) == ({7: 0}, 20, (7,))
    assert shares(card(None, None)) is None
