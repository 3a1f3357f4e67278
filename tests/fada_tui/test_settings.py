"""config.toml's `[panel]` and `[keys]`: what is right holds, what is wrong is told and costs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.cli.checksettings import settings_checks
from fada_tui.commands.keymap import textual_name, with_keys
from fada_tui.commands.table import TABLE, Commands
from fada_tui.config import ConfigError, read_config, remember_theme
from fada_tui.screens.help import help_rows
from fada_tui.screens.messages import MessagesScreen
from fada_tui.sources.views import Selection
from fada_tui.widgets.line import plain
from tests.fada_tui import panel
from tests.fada_tui.conftest import Until
from tests.fada_tui.panel import screen_text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[panel]\ntheme = 'pink'\n", "theme = 'pink': one of dark, light"),
        ("[panel]\nimages = 3\n", "images = 3: one of auto, half, off"),
        ("[panel]\nmouse = 'no'\n", "mouse is true or false"),
        ("[panel]\nthem = 'dark'\n", "them is not known"),
        ("panel = 1\n", "write [panel]"),
        ("keys = 'x'\n", "write [keys]"),
        ("[keys]\ncancel = 3\n", "cancel = 3: a key in quotes"),
        ("not toml", "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_holds(tmp_path: Path, text: str, wrong: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    found = read_config(config)
    assert len(found.problems) == 1 and wrong in found.problems[0]
    assert (found.theme, found.images, found.mouse, found.keys) == (None, "auto", True, {})


def test_what_is_right_holds(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert not read_config(config).problems
    config.write_text(
        "[panel]\ntheme='ansi'\nimages='off'\nmouse=false\n[keys]\ncancel='x'\nzoom=['Z', 'f5']\nquit=''\n"
    )
    found = read_config(config)
    assert (found.theme, found.images, found.mouse) == ("ansi", "off", False)
    assert found.keys == {"cancel": ("x",), "zoom": ("Z", "f5"), "quit": ()}
    assert not found.problems


def test_a_file_that_is_no_toml_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("not toml")
    with pytest.raises(ConfigError):
        remember_theme(config, "light")
    assert config.read_text() == "not toml"
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("x", "x"),
        ("X", "X"),
        ("?", "question_mark"),
        ("'", "apostrophe"),
        ("space", "space"),
        ("Ctrl+X", "ctrl+x"),
        ("F5", "f5"),
        ("shift+tab", "shift+tab"),
        ("banana", None),
        ("", None),
        ("hyper+x", None),
        ("f99", None),
    ],
)
def test_keys_are_written_as_people_write_them(written: str, key: str | None) -> None:
    assert textual_name(written) == key


def changed(**wanted: Any) -> tuple[Commands, list[str]]:
    table, problems = with_keys(TABLE, {name.replace("_", "-"): keys for name, keys in wanted.items()})
    return Commands(table), problems


def test_a_key_changes_in_footer_and_help_too() -> None:
    commands, problems = changed(cancel=("x",))
    queue = Selection("queue", run=panel.RUNNING)
    assert problems == [] or all("cancel has the key of" in one for one in problems)
    assert commands.by_id["cancel"].keys == ("x",)
    assert next(one.key for one in commands.footer(queue) if one.id == "cancel") == "x"
    assert "  x  " in plain(help_rows(commands, queue, 100))


def test_who_loses_a_key_is_told_and_who_takes_turns_keeps_it() -> None:
    commands, problems = changed(zoom=("question_mark",))
    assert commands.by_id["help"].keys == () and commands.key("help") == "^p help"
    assert problems == ["[keys] zoom has the key of help now: give that another"]
    commands, problems = changed(details=("enter",))
    assert commands.by_id["fold"].keys == ("enter",) and not problems


def test_no_key_is_given_twice_and_quitting_stays() -> None:
    commands, problems = changed(zoom=("Q",), copy=("Q",), quit=("ctrl+c",), cancle=("x",))
    assert commands.by_id["zoom"].keys == ("Q",) and commands.by_id["copy"].keys == ("y",)
    assert commands.by_id["quit"].keys == ("q",)
    assert [problem.split(":")[1].strip()[:20] for problem in problems] == [
        "that is zoom's alrea",
        "ctrl+c and ctrl+q al",
        "there is no such com",
    ]
    assert "did you mean cancel?" in problems[2]


async def test_the_panel_obeys_the_key_map_and_tells_its_mistakes(panel_home: Home, until: Until) -> None:
    panel_home.config.write_text("[panel]\ntheme = 'pink'\n[keys]\nzoom = 'Q'\nmessages = 'W'\n")
    app = PanelApp(panel_home, live=False)
    async with app.run_test(size=(240, 40)) as pilot:
        panel.feed(app, panel.RUNS, panel.RUN_VIEW, panel.GPU)
        await pilot.pause()
        assert "Q zoom" in screen_text(app)
        await pilot.press("z")
        assert not app.dashboard.has_class("-zoom")
        await pilot.press("Q")
        assert app.dashboard.has_class("-zoom")
        await pilot.press("W")
        await until(pilot, lambda: isinstance(app.screen, MessagesScreen) and "pink" in screen_text(app))


def test_doctor_says_what_is_wrong_in_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[panel]\ntheme = 'pink'\n[keys]\nzom = 'Q'\n")
    check = next(one for one in settings_checks(config) if one["check"] == "panel settings")
    assert check["state"] == "warn"
    assert "pink" in check["detail"] and "did you mean zoom?" in check["detail"] and str(config) in str(check["hint"])
    config.write_text("[panel]\ntheme = 'light'\n[keys]\nzoom = 'Q'\n")
    assert next(one for one in settings_checks(config) if one["check"] == "panel settings")["state"] == "ok"
