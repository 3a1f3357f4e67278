"""What lies ahead of the queue."""

from __future__ import annotations

from backends.jobs.forecast import Forecast, Span
from fada_tui.sources.prospects import next_after
from tests.fada_tui import panel

NOW = 1_700_000_000.0


def test_what_starts_when_another_ends_comes_next_after_it() -> None:
    spans = (Span(1, NOW, NOW + 60), Span(2, NOW + 60, NOW + 90), Span(3, None, None))
    live = [panel.run(1), panel.run(2, "queued"), panel.run(3, "queued")]
    assert next_after(Forecast(spans, None, (3,)), live) == {2: 1}
