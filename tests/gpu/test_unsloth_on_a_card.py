"""unsloth as jobs use it: trained by it, its adapter asked by both loaders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.catalog.unsloth import packages_missing
from backends.jobs.launch import enqueue_eval
from backends.jobs.launch_finetune import enqueue_finetune
from backends.jobs.queue import wait
from db.home import Home
from tests.gpu.card import NEEDS_A_CARD
from tests.gpu.seen import record

pytestmark = [
    *NEEDS_A_CARD,
    pytest.mark.skipif(packages_missing() is not None, reason=f"unsloth cannot be used: {packages_missing()}"),
]


def answers(home: Home, run: int) -> dict[str, str]:
    lines = (home.run_dir(run) / "predictions.jsonl").read_text().splitlines()
    return {row["id"]: row["prediction"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("precision", ["bf16", "4bit"])
@pytest.mark.parametrize("architecture", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "mllama", "pixtral"])
def test_it_trains_and_both_loaders_answer_alike(
    architecture: str,
    precision: str,
    checkpoint: Callable[[str], Path],
    phantom_set: dict[str, str],
    card_home: Home,
) -> None:
    model, images = str(checkpoint(architecture)), phantom_set["images"]
    settings = {"method": "unsloth", "max_steps": 12, "batch_size": 4, "learning_rate": 5e-3, "lora.r": 4}
    tune = enqueue_finetune(
        card_home,
        model,
        data=phantom_set["train"],
        eval_data=phantom_set["val"],
        image_root=images,
        settings=settings,
        precision=precision,
    )
    asked = {
        loader: enqueue_eval(
            card_home,
            model,
            data=phantom_set["test"],
            image_root=images,
            task="proxy",
            adapter=tune,
            after=[tune],
            precision=precision,
            loader=loader,
        )
        for loader in ("auto", "unsloth")
    }
    ended = wait(card_home, [tune, *asked.values()])
    logs = {run.id: (card_home.run_dir(run.id) / "log.txt").read_text()[-2000:] for run in ended if run.state != "done"}
    assert not logs
    events = [json.loads(line) for line in (card_home.run_dir(tune) / "events.jsonl").read_text().splitlines()]
    losses = [event["value"] for event in events if event["kind"] == "metric" and event["name"] == "loss"]
    assert losses[-1] < losses[0]
    config = json.loads((card_home.run_dir(tune) / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == model
    native, own = (answers(card_home, run) for run in asked.values())
    same = sum(native[key] == own[key] for key in native)
    assert same >= 0.9 * len(native)  # 16 bits: another order of sums may turn a tie
    record(
        f"unsloth in {precision}",
        architecture,
        first=f"{losses[0]:.3f}",
        last=f"{losses[-1]:.3f}",
        **{"same answers": f"{same} of {len(native)}"},
    )
