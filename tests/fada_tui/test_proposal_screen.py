"""What a finished run proposes is looked at, edited, taken over, dismissed or left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from db.tracker.rows import Proposal, Tracker
from fada_tui.app import PanelApp
from fada_tui.messages import ProposalsLoaded, TrackerLoaded
from fada_tui.screens.accept import AcceptScreen, Decision
from tests.fada_tui import panel
from tests.fada_tui.panel import feed, make_app, screen_text

MODEL = panel.TRACKER.models[0]
PROPOSAL = Proposal(
    MODEL.name, MODEL.status, "Tested", 12, "gt", 1000.0, "81.1% GT (600 samples)", ("97 % of 600 answers are alike",)
)
WORDS = "88.9% proxy, needs GT eval; 81.1% GT (600 samples)"


def numbered(tracker: Tracker) -> Tracker:
    """The models with places in the note of their own."""
    places = iter(range(len(tracker.models)))
    return replace(
        tracker,
        sections=tuple(
            replace(section, models=tuple(replace(model, position=next(places)) for model in section.models))
            for section in tracker.sections
        ),
    )


async def asked(app: PanelApp, pilot: Pilot[str]) -> list[Decision | None]:
    answers: list[Decision | None] = []
    app.push_screen(AcceptScreen(MODEL, PROPOSAL), answers.append)
    await pilot.pause()
    return answers


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_status_score_notes_and_alarms_are_shown_before_anything_is_written(size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await asked(app, pilot)
        text = screen_text(app)
        for part in ("Run #12 proposes", "Proxy tested → Tested", "81.1% GT (600 samples)", "⚠ 97 % of 600", "later"):
            assert part in text


@pytest.mark.parametrize(
    ("keys", "decision"),
    [
        (["enter"], Decision(True, WORDS)),
        (["n", "end", "!", "enter"], Decision(True, f"{WORDS}!")),
        (["d"], Decision(False)),
        (["escape"], None),
        (["n", "d", "escape"], None),
    ],
)
async def test_keys_decide(keys: list[str], decision: Decision | None) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        answers = await asked(app, pilot)
        await pilot.press(*keys)
        assert answers == [decision]


async def test_notes_put_back_as_they_were_are_left_alone() -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        answers = await asked(app, pilot)
        app.screen.query_one("#notes", Input).value = MODEL.notes or ""
        await pilot.press("enter")
        assert answers == [Decision(True, None)]


async def test_notes_that_cannot_be_shown_as_they_are_stay_as_they_are() -> None:
    model = replace(MODEL, notes="a\tb")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        answers: list[Decision | None] = []
        app.push_screen(AcceptScreen(model, PROPOSAL), answers.append)
        await pilot.pause()
        await pilot.press("enter")
        assert answers == [Decision(True, "a\tb; 81.1% GT (600 samples)")]


async def test_p_opens_the_chosen_one_or_goes_to_the_next() -> None:
    second = panel.TRACKER.models[3]
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        feed(app, panel.RUNS, panel.RUN_VIEW, panel.GPU)
        app.post_message(TrackerLoaded(numbered(panel.TRACKER)))
        await pilot.pause()
        await pilot.press("p")
        assert app.screen is app.dashboard
        other = replace(PROPOSAL, model=second.name, current=second.status, run=13)
        app.post_message(ProposalsLoaded({MODEL.name: PROPOSAL, second.name: other}))
        await pilot.pause()
        assert app.dashboard.tracker.choose("item:1")
        await pilot.press("p")
        assert isinstance(app.screen, AcceptScreen) and "Run #12 proposes" in screen_text(app)
        await pilot.press("escape", "j", "p")
        assert isinstance(app.screen, AcceptScreen) and "Run #13 proposes" in screen_text(app)
        await pilot.press("escape")
        assert app.dashboard.tracker.key == f"model:{second.name}"
