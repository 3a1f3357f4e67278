"""What lies ahead of the queue, in words."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backends.jobs.forecast import Forecast, Span
from db.runs.rows import Run
from fada_tui.sources.prospects import done_words, next_after
from tests.fada_tui import panel

NOW = time.mktime((2026, 1, 27, 7, 0, 0, 0, 0, -1))
RUNNING, QUEUED, LAST = panel.run(1), panel.run(2, "queued"), panel.run(3, "queued")


def forecast(*ends: float | None, unknown: tuple[int, ...] = ()) -> Forecast:
    spans = tuple(Span(number, NOW, end) for number, end in enumerate(ends, 1))
    known = [end for end in ends if end is not None]
    return Forecast(spans, max(known) if known and len(known) == len(ends) else None, unknown)


@pytest.mark.parametrize(
    ("found", "live", "said", "short"),
    [
        (Forecast((), None, ()), [], "", ""),
        (forecast(NOW + 2400), [RUNNING], "done by 07:40", "done by 07:40"),
        (
            forecast(NOW + 2400, None, unknown=(2,)),
            [RUNNING, QUEUED],
            "how long #2 will take is not known; the others by 07:40",
            "end of #2 not known",
        ),
        (forecast(None), [replace(RUNNING, state="paused")], "#1 paused", "#1 paused"),
        (forecast(None), [QUEUED, replace(LAST, state="held")], "waits for what is held", "waits for what is held"),
        (forecast(None), [replace(QUEUED, state="held")], "", ""),
    ],
)
def test_the_end_of_the_queue_in_words(found: Forecast, live: list[Run], said: str, short: str) -> None:
    assert done_words(found, live, NOW) == (said, short)


def test_what_starts_when_another_ends_comes_next_after_it() -> None:
    spans = (Span(1, NOW, NOW + 60), Span(2, NOW + 60, NOW + 90), Span(3, None, None))
    assert next_after(Forecast(spans, None, (3,)), [RUNNING, QUEUED, LAST]) == {2: 1}
