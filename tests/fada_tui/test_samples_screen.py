"""The Samples screen on real runs: looking, filtering, comparing, growing, and texts that want to break out."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.cells import cell_len
from textual.widgets import Input

from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from fada_tui.app import PanelApp
from fada_tui.screens.choose import ChooseScreen
from fada_tui.screens.samples import SamplesScreen
from tests.answered import FLAT, RIGHT, ages, answered
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import screen_text

TRUE = ("Femur", "Abdomen")


class Runs:
    """Two runs on the same questions about four images; the second is right where the first is wrong."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.folder = folder
        for number in range(4):
            Image.linear_gradient("L").rotate(90 * number).save(folder / f"{number}.png")

    def record(self, number: int, said: str | None, **more: Any) -> dict[str, Any]:
        image = f"{number % 4}.png"
        made = {"id": f"{image}#Q{number // 4}", "image_path": image, "category": "AB"[number % 2], "error": None}
        made |= {"question": f"Plane: number {number}?", "prediction": said, "reference": TRUE[number % 2]}
        return made | {"latency_s": 0.5, "output_tokens": 3} | more

    def add(self, run_id: int, *records: dict[str, Any]) -> None:
        with (self.home.run_dir(run_id) / "predictions.jsonl").open("a") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))
        self.take(run_id)

    def take(self, run_id: int) -> None:
        with closing(connect(self.home.runs_db)) as conn:
            ingest(conn, self.home, run_id)

    def make(self, name: str, *records: dict[str, Any], ended: bool = True) -> int:
        run_id = store.allocate(self.home)
        data = {"path": str(self.folder / "x.jsonl"), "image_root": str(self.folder), "format": "chat"}
        spec = {"kind": "eval", "task": "gt", "model": {"name": name}, "created": 1.0, "held": True, "data": data}
        store.create(self.home, run_id, spec)
        if ended:
            store.write_attempt(self.home.run_dir(run_id), store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
        with closing(connect(self.home.runs_db)) as conn:
            adopt(conn, self.home, run_id)
        self.add(run_id, *records)
        return run_id

    def screen(self, run_id: int) -> tuple[PanelApp, SamplesScreen]:
        with closing(connect(self.home.runs_db, read_only=True)) as conn:
            run = get_run(conn, run_id)
        assert run is not None
        return PanelApp(self.home, live=False), SamplesScreen(self.home, run)


@pytest.fixture
def runs(panel_home: Home, tmp_path: Path) -> Runs:
    folder = tmp_path / "data"
    folder.mkdir()
    return Runs(panel_home, folder)


def forty(runs: Runs, wrong: int = 0) -> list[dict[str, Any]]:
    """Every other one wrong; number 7 failed."""
    made = [runs.record(n, TRUE[n % 2] if n % 4 // 2 == wrong else f"said {n}") for n in range(40)]
    made[7] |= {"prediction": None, "error": "timeout"}
    return made


async def test_a_list_that_grows_taller_reads_what_came_into_sight(runs: Runs, until: Until) -> None:
    app, screen = runs.screen(runs.make("m", *(runs.record(n, f"said {n}") for n in range(300))))
    async with app.run_test(size=(120, 12)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "said 5" in screen_text(app))
        await pilot.resize_terminal(120, 100)
        await until(pilot, lambda: "said 90" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_an_answer_is_shown_with_all_that_is_known_of_it(runs: Runs, until: Until, size: tuple[int, int]) -> None:
    app, screen = runs.screen(runs.make("m", *forty(runs)))
    async with app.run_test(size=size) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "Plane: number 0?" in screen_text(app) and "▀" in screen_text(app))
        assert "Samples of #1 eval gt m" in screen_text(app) and "1 of 40" in screen_text(app)
        assert "not scored yet" in screen_text(app)
        await pilot.press("j", "j")
        await until(pilot, lambda: "Plane: number 2?" in screen_text(app))
        assert "✗ said 2" in screen_text(app) and "≠ Femur" in screen_text(app)
        await until(pilot, lambda: screen.picture.picture is not None and screen.picture.picture.name == "2.png")
        assert all(cell_len(line) <= size[0] for line in screen_text(app).split("\n"))
        await pilot.press("z")
        await until(pilot, lambda: screen.picture.size.width == size[0] - 2)
        await until(pilot, lambda: screen.picture.picture is not None and screen.picture.picture.height > size[1])
        assert "said 2 ≠ Femur" in screen_text(app)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "3.png" in screen_text(app))
        await pilot.press("escape", "v")
        await until(pilot, lambda: "▀" not in screen_text(app) and "Plane: number 3?" in screen_text(app))
        await pilot.press("escape")
        assert app.screen is app.dashboard


@pytest.mark.parametrize("said", [FLAT, RIGHT])
async def test_an_answer_to_a_question_that_always_gets_it_says_so(
    panel_home: Home, until: Until, said: tuple[str, ...]
) -> None:
    run_id = answered(panel_home, ages(said))
    with closing(connect(panel_home.runs_db, read_only=True)) as conn:
        run = get_run(conn, run_id)
    assert run is not None
    app, screen = PanelApp(panel_home, live=False), SamplesScreen(panel_home, run)
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "same words or not" in screen_text(app))
        text = screen_text(app)
        assert ("⚠ collapse: Q5: 100% of 40 answers" in text) == (said is FLAT)
        assert said is RIGHT or text.index("same words or not") < text.index("⚠ collapse")


async def test_filters_and_orders(runs: Runs, until: Until) -> None:
    run_id = runs.make("m", *forty(runs))
    app, screen = runs.screen(run_id)
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        for key, words in (
            ("x", "1 of 20 · wrong"),
            ("e", "1 of 1 · failed"),
            ("escape", "8 of 40"),
            ("w", "wrong ones first"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in screen_text(app))
        lines = [
            f'{{"id": "{n % 4}.png#Q{n // 4}", "cosine": {(n * 7 % 40) / 40}, "exact": {n % 2}}}' for n in range(40)
        ]
        (runs.home.run_dir(run_id) / "values.jsonl").write_text("\n".join(lines) + "\n")
        runs.take(run_id)
        await until(pilot, lambda: "40 · worst cosine first" in screen_text(app))
        await pilot.press("g")
        await until(pilot, lambda: "cosine 0   exact 0" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "worst exact first" in screen_text(app))
        await pilot.press("escape", "slash")
        screen.query_one(Input).value = "SAID 3"
        await pilot.press("enter")
        await until(pilot, lambda: "of 7 · /SAID 3/" in screen_text(app))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen) and "Q9  4" in screen_text(app))
        await pilot.press("G", "enter")
        await until(pilot, lambda: "of 2 · Q9 · /SAID 3/" in screen_text(app))
        await pilot.press("slash")
        screen.query_one(Input).value = "nowhere"
        await pilot.press("enter")
        await until(pilot, lambda: "No such answer; esc shows all." in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "of 40" in screen_text(app))


async def test_two_runs_side_by_side_where_they_part(runs: Runs, until: Until) -> None:
    first, _ = runs.make("one", *forty(runs)), runs.make("two", *forty(runs, wrong=1))
    app, screen = runs.screen(first)
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "1 of 40" in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen) and "#2 two" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "1 of 39 · unlike #2" in screen_text(app) and "#2 two" in screen_text(app))
        assert "✓ Femur" in screen_text(app) and "│ ✗ said 0" in screen_text(app)
        await pilot.press("d")
        await until(pilot, lambda: "of 40" in screen_text(app))


async def test_it_grows_with_the_run_and_stays_where_it_is(runs: Runs, until: Until) -> None:
    run_id = runs.make("m", ended=False)
    app, screen = runs.screen(run_id)
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "No answers yet." in screen_text(app))
        runs.add(run_id, *(runs.record(n, "x") for n in range(40)))
        await until(pilot, lambda: "1 of 40" in screen_text(app) and "Plane: number 0?" in screen_text(app))
        await pilot.press("G")
        await until(pilot, lambda: "Plane: number 39?" in screen_text(app))
        runs.add(run_id, *(runs.record(n, "y") for n in range(40, 90)))
        await until(pilot, lambda: "40 of 90" in screen_text(app))
        assert "Plane: number 39?" in screen_text(app)
        runs.add(run_id, runs.record(39, "again"))
        await until(pilot, lambda: "of 91" in screen_text(app) or "of 90" in screen_text(app))


async def test_texts_that_want_to_break_out(runs: Runs, until: Until) -> None:
    odd = [
        runs.record(
            0, "\x1b[2J\x1b]0;x\x07 [bold]raw[/bold] \u202e turned", question="[red]not markup[/red] 胎児 👩‍⚕️ שלום"
        ),
        runs.record(1, "胎児の腹部断面" * 30),
        runs.record(2, "word " * 200_000 + "THE END"),
        runs.record(3, "", reference="x" * 5_000),
        runs.record(4, None, error="\x1b[31mdied\nin two lines"),
        runs.record(5, "ok", reference=None),
    ]
    app, screen = runs.screen(runs.make("m", *odd))
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "[red]not markup[/red]" in screen_text(app))
        assert "^[[2J" in screen_text(app) and "[bold]raw[/bold]" in screen_text(app) and "\x1b" not in screen_text(app)
        assert "<U+202E>" in screen_text(app)
        for _ in odd:
            lines = screen_text(app).split("\n")
            assert all(cell_len(line) <= 80 for line in lines)
            await pilot.press("j")
            await pilot.pause(0.1)
        await pilot.press("g", "j", "j")
        await until(pilot, lambda: "word word word" in screen_text(app) and len(screen.text.rows) < 1_000)
        await pilot.press("tab")
        for _ in range(12):
            await pilot.press("G")
            await pilot.pause()
        await until(pilot, lambda: "THE END" in screen_text(app) or len(screen.text.rows) > 5_000)


async def test_the_same_image_is_not_drawn_again(runs: Runs, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    same = [runs.record(4 * n, f"said {n}") for n in range(5)]
    app, screen = runs.screen(runs.make("m", *same))
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "▀" in screen_text(app) and "Plane: number 0?" in screen_text(app))
        await pilot.pause(0.5)  # drawn once more where the screen had another size at first
        drawn: list[Any] = []
        monkeypatch.setattr(screen.picture, "refresh", lambda *regions, **more: drawn.append(regions))
        await pilot.press("j")
        await until(pilot, lambda: "Plane: number 4?" in screen_text(app))
        await pilot.pause(0.3)
        assert drawn == []


async def test_without_images_there_is_none(runs: Runs, until: Until) -> None:
    runs.home.config.write_text('[panel]\nimages = "off"\n')
    app, screen = runs.screen(runs.make("m", *forty(runs)))
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "Plane: number 0?" in screen_text(app))
        assert not screen.picture.display and "▀" not in screen_text(app)


async def test_an_empty_list_has_no_image_to_zoom(runs: Runs, until: Until) -> None:
    app, screen = runs.screen(runs.make("m"))
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(screen)
        await until(pilot, lambda: "It gave no answers." in screen_text(app))
        await pilot.press("z")
        assert not screen.has_class("-zoom")
        assert "It gave no answers." in screen_text(app)
