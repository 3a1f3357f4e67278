"""`fada convert`: what is refused, what is queued, and what is said of a file that is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import submit
from backends.jobs.store import read_spec
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run
from fada_tui.cli import run
from fada_tui.cli.convert import result_lines
from fada_tui.widgets.status import what
from tests.fada_tui.test_convert_form import put_tune

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``fada("jobs")``: exit status, the JSON document, standard error. What is queued is not started."""
    monkeypatch.setattr(submit, "start_dispatcher", lambda home: None)

    def call(*words: str) -> tuple[int, Any, str]:
        status = run(["--home", str(panel_home.root), "--json", *words])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    return call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("99", "--to", "merged"), "there is no run #99"),
        (("GPT-4o", "--to", "gguf"), "no GGUF"),
        (("Moondream2", "--to", "onnx"), "no ONNX"),
        (("No-Such-Model", "--to", "gguf"), "no model named"),
        (("1", "--to", "tflite"), "invalid choice"),
        (("1",), "--to"),
    ],
)
def test_what_cannot_be_is_refused_and_queues_nothing(fada: Run, words: tuple[str, ...], message: str) -> None:
    status, document, err = fada("convert", *words)
    assert status == 2 and message in document["error"]["message"] and err.startswith("fada: ")
    assert fada("jobs")[1] == []


def test_it_is_queued_with_a_word_on_what_will_not_be_checked(
    fada: Run, panel_home: Home, tiny_checkpoint: Path
) -> None:
    tune = put_tune(panel_home, "tiny", str(tiny_checkpoint))
    status, document, err = fada("convert", str(tune), "--to", "merged")
    assert status == 0 and "will not be checked: no questions are known" in err
    [made] = document["runs"]
    spec = read_spec(panel_home.run_dir(made))
    assert spec is not None and spec["convert"]["to"] == "merged"
    job = next(one for one in fada("jobs")[1] if one["id"] == made)
    assert (job["kind"], job["task"]) == ("convert", None)
    with closing(connect(panel_home.runs_db)) as conn:
        queued = get_run(conn, made)
    assert queued is not None and what(queued) == "merged"


def test_files_sizes_and_what_the_check_found() -> None:
    check = {"items": 32, "agreement": 0.96875, "original": {"exact": 0.5}, "exported": {"exact": 0.46875}}
    told = {
        "files": [{"path": "a.gguf", "bytes": 2 << 20}, {"path": "mmproj.gguf", "bytes": 1 << 20}],
        "bytes": 3 << 20,
        "bytes_before": 12 << 20,
        "check": check,
    }
    lines = result_lines("/runs/4", told)
    assert [line.split()[-1] for line in lines[:2]] == ["/runs/4/a.gguf", "/runs/4/mmproj.gguf"]
    assert lines[2].strip() == "3.0 MiB  in all, of 12.0 MiB of weights"
    assert lines[3] == "the same answer to 96.9% of 32 questions, exact 0.500 → 0.469"
    alike = {"check": check | {"one_tile": {"agreement": 1.0, "original": {"exact": 0.46875}}}}
    assert result_lines("/r", alike)[-1] == "where the original sees no tiles either: to 100.0%"
    wide = {"check": check | {"with_margins": {"agreement": 1.0, "exported": {"exact": 0.5}}}}
    assert result_lines("/r", wide)[-1] == "asked with blank lines around the image, as in training: to 100.0%"
    assert result_lines("/r", {"check": {"why_not": "no server"}}) == ["not checked: no server"]
