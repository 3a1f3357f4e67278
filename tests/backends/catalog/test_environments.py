"""Recipes of environments: what ships is whole, what a user writes is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.catalog.available import availability, no_route
from backends.catalog.entry import Entry
from backends.catalog.environments import RECORD, load_recipes
from backends.catalog.errors import ModelError
from backends.catalog.reader import load_catalog


def test_every_model_that_needs_one_has_a_recipe_that_pins_what_it_installs() -> None:
    recipes = load_recipes()
    entries = [entry for entry in load_catalog().entries if entry.loader == "environment"]
    assert len(entries) == 10
    assert {entry.environment for entry in entries} == set(recipes)
    for recipe in recipes.values():
        assert all("==" in one or "git+" in one for one in recipe.requirements), recipe.name
        assert recipe.takes((3, 11)), recipe.name
        assert not recipe.takes((3, 9)), recipe.name


def test_what_decides_what_is_installed_decides_the_hash(tmp_path: Path) -> None:
    shipped = load_recipes()["transformers-4.51"]
    file = tmp_path / "environments.toml"
    file.write_text('[[environment]]\nname = "transformers-4.51"\nseen = "on my card"\n')
    assert load_recipes(file)["transformers-4.51"].digest == shipped.digest
    file.write_text('[[environment]]\nname = "transformers-4.51"\nrequirements = ["transformers==4.49.0"]\n')
    assert load_recipes(file)["transformers-4.51"].digest != shipped.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "../out"\nrequirements = ["a==1"]', "cannot be called"),
        ('name = "mine"', "no requirements"),
        ('name = "mine"\nrequirements = ["--index-url=http://x"]', "no list of texts"),
        ('name = "mine"\nrequirements = "a==1"', "no list of texts"),
        ('name = "mine"\nrequirements = ["a==1"]\nversion = 2', "unknown field version"),
        ('name = "mine"\nrequirements = ["a==1"', "not readable as TOML"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(f"[[environment]]\n{text}\n")
    with pytest.raises(ModelError, match=said):
        load_recipes(file)


def test_it_is_runnable_with_a_recipe_and_available_when_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    entry = Entry("M", "org/m", "environment", environment="transformers-4.51")
    assert no_route(entry) is None
    assert availability(entry, home=tmp_path)[1] == (
        "It runs in an environment of its own, which is not made: fada env create transformers-4.51"
    )
    folder = tmp_path / "envs/transformers-4.51"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text("{}")
    assert availability(entry, home=tmp_path) == (True, None)
    assert "no recipe" in (no_route(Entry("M", "org/m", "environment", environment="other")) or "")
