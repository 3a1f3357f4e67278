from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.job import Job
from backends.work import work_function

pytestmark = pytest.mark.xdist_group("heavy")


@pytest.fixture
def data(phantom_set: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """Six images of which the first is no picture."""
    images = Path(shutil.copytree(phantom_set["images"], tmp_path / "images"))
    sorted(images.rglob("*_test_*.png"))[0].write_bytes(b"no picture")
    return {"path": phantom_set["test"], "image_root": str(images), "limit": None}


def test_a_real_model_is_timed(
    make_job: Callable[..., Job], data: dict[str, Any], read_events: Callable[..., list[dict[str, Any]]]
) -> None:
    generation = {"max_new_tokens": 8, "batch_size": 1, "do_sample": False}
    job = make_job(1, task="perf", scoring=None, data=data, generation=generation)
    summary = work_function(job.spec)(job)
    assert (summary["samples"], summary["failed"]) == (24, 4)
    figures = summary["scores"]
    assert figures["energy_j_per_answer"] is None  # no card
    assert 0 < figures["first_token_p50_s"] < figures["latency_p50_s"] <= figures["latency_p95_s"]
    assert figures["peak_memory_bytes"] > 50 << 20
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    done = [record for record in records if not record["error"]]
    rate = sum(record["output_tokens"] for record in done) / sum(record["latency_s"] for record in done)
    assert figures["tokens_per_s"] == pytest.approx(rate)
    rows = json.loads((job.dir / "scores.json").read_text())["scores"]
    assert {(row["n"], row["timed"], row["device"], row["batch_size"], row["dtype"]) for row in rows} == {
        (24, 20, "cpu", 1, "float32")
    }
    assert read_events(job, "score")
    # Once more: nothing is asked, and no time is made up.
    again = work_function(job.spec)(job)
    assert again["asked_now"] == 0
    assert again["scores"]["tokens_per_s"] == figures["tokens_per_s"]
    assert again["scores"]["first_token_p50_s"] is None
