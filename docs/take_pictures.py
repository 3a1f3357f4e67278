"""The pictures of the README, from a real run: the demo in a HOME of its own, the panel on it, its keys pressed.

``make pictures`` writes docs/pictures/*.svg; it takes as long as the demo does, a minute or two.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from db.home import Home
from fada_tui.app import PanelApp

PICTURES = Path(__file__).parent / "pictures"
SIZE = (120, 36)
PATIENCE_S = 1200.0
_STEP_S = 0.25


def main() -> None:
    """Make a HOME, run, take the pictures, and leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="fada-pictures-"))
    try:
        # The command makes the databases; the panel would have a subprocess of its own do it.
        subprocess.run([sys.executable, "-P", "-m", "fada_tui", "--home", folder, "jobs"], check=True)
        asyncio.run(_take(Home(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _take(home: Home) -> None:
    app = PanelApp(home)
    async with app.run_test(size=SIZE) as pilot:
        dashboard = app.dashboard
        await _until(pilot, lambda: dashboard.tracker.tracker is not None and dashboard.top.telemetry.newest)
        await pilot.press("D")
        await _until(pilot, lambda: _state(app, 3) == "running" and _fraction(app, 3) > 0.45)
        await pilot.press("2")
        await _until(pilot, lambda: dashboard.run_pane.view is not None and dashboard.run_pane.view.run.id == 3)
        await _until(pilot, lambda: _fraction(app, 3) > 0.6)
        _save(app, "running")
        await _until(pilot, lambda: _state(app, 4) == "done")
        await _until(pilot, lambda: bool(app.dashboard.run_pane.view and app.dashboard.run_pane.view.scores))
        await pilot.press("i")
        await _later(pilot)
        _save(app, "samples")
        await pilot.press("escape", "w")
        await _later(pilot)
        _save(app, "scores")
        await pilot.press("escape", "1", "apostrophe")
        await _later(pilot)
        _save(app, "jump")
        await pilot.press("escape")
        app.theme = "light"
        await _later(pilot)
        _save(app, "light")


def _state(app: PanelApp, number: int) -> str | None:
    run = app.runs.get(number)
    return None if run is None else run.state


def _fraction(app: PanelApp, number: int) -> float:
    run = app.runs.get(number)
    return 0.0 if run is None else run.fraction or (1.0 if run.is_over else 0.0)


async def _until(pilot: Pilot[str], condition: Callable[[], object]) -> None:
    for _ in range(int(PATIENCE_S / _STEP_S)):
        if condition():
            return
        await pilot.pause(_STEP_S)
    raise TimeoutError("what the picture was to show never came")


async def _later(pilot: Pilot[str]) -> None:
    """A screen reads in a thread: by then it has."""
    await pilot.pause(3.0)


def _save(app: PanelApp, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(app.export_screenshot(title="fada", simplify=True), encoding="utf-8")
    print(f"docs/pictures/{name}.svg")


if __name__ == "__main__":
    main()
