"""The sync screen on a real note and a real file: nothing is written before enter, nor over what somebody changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from db.connect import connect
from db.home import Home
from db.tracker import edits
from db.tracker.export import export_to_file
from fada_tui.app import PanelApp
from fada_tui.screens.prompt import PromptScreen
from fada_tui.screens.sync import SyncScreen
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import body, loaded, models
from tests.fada_tui.panel import screen_text

SIZE = (120, 40)


@pytest.fixture
def shared_note(panel_home: Home, tmp_path: Path) -> Path:
    """A file that the note is kept in step with."""
    path = tmp_path / "note.md"
    with closing(connect(panel_home.fada_db)) as conn:
        export_to_file(conn, path)
    return path


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


async def synced(app: PanelApp, pilot: Pilot[str], until: Until, ready: Callable[[SyncScreen], object]) -> SyncScreen:
    """The sync screen once its plan is there."""
    await until(pilot, lambda: loaded(app) and app.dashboard.top.note_file is not None)
    await pilot.press("S")
    await until(pilot, lambda: isinstance(app.screen, SyncScreen) and app.screen.plan is not None)
    screen = app.screen
    assert isinstance(screen, SyncScreen) and ready(screen)
    return screen


async def test_sync_shows_both_ways_and_writes_at_enter(panel_home: Home, shared_note: Path, until: Until) -> None:
    changed(shared_note, "~70% proxy", "~71% proxy")
    with closing(connect(panel_home.fada_db)) as conn:
        edits.set_status(conn, "FetalCLIP", "Available")
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await synced(app, pilot, until, lambda screen: screen.plan and not screen.plan.conflicts)
        text = screen_text(app)
        assert "Comes in from the file: 1 change" in text and "Molmo-7B" in text
        assert "Goes out to the file: 1 change" in text and "FetalCLIP" in text
        assert "71%" not in body(panel_home).decode()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: shared_note.read_bytes() == body(panel_home))
        assert "~71% proxy" in body(panel_home).decode()
        assert models(panel_home)["FetalCLIP"].status == "Available"


@pytest.mark.parametrize(("key", "kept"), [("o", "Available"), ("t", "Tested")])
async def test_a_conflict_waits_for_a_choice(
    panel_home: Home, shared_note: Path, until: Until, key: str, kept: str
) -> None:
    line = "| **FetalCLIP** | MBZUAI | - | 210K fetal US images, foundation model | TODO |"
    changed(shared_note, line, line.replace("TODO", "Tested"))
    with closing(connect(panel_home.fada_db)) as conn:
        edits.set_status(conn, "FetalCLIP", "Available")
    before, on_disk = body(panel_home), shared_note.read_bytes()
    app = PanelApp(panel_home)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await synced(app, pilot, until, lambda screen: screen.plan and len(screen.plan.conflicts) == 1)
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is screen
        assert (body(panel_home), shared_note.read_bytes()) == (before, on_disk)
        await pilot.press(key, "enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert models(panel_home)["FetalCLIP"].status == kept
        assert shared_note.read_bytes() == body(panel_home)


async def test_a_file_that_changes_while_one_chooses_is_left_alone(
    panel_home: Home, shared_note: Path, until: Until
) -> None:
    changed(shared_note, "~70% proxy", "~71% proxy")
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        screen = await synced(app, pilot, until, lambda screen: screen.plan and screen.plan.incoming)
        changed(shared_note, "~71% proxy", "~72% proxy")
        before, on_disk = body(panel_home), shared_note.read_bytes()
        await pilot.press("enter")
        await until(pilot, lambda: screen.plan is None)
        assert "changed while you were choosing" in " ".join(screen_text(app).replace("│", " ").split())
        assert (body(panel_home), shared_note.read_bytes()) == (before, on_disk)
        await pilot.press("enter")
        await until(pilot, lambda: screen.plan is not None)
        assert "72%" in screen_text(app) and (body(panel_home), shared_note.read_bytes()) == (before, on_disk)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert "~72% proxy" in body(panel_home).decode()


async def test_a_note_from_nowhere_asks_for_its_file(panel_home: Home, tmp_path: Path, until: Until) -> None:
    app = PanelApp(panel_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: loaded(app))
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query("#text"))
        app.screen.query_one("#text", Input).value = str(tmp_path / "new.md")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SyncScreen) and app.screen.plan is not None)
        assert "enter writes the note into a new one" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "new.md").exists())
        assert (tmp_path / "new.md").read_bytes() == body(panel_home)
