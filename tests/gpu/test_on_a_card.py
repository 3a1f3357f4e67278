"""What only a machine with an NVIDIA card can show. Skipped aloud elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from backends.jobs.launch import enqueue_eval, enqueue_finetune
from backends.jobs.queue import wait
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home
from db.runs.queries import latest_samples, scores
from fada_tui.cli.context import Context


def card_works() -> bool:
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.xdist_group("heavy"),
    pytest.mark.skipif(not card_works(), reason="no NVIDIA card: nothing here was tested on one"),
]


@pytest.fixture
def card_home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    Context(home).prepare()
    yield home
    for process in psutil.process_iter(["cmdline"]):
        if str(home.root) in (process.info["cmdline"] or []):
            process.kill()


def test_the_sampler_reads_the_card(card_home: Home) -> None:
    sample = Sampler(card_home).sample({})
    assert sample.reason is None
    card = sample.gpus[0]
    assert card.memory_total and card.memory_total > 1 << 30
    assert card.memory_used is not None and card.memory_used <= card.memory_total
    assert card.temperature_c is None or 0 < card.temperature_c < 120


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
