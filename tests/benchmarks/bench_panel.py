"""The panel: first content, bytes and CPU through a pseudo-terminal at 120×40; what a key costs with 100,000 models."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from terminal import Terminal

from db.home import Home
from db.tracker.rows import Model, Section, Tracker
from fada_tui.app import PanelApp
from fada_tui.cli.context import Context
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Shelves, Wanted, arrange
from fada_tui.listing.order import Order
from fada_tui.messages import TrackerLoaded

ROUNDS = 5
FEW, MANY = 42, 100_000
KEYS = 50
IDLE_S = 8.0
BARE = """
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns(*[f"column {n}" for n in range(8)])
        for row in range(42):
            table.add_row(*[f"Tier {row} {n}" for n in range(8)])
Bare().run()
"""


def first_content(words: list[str]) -> float:
    """Median seconds from the start of the process to the first row of the table."""
    taken = []
    for _ in range(ROUNDS):
        terminal = Terminal(words)
        taken.append(terminal.read_for(30, b"Tier 1"))
        terminal.close()
    return sorted(taken)[ROUNDS // 2]


def tracker_of(number: int) -> Tracker:
    words = ("TODO", "Proxy tested", "Local tested", "Fine-tuned")
    models = tuple(
        Model(
            at, f"Model-{at}", "All", at, f"{at % 70}B", float(at % 70), f"~{at % 40}GB", float(at % 40), words[at % 4],
            f"{at % 100}.5% proxy, note number {at}", json.dumps({"Model": f"Model-{at}", "Family": f"Fam{at % 50}"}),
            (), (), False, family=f"Fam{at % 50}",
        )
        for at in range(number)
    )  # fmt: skip
    return Tracker("bench", (Section("All", 0, models),), ())


async def key_costs(tracker: Tracker) -> dict[str, float]:
    """Milliseconds of CPU in the panel's thread from a key to the rows drawn, by what the key does."""
    app = PanelApp(Home(Path("/nonexistent/fada")), live=False)
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(TrackerLoaded(tracker))
        pane = app.dashboard.tracker
        while len(pane.rows) <= len(tracker.models):
            await pilot.pause(0.01)

        def cost(*steps: Callable[[], object]) -> float:
            begun = time.thread_time()
            for _ in range(KEYS):
                for step in steps:
                    step()
                app.dashboard.update_keys()
                for y in range(pane.size.height):
                    pane.render_line(y)
            return 1000 * (time.thread_time() - begun) / KEYS / len(steps)

        return {
            "one row down": cost(lambda: pane.move(1)),
            "one page down": cost(lambda: pane.page(1)),
            "last and first row": cost(lambda: pane.edge(1), lambda: pane.edge(-1)),
            "mark a section with all its models": cost(lambda: pane.toggle_mark("section:All")),
            "mark a row": cost(lambda: pane.toggle_mark("model:Model-7")),
        }


def arranging(tracker: Tracker) -> dict[str, float]:
    """Milliseconds to arrange all rows (beyond 5,000 models in a thread of its own), by what was asked."""
    shelves = Shelves.of(tracker)
    arrange(shelves, Wanted(Query("warm")))
    asked = {
        "the note's order": Wanted(),
        "filter, as it stands": Wanted(Query("model-777")),
        "filter, letters left out": Wanted(Query("mdl-777 prx")),
        "by VRAM": Wanted(order=Order("VRAM", flat=True)),
        "by Name": Wanted(order=Order("Name")),
        "by a column of the note": Wanted(order=Order("Family")),
    }
    taken = {}
    for name, wanted in asked.items():
        begun = time.thread_time()
        arrange(shelves, wanted)
        taken[name] = 1000 * (time.thread_time() - begun)
    return taken


def lists() -> None:
    few, many = tracker_of(FEW), tracker_of(MANY)
    keys, base = asyncio.run(key_costs(many)), asyncio.run(key_costs(few))
    for name, value in keys.items():
        figure(f"{MANY:,} models, {name}", value, "ms", f"the same with {FEW} models", round(value / base[name], 2))
    rows, base = arranging(many), arranging(few)
    for name, value in rows.items():
        each = value / MANY / (base[name] / FEW)
        figure(f"{MANY:,} models, arrange: {name}", value, "ms", f"{FEW} models, per model", round(each, 2))


def figure(name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "against": against, "ratio": ratio}))


def main() -> None:
    lists()
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        Context(home).prepare()
        words = [sys.executable, "-P", "-m", "fada_tui", "--home", str(home.root)]
        ours, bare = first_content(words), first_content([sys.executable, "-c", BARE])
        figure("panel, first content", ours, "s", "a Textual app with one 42-row DataTable", round(ours / bare, 2))
        terminal = Terminal(words)
        terminal.read_for(4.0)
        figure("panel, bytes until the first screen stands", terminal.bytes, "B")
        sent, cpu = terminal.bytes, terminal.cpu_s()
        terminal.read_for(IDLE_S)
        figure("panel, idle with host telemetry", (terminal.bytes - sent) / IDLE_S, "B/s")
        figure("panel, idle with host telemetry", 100 * (terminal.cpu_s() - cpu) / IDLE_S, "% of a core")
        terminal.close()


if __name__ == "__main__":
    main()
