"""The panel: how soon there is something to see, and what a key costs with 100,000 models."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from terminal import Terminal

from db.connect import connect, immediate
from db.home import Home
from db.tracker.rows import Model, Section, Tracker
from fada_tui.app import PanelApp
from fada_tui.cli.context import Context
from fada_tui.listing.fuzzy import Query
from fada_tui.listing.listing import Shelves, Wanted, arrange
from fada_tui.listing.order import Order
from fada_tui.messages import TrackerLoaded

ROUNDS = 5
SHORT, LONG = 10, 10_000
FEW, MANY = 42, 100_000
KEYS = 50
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


def first_contents(*programs: list[str], marker: bytes = b"Tier 1") -> list[tuple[float, float]]:
    """Median seconds and processor seconds of each program until the marker shows; by turns, so that all see the
    machine alike.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in programs]
    for _ in range(ROUNDS):
        for words, times in zip(programs, taken, strict=True):
            terminal = Terminal(words)
            seconds = terminal.read_for(30, marker)
            times.append((seconds, terminal.cpu_s()))
            terminal.close()
    return [(median(wall for wall, _ in times), median(cpu for _, cpu in times)) for times in taken]


def with_history(root: Path, runs: int) -> list[str]:
    """A panel on the shipped tracker with so many evaluations that are over."""
    home = Home(root)
    Context(home).prepare()
    score = json.dumps({"metric": "exact", "value": 0.7, "n": 600, "answered": 600, "failed": 0, "alarms": []})
    with closing(connect(home.runs_db)) as conn, immediate(conn):
        conn.executemany(
            "INSERT INTO runs(id, kind, task, model, state, attempt, created, started, ended, position, spec) "
            "VALUES (?, 'eval', 'gt', ?, 'done', 1, 1, 1, 2, ?, '{}')",
            [(run, f"Model-{run % 42}", run) for run in range(1, runs + 1)],
        )
        conn.executemany(
            "INSERT INTO scores(run, metric, question, category, partial, body) VALUES (?, 'exact', NULL, NULL, 0, ?)",
            [(run, score) for run in range(1, runs + 1)],
        )
    return [sys.executable, "-P", "-m", "fada_tui", "--home", str(root)]


def starts(folder: Path) -> None:
    """As installed: with compiled modules, which a program writes at its first start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    long, short = with_history(folder / "long", LONG), with_history(folder / "short", SHORT)
    for words in (long, short):
        Terminal(words).read_for(5)
    ours, few, bare = first_contents(long, short, [sys.executable, "-c", BARE])
    against = "a Textual app with one 42-row DataTable"
    figure(f"first content, {LONG:,} runs", ours[0], "s", against, round(ours[0] / bare[0], 2))
    figure(f"first content, {LONG:,} runs, processor time", ours[1], "s", against, round(ours[1] / bare[1], 2))
    figure(f"first content, {LONG:,} runs", ours[0], "s", f"{SHORT} runs", round(ours[0] / few[0], 2))
    figure(f"first content, {LONG:,} runs, processor time", ours[1], "s", f"{SHORT} runs", round(ours[1] / few[1], 2))
    (many,) = first_contents(long, marker=f"#{LONG}".encode())
    (some,) = first_contents(short, marker=f"#{SHORT}".encode())
    figure(f"the newest of {LONG:,} runs in the queue", many[0], "s", f"of {SHORT}", round(many[0] / some[0], 2))


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
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        starts(Path(name))


if __name__ == "__main__":
    main()
