"""What the command says of training images in the evaluation, and of categories that training never showed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.cli import run
from tests.backends.work.test_trained import lines, phantoms, put_in
from tests.conftest import end_processes

__all__ = ["phantoms"]
Run = Callable[..., tuple[int, str, str]]
QUICK = ["--set", "steps=2", "batch=4", "eval_limit=8"]


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, str, str]:
        status = run(["--home", str(panel_home.root), *words])
        return status, *capsys.readouterr()

    yield call
    end_processes(panel_home)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("heavy")
def test_the_alarm_stands_in_every_view(
    fada: Run, panel_home: Home, tiny_checkpoint: Path, phantoms: Path, tmp_path: Path
) -> None:
    train, images = str(phantoms / "train.jsonl"), str(phantoms / "images")
    words = ["finetune", str(tiny_checkpoint), "--data", train, "--image-root", images, *QUICK]
    assert fada(*words)[0] == 0
    data, _ = put_in(phantoms, tmp_path / "again")
    again = ["eval", str(tiny_checkpoint), "--kind", "proxy", "--adapter", "1", "--data", str(data)]
    assert fada(*again, "--after", "1", "--wait")[0] == 0
    document = json.loads(fada("--json", "scores", "--run", "2", "--overall")[1])
    texts = {alarm["text"] for row in document for alarm in row["alarms"] if alarm["kind"] == "contamination"}
    [text] = texts
    assert text.startswith("4 of 12 images were trained on by #1: 2 exact copies, 2 near ones (")
    assert "⚠ contamination" in fada("scores", "--run", "2")[1]
    assert "trained on by #1" in fada("job", "2")[1]

    from contextlib import closing

    from db.connect import connect
    from db.runs.queries import scores
    from fada_tui.widgets.status import best_score
    from tests.fada_tui.panel import model

    with closing(connect(panel_home.runs_db)) as conn:
        best = best_score(model("tiny"), scores(conn, 2, overall_only=True))
    assert best is not None and best.mark == "⚠"


@pytest.mark.slow
def test_a_fine_tune_warns_before_it_is_queued(
    fada: Run, panel_home: Home, tiny_checkpoint: Path, phantoms: Path, tmp_path: Path
) -> None:
    held_out, _ = put_in(phantoms, tmp_path / "again")
    kept = [line for line in lines(phantoms / "train.jsonl") if not line["images"][0].startswith("Femur/")]
    train = phantoms / "no-femur.jsonl"
    train.write_text("".join(json.dumps(line) + "\n" for line in kept))
    root = ["--image-root", str(phantoms / "images")]
    words = ["finetune", str(tiny_checkpoint), "--data", str(train), *QUICK]
    # No held-out data, and nothing evaluated yet: there is nothing to compare with.
    status, out, err = fada("--json", *words, *root)
    assert (status, json.loads(out)["warnings"], "warning" in err) == (0, [], False)
    assert json.loads(out)["composition"]["categories"].keys() == {line["images"][0].split("/")[0] for line in kept}
    for name in list(Path(phantoms / "images").rglob("*train*.png")):
        target = held_out.parent / "images" / name.relative_to(phantoms / "images")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(name.read_bytes())
    both = ["--eval-data", str(held_out), "--image-root", str(held_out.parent / "images")]
    status, out, err = fada("--json", *words, *both)
    warnings = json.loads(out)["warnings"]
    assert status == 0 and any("training lacks 1 of" in text and "Femur" in text for text in warnings)
    assert any("held-out data:" in text and "exact" in text for text in warnings)
    assert all(f"fada: warning: {text}" in err for text in warnings)
