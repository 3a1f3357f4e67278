"""What a HOME holds, looked at beside the panel that works on it."""

from __future__ import annotations

from contextlib import closing

from textual.pilot import Pilot

from db.connect import connect
from db.home import Home
from db.tracker.export import export_note
from db.tracker.queries import history, list_items, load_tracker
from db.tracker.rows import Model
from fada_tui.app import PanelApp


def loaded(app: PanelApp) -> bool:
    return app.dashboard.tracker.tracker is not None and app.dashboard.tracker.key is not None


def models(home: Home) -> dict[str, Model]:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return {model.name: model for model in load_tracker(conn).models}


def done(home: Home) -> set[int]:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return {item.number for item in list_items(conn) if item.done}


def body(home: Home) -> bytes:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return export_note(conn)


def entries(home: Home) -> int:
    with closing(connect(home.fada_db, read_only=True)) as conn:
        return sum(not change.undone for change in history(conn, limit=None))


async def choose(app: PanelApp, pilot: Pilot[str], key: str) -> None:
    assert app.dashboard.tracker.choose(key)
    await pilot.pause()
