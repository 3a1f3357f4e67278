"""`fada eval` from the command to the scores, on three architectures that differ most in how they are asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from db.home import Home
from fada_tui.cli import run
from tests.backends.models.conformance.seen import record

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("conformance-0")]


@pytest.mark.parametrize(
    ("architecture", "precision"), [("qwen2_5_vl", "bf16"), ("paligemma", "auto"), ("smolvlm", "auto")]
)
def test_it_is_evaluated(
    architecture: str,
    precision: str,
    checkpoint: Callable[[str], Path],
    phantom_set: dict[str, str],
    home: Home,
) -> None:
    wanted = ["--data", phantom_set["test"], "--image-root", phantom_set["images"], "--limit", "6"]
    model = str(checkpoint(architecture))
    status = run(["--home", str(home.root), "eval", model, *wanted, "--precision", precision, "--wait"])
    folder = home.run_dir(1)
    assert status == 0, (folder / "log.txt").read_text()
    answers = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert len(answers) == 6
    assert [answer["error"] for answer in answers] == [None] * 6
    assert json.loads((folder / "scores.json").read_text())["finished"]
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["model"].get("quantisation") == (None if precision == "auto" else precision)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    started = next(event for event in events if event["kind"] == "started")
    numbers = "bfloat16" if precision == "bf16" else "float32"
    assert started["loaded"] == {"numbers": numbers, "attention": "sdpa"}
    record(architecture, "asks", "fada eval")
