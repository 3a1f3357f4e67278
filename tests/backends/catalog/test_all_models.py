"""Every model of the tracker: what is known of it is catalogued, and it resolves or says plainly why it does not."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backends.catalog.available import no_route
from backends.catalog.reader import Catalog, load_catalog
from backends.catalog.resolve import ModelError, resolve_model, resolve_served
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.tracker.importer import import_default

with Path(__file__).with_name("known_models.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))
"""What was found out of each model apart from the catalogue; Gemma-3-Vision is two of them."""
CONVERTED = {"LLaVA-Med": "chaoyinshe/llava-med-v1.5-mistral-7b-hf"}
"""Loaded from somebody's conversion; the original's id is an alias."""
NEWER = {"GPT-4V": "gpt-4-turbo"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    home = Home(tmp_path_factory.mktemp("home")).ensure()
    migrate(home)
    import_default(home)
    with closing(connect(home.fada_db)) as conn:
        yield conn


def test_there_are_forty_two() -> None:
    assert len({row["name"].partition(":")[0] for row in ROWS}) == 42


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_catalogue_says_what_is_known(row: dict[str, str], catalog: Catalog) -> None:
    found = catalog.lookup(row["name"])
    assert found is not None
    entry, variant = found
    if entry.name == "DeepSeek-VL2":
        assert [one.name for one in entry.variants] == ["tiny", "small", "base"]
        variant = entry.variants[-1]
    assert entry.loader == row["loader"]
    if row["repo"]:
        repo = variant.repo if variant else entry.repo
        assert repo == CONVERTED.get(entry.name, NEWER.get(entry.name, row["repo"]))
        assert catalog.find(row["repo"]) is entry
    if row["gated"] and row["loader"] in ("transformers", "environment"):
        assert entry.gated == (row["gated"] == "yes")
    if row["params_b"]:
        assert float(row["params_b"]) == pytest.approx((variant.params_b if variant else entry.params_b) or 0, rel=0.01)
    if row["loader"] in ("transformers", "open_clip", "environment"):
        assert entry.licence and entry.architecture


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_it_resolves_or_says_why_not_and_what_instead(
    row: dict[str, str], catalog: Catalog, tracker: sqlite3.Connection
) -> None:
    found = catalog.lookup(row["name"])
    assert found is not None
    entry, variant = found
    why = no_route(entry)
    if why is None and entry.needs_variant and variant is None:
        with pytest.raises(ModelError, match="several sizes"):
            resolve_model(row["name"], tracker)
        return
    if why is None:
        resolved = resolve_model(row["name"], tracker)
        assert resolved.source == (variant.repo if variant else entry.repo)
        assert resolved.tracker_name == entry.name
        return
    with pytest.raises(ModelError) as caught:
        resolve_model(row["name"], tracker)
    assert caught.value.hint
    if entry.loader == "openai" and entry.runnable:
        assert "--server" in caught.value.hint
        assert resolve_served(row["name"], tracker).source == entry.repo
        return
    assert why in caught.value.message
    near = caught.value.hint.removeprefix("the nearest that runs: ")
    # What is named instead does run: of the tracker, or a native checkpoint.
    other = catalog.find(near)
    assert no_route(other) is None if other else "/" in near
    assert resolve_model(near, tracker).source


def test_the_trackers_own_spellings_all_lead_to_an_entry(catalog: Catalog, tracker: sqlite3.Connection) -> None:
    names = [row[0] for row in tracker.execute("SELECT name FROM models")]
    assert len(names) == 42
    assert all(catalog.find(name) for name in names)
