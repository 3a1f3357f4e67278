"""What only a machine with an NVIDIA card can show. Skipped aloud elsewhere."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from backends.jobs.launch import enqueue_eval
from backends.jobs.launch_finetune import enqueue_finetune
from backends.jobs.queue import wait
from backends.models.device import versions
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home
from db.runs.queries import latest_samples, scores
from tests.gpu.card import NEEDS_A_CARD
from tests.gpu.seen import record
from tests.gpu.table import MACHINE

pytestmark = NEEDS_A_CARD


def test_the_sampler_reads_the_card(card_home: Home) -> None:
    with Sampler(card_home) as sampler:
        sample = sampler.sample({})
    assert sample.reason is None
    card = sample.gpus[0]
    assert card.memory_total and card.memory_total > 1 << 30
    assert card.memory_used is not None and card.memory_used <= card.memory_total
    assert card.temperature_c is None or 0 < card.temperature_c < 120
    record(MACHINE, "card", name=card.name, bytes=card.memory_total, driver=sample.driver)
    record(MACHINE, "versions", **versions())
    read = [field.name for field in fields(card) if getattr(card, field.name) is not None]
    record("Telemetry", "fields that the driver gives", count=len(read), fields=" ".join(read))


def test_the_same_path_runs_on_the_card(card_home: Home, tiny_checkpoint: Path, phantom_set: dict[str, str]) -> None:
    images = phantom_set["images"]
    settings = {"method": "full", "max_steps": 20, "batch_size": 8, "learning_rate": 2e-3}
    tune = enqueue_finetune(
        card_home, str(tiny_checkpoint), data=phantom_set["train"], image_root=images, settings=settings
    )
    test = enqueue_eval(
        card_home, str(tiny_checkpoint), data=phantom_set["test"], image_root=images, adapter=tune, after=[tune]
    )
    assert [run.state for run in wait(card_home, [tune, test])] == ["done", "done"]
    for run in (tune, test):
        first = (card_home.run_dir(run) / "events.jsonl").read_text().splitlines()[0]
        assert json.loads(first)["device"].startswith("cuda")
    with closing(connect(card_home.runs_db)) as conn:
        assert any(score.metric == "exact" for score in scores(conn, test, overall_only=True))
        owners = {
            process["run"]
            for sample in latest_samples(conn, 0)
            for gpu in sample["gpus"]
            for process in gpu["processes"]
        }
    assert owners & {tune, test}, "no sample ties VRAM to a run"
    record("Jobs", "fine-tune and evaluation of the tiny model", states="done, done", owned="VRAM tied to its run")
