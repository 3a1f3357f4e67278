"""Environments under HOME: what state they are in, from a few files."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from backends.jobs import lock
from backends.jobs.environments import behind, envs, lock_of, new_record, ready, remove, state_of, the_recipe
from backends.jobs.errors import QueueError
from backends.jobs.files import write_json
from db.home import Home

NAME = "transformers-4.51"


def pretend(home: Home) -> Path:
    """What a made environment looks like to those who only look."""
    folder = envs(home) / NAME
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(sys.executable)
    write_json(folder / "fada-environment.json", new_record(the_recipe(home, NAME), {"transformers": "4.51.3"}, "now"))
    return folder


def state(home: Home) -> str:
    return state_of(home, the_recipe(home, NAME)).state


def test_from_not_made_to_removed(home: Home, runs_conn: sqlite3.Connection) -> None:
    assert state(home) == "not made"
    with pytest.raises(QueueError, match="is not made") as raised:
        ready(home, NAME)
    assert raised.value.hint == f"fada env create {NAME}"
    pretend(home)
    assert state(home) == "made"
    assert ready(home, NAME).versions == {"transformers": "4.51.3"}
    assert remove(home, runs_conn, NAME)
    assert state(home) == "not made"
    assert not remove(home, runs_conn, NAME)


def test_an_interrupted_one_is_broken_and_so_is_one_without_its_python(home: Home) -> None:
    folder = pretend(home)
    (folder / "bin/python").unlink()
    assert state(home) == "broken"
    (folder / "fada-environment.json").unlink()
    found = state_of(home, the_recipe(home, NAME))
    assert (found.state, found.reason) == ("broken", "making it was interrupted")


def test_another_recipe_or_a_moved_panel_makes_it_outdated(home: Home) -> None:
    folder = pretend(home)
    user = home.root / "environments.toml"
    user.write_text(f'[[environment]]\nname = "{NAME}"\nrequirements = ["transformers==4.49.0"]\n')
    assert state(home) == "outdated"
    user.unlink()
    assert state(home) == "made"
    record = new_record(the_recipe(home, NAME), {}, "now")
    write_json(folder / "fada-environment.json", {**record, "behind": [*behind(), "/elsewhere"]})
    assert state(home) == "outdated"


def test_while_it_is_made_it_is_neither_used_nor_removed(home: Home, runs_conn: sqlite3.Connection) -> None:
    pretend(home)
    held = lock.take(lock_of(home, NAME))
    assert held is not None
    assert state(home) == "making"
    with pytest.raises(QueueError, match="is being made"):
        remove(home, runs_conn, NAME)
    os.close(held)
    assert state(home) == "made"


def test_names_that_are_none(home: Home, runs_conn: sqlite3.Connection) -> None:
    for name in ("nothing", "../runs", ".."):
        with pytest.raises(QueueError, match="there is no environment"):
            remove(home, runs_conn, name)
    assert home.runs.is_dir()


def test_the_panels_own_packages_and_this_program_lie_behind(home: Home) -> None:
    places = behind()
    assert any((Path(place) / "torch").is_dir() for place in places)
    assert (Path(places[-1]) / "backends").is_dir()
