"""Anybody's own Trainer reports into the panel with one callback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainingArguments

from backends.work.callback import FadaCallback


class Line(torch.nn.Module):
    """y = ax, and its squared error."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.a * x - labels) ** 2).mean()}


def train(folder: Path) -> None:
    settings = TrainingArguments(
        output_dir=str(folder),
        max_steps=4,
        logging_steps=2,
        save_steps=4,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    rows = [{"x": torch.tensor([1.0]), "labels": torch.tensor([2.0])}] * 8
    Trainer(model=Line(), args=settings, train_dataset=rows, callbacks=[FadaCallback()]).train()  # type: ignore[arg-type]


def test_a_trainer_tells_progress_curves_and_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv("FADA_EVENTS", str(events))
    train(tmp_path / "out")
    told: dict[str, list[dict[str, Any]]] = {}
    for event in map(json.loads, events.read_text().splitlines()):
        told.setdefault(event["kind"], []).append(event)
    assert set(told) == {"progress", "metric", "checkpoint"}
    assert [told["progress"][at]["done"] for at in (0, -1)] == [0, 4] and told["progress"][0]["total"] == 4
    assert [event["step"] for event in told["metric"] if event["name"] == "loss"] == [2, 4]
    (checkpoint,) = told["checkpoint"]
    assert checkpoint["step"] == 4 and Path(checkpoint["path"]).is_dir()


def test_outside_of_a_run_nothing_happens(tmp_path: Path) -> None:
    train(tmp_path / "out")
    assert not list(tmp_path.rglob("events.jsonl"))
