"""What a person types becomes a model to load, or a plain word on why not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backends.catalog import available
from backends.catalog.local import FETALCLIP_FILES
from backends.catalog.resolve import ModelError, ResolvedModel, resolve_model
from backends.estimate.weights import find_weights
from backends.jobs.spec import model_content
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.tracker.importer import import_default

Write = Callable[[Path], Path]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """fada.db with the shipped note."""
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    import_default(home)
    with closing(connect(home.fada_db)) as conn:
        yield conn


def complaint(name: str, conn: sqlite3.Connection) -> ModelError:
    with pytest.raises(ModelError) as caught:
        resolve_model(name, conn)
    return caught.value


def test_a_tracker_name(tracker: sqlite3.Connection) -> None:
    expected = ResolvedModel("Qwen3-VL-8B", "Qwen3-VL-8B", "Qwen/Qwen3-VL-8B-Instruct", "transformers")
    assert resolve_model("Qwen3-VL-8B", tracker) == expected
    assert resolve_model(" qwen3 vl 8b ", tracker) == expected
    assert resolve_model("Qwen/Qwen3-VL-8B-Instruct", tracker) == expected


def test_an_alias_of_the_users(tracker: sqlite3.Connection) -> None:
    tracker.execute("INSERT INTO aliases(alias, model, who, time) VALUES ('best', 'Qwen3-VL-8B', 'test', 0)")
    assert resolve_model("best", tracker).source == "Qwen/Qwen3-VL-8B-Instruct"


def test_a_hub_id_needs_no_entry_and_may_pin_a_revision(tracker: sqlite3.Connection) -> None:
    assert resolve_model("someone/new-vl", tracker) == ResolvedModel(
        "someone/new-vl", None, "someone/new-vl", "transformers"
    )
    pinned = resolve_model("Qwen/Qwen3-VL-8B-Instruct@0c351dd", tracker)
    assert (pinned.tracker_name, pinned.source, pinned.revision) == (
        "Qwen3-VL-8B",
        "Qwen/Qwen3-VL-8B-Instruct",
        "0c351dd",
    )


def test_several_sizes_ask_for_one(tracker: sqlite3.Connection) -> None:
    error = complaint("Gemma-3-Vision", tracker)
    assert "several sizes" in error.message
    assert "Gemma-3-Vision:4B" in (error.hint or "")
    chosen = resolve_model("Gemma-3-Vision:4B", tracker)
    assert (chosen.name, chosen.tracker_name, chosen.source) == (
        "Gemma-3-Vision:4B",
        "Gemma-3-Vision",
        "google/gemma-3-4b-it",
    )


@pytest.mark.parametrize(
    ("name", "reason", "instead"),
    [
        ("GPT-4V", "shut down", "Qwen2.5-VL-7B"),
        ("FetalMind", "never published", "EchoVLM_V2"),
        ("FetalCLIP", "open_clip", "EchoVLM_V2"),
    ],
)
def test_what_cannot_run_says_why_and_what_can(
    tracker: sqlite3.Connection, name: str, reason: str, instead: str
) -> None:
    error = complaint(name, tracker)
    assert reason in error.message
    assert instead in (error.hint or "")


def test_fetalclip_runs_where_its_package_is(tracker: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "find_spec", lambda name: object())
    found = resolve_model("FetalCLIP", tracker)
    assert (found.loader, found.source) == ("open_clip", "numansaeed/fetalclip-model")


def test_a_folder_of_fetalclip_is_read_as_its_repository(
    tracker: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my-fetalclip"
    folder.mkdir()
    config, weights = (folder / name for name in FETALCLIP_FILES)
    config.write_text("{}")
    assert "no configuration of open_clip" in complaint(str(folder), tracker).message
    config.write_text('{"embed_dim": 16}')
    assert weights.name in complaint(str(folder), tracker).message
    weights.write_text("version https://git-lfs.github.com/spec/v1")
    assert "Git LFS" in complaint(str(folder), tracker).message
    weights.write_bytes(bytes(4_000_000))
    monkeypatch.setattr(available, "find_spec", lambda name: None)
    assert "fada-tui[contrastive]" in complaint(str(folder), tracker).message
    monkeypatch.setattr(available, "find_spec", lambda name: object())
    found = resolve_model(str(folder), tracker)
    assert (found.loader, found.source, found.name) == ("open_clip", str(folder), "my-fetalclip")
    assert find_weights({"source": found.source, "name": found.name}).params == 1_000_000
    before = model_content(folder)
    weights.write_bytes(bytes(3_999_999) + b"1")
    assert model_content(folder) != before, "other weights are another model"


def test_an_unknown_name_gets_the_nearest(tracker: sqlite3.Connection) -> None:
    error = complaint("Qwen3-VL-88B", tracker)
    assert "Qwen3-VL-8B" in (error.hint or "")
    assert complaint("", tracker).message
    assert "hub id" in complaint("a/b/c", tracker).message


def test_a_folder_by_path(tracker: sqlite3.Connection, checkpoint: Write, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "runs" / "3" / "model")
    assert resolve_model(str(folder), tracker) == ResolvedModel("3/model", None, str(folder), "transformers")


def test_relative_paths(
    tracker: sqlite3.Connection, checkpoint: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "work" / "tiny")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("work/tiny", tracker).source == str(folder)
    monkeypatch.chdir(tmp_path / "work")
    assert resolve_model("./tiny", tracker).source == str(folder)
    assert "./tiny" in (complaint("tiny", tracker).hint or "")
    assert "no such folder" in complaint("./absent", tracker).message
    monkeypatch.setenv("HOME", str(tmp_path / "work"))
    assert resolve_model("~/tiny", tracker).source == str(folder)


def test_a_users_catalogue_beside_the_tracker_counts(
    tracker: sqlite3.Connection, checkpoint: Write, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "mine")
    (tmp_path / "home" / "catalog.toml").write_text(f'[[model]]\nname = "FetalMind"\nrepo = "{folder}"\n')
    resolved = resolve_model("FetalMind", tracker)
    assert (resolved.tracker_name, resolved.source) == ("FetalMind", str(folder))
    (tmp_path / "home" / "catalog.toml").write_text("[[")
    assert "catalog.toml" in (complaint("FetalMind", tracker).where or "")


def test_a_tracked_model_that_no_catalogue_knows(tracker: sqlite3.Connection) -> None:
    tracker.execute("UPDATE models SET name = 'Own-VLM' WHERE name = 'Qwen3-VL-8B'")
    assert "catalog.toml" in (complaint("Own-VLM", tracker).hint or "")
    tracker.execute("INSERT INTO aliases(alias, model, who, time) VALUES ('lab/own-vlm', 'Own-VLM', 'test', 0)")
    resolved = resolve_model("Own-VLM", tracker)
    assert (resolved.source, resolved.tracker_name) == ("lab/own-vlm", "Own-VLM")
