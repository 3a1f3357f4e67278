"""tag, describe, archive and unarchive by command: shapes of --json and exit status."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from backends.jobs import store
from db.home import Home
from db.runs.queries import get_run
from fada_tui.cli import labels
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError


@pytest.fixture
def finished(panel_home: Home) -> int:
    run_id = store.allocate(panel_home)
    store.create(panel_home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0})
    store.write_attempt(panel_home.run_dir(run_id), store.Attempt(1, started=1.0, ended=2.0, exit_code=0))
    return run_id


def call(home: Home, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    parser = argparse.ArgumentParser()
    labels.register(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(words)
    args.handler(args, Context(home, json=True))
    return json.loads(capsys.readouterr().out)


def test_labels_by_command(panel_home: Home, finished: int, capsys: pytest.CaptureFixture[str]) -> None:
    number = str(finished)
    assert call(panel_home, capsys, "tag", number, "paper", "seed-2") == {"changed": [f"#{number} tagged paper seed-2"]}
    assert call(panel_home, capsys, "tag", number, "paper", "--remove") == {"changed": [f"#{number} tagged seed-2"]}
    call(panel_home, capsys, "describe", number, "the better one")
    assert call(panel_home, capsys, "archive", number) == {"changed": [f"#{number} archived"]}
    run = get_run(Context(panel_home).runs, finished)
    assert run is not None and (run.tags, run.note, run.archived) == (("seed-2",), "the better one", True)
    assert call(panel_home, capsys, "unarchive", number) == {"changed": [f"#{number} brought back"]}


def test_bad_labels_are_bad_input(panel_home: Home, finished: int, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("tag", "99", "x"), ("tag", str(finished), "two words"), ("archive", "99")):
        with pytest.raises(UsageError):
            call(panel_home, capsys, *words)
