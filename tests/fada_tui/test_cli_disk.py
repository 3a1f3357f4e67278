"""disk and prune by command, and what `fada where` says of removing everything."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from backends.jobs import store
from backends.jobs.disk import WHOLE
from db.home import Home
from fada_tui.cli import disk, run
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError


@pytest.fixture
def tuned(panel_home: Home) -> int:
    """A fine-tune that failed and left three checkpoints."""
    run_id = store.allocate(panel_home)
    spec = {"kind": "finetune", "task": None, "model": {"name": "m"}, "created": 1.0}
    store.create(panel_home, run_id, spec)
    folder = panel_home.run_dir(run_id)
    store.write_attempt(folder, store.Attempt(1, started=1.0, ended=2.0, exit_code=1))
    for step in (1, 2, 3):
        checkpoint = folder / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").write_bytes(b"x" * 100_000)
        (checkpoint / WHOLE).touch()
    return run_id


def call(home: Home, capsys: pytest.CaptureFixture[str], *words: str, as_json: bool = True) -> Any:
    parser = argparse.ArgumentParser()
    disk.register(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(words)
    args.handler(args, Context(home, json=as_json))
    out = capsys.readouterr().out
    return json.loads(out) if as_json else out


def test_disk_and_prune(panel_home: Home, tuned: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = call(panel_home, capsys, "disk")
    (one,) = before["runs"]
    assert (one["id"], one["kind"], one["state"]) == (tuned, "finetune", "failed")
    assert before["total"] == sum(before["kinds"].values()) and one["bytes"] == sum(one["kinds"].values())
    text = call(panel_home, capsys, "disk", as_json=False)
    assert f"#{tuned}" in text and "`fada prune` would free" in text
    dry = call(panel_home, capsys, "prune", "--dry-run")
    assert dry["bytes"] == before["prunable"] > 200_000 and dry["dry_run"]
    assert call(panel_home, capsys, "disk")["prunable"] == before["prunable"]
    assert call(panel_home, capsys, "prune", str(tuned))["bytes"] == before["prunable"]
    assert call(panel_home, capsys, "disk")["prunable"] == 0
    assert call(panel_home, capsys, "prune")["changed"] == []


def test_bad_usage(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("prune", "77"), ("prune", "--keep", "first")):
        with pytest.raises(UsageError):
            call(panel_home, capsys, *words)


def test_where_says_how_to_remove_everything(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(panel_home.root), "where"]) == 0
    assert f"rm -r {panel_home.root}" in capsys.readouterr().out
