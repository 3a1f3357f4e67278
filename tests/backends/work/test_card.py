"""The model card: the hub reads its front matter, people its tables, and nobody a path of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.jobs.cardlicence import follows_from, hub_licence
from backends.jobs.cardtext import duration
from backends.jobs.events import EventWriter
from backends.jobs.files import read_json, write_json
from backends.jobs.job import Job
from backends.jobs.modelcard import render, shareable
from backends.work.card import write_card
from db.home import Home

SUMMARY = {"method": "peft", "steps": 20, "train_loss": 0.25, "seconds": 3900.0, "samples": 8, "adapter": "/home/me/x"}
SCORE = {
    "metric": "exact",
    "question": None,
    "category": None,
    "value": 0.81,
    "ci_low": 0.75,
    "ci_high": 0.86,
    "n": 200,
    "answered": 200,
    "failed": 0,
    "floors": {"majority": 0.4},
    "alarms": [{"kind": "collapse", "question": "Q2", "text": "one | answer"}],
}


@pytest.fixture
def job(home: Home) -> Job:
    spec = {
        "id": 7,
        "kind": "finetune",
        "fingerprint": "f00d",
        "model": {"name": "Qwen2-VL-2B", "source": "Qwen/Qwen2-VL-2B-Instruct", "revision": "a" * 40, "content": None},
        "data": {
            "path": "/home/me/secret study/train.jsonl",
            "image_root": "/home/me/images",
            "sha256": "5ha",
            "images": 4,
        },
        "training": {
            "learning_rate": 1e-4,
            "lora": {"r": 8},
            "eval_data": {"path": "/home/me/val.jsonl", "sha256": "va1"},
        },
        "env": {"WANDB_API_KEY": "never"},
        "cwd": "/home/me",
        "python": "/home/me/.venv/bin/python",
    }
    home.run_dir(7).mkdir(parents=True)
    write_json(home.run_dir(7) / "scores.json", {"scores": [SCORE, {**SCORE, "question": "Q2", "value": 0.1}]})
    cells = [["Femur", "Q2", 5], ["Abdomen | x", "Q2", 3]]
    trained = {"samples": 8, "images": {"a.png": []}, "categories": {"Femur": 5, "Abdomen | x": 3}, "cells": cells}
    write_json(home.run_dir(7) / "trained_on.json", trained)
    return Job(home, 7, 1, spec, EventWriter(home.run_dir(7) / "events.jsonl"))


def written(job: Job, folder: Path, summary: dict[str, Any] = SUMMARY) -> str:
    folder.mkdir()
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "/home/me/.cache/snapshots/aaa", "r": 8})
    write_card(job, folder, summary)
    return (folder / "README.md").read_text()


def test_the_hub_reads_its_front_matter(job: Job, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(written(job, tmp_path / "adapter.tmp"))
    assert card.data.base_model == "Qwen/Qwen2-VL-2B-Instruct"
    assert (card.data.library_name, card.data.license) == ("peft", "apache-2.0")
    assert "lora" in card.data.tags and card.data.pipeline_tag == "image-text-to-text"


def test_it_says_what_it_takes_to_believe_it(job: Job, tmp_path: Path) -> None:
    text = written(job, tmp_path / "adapter.tmp")
    for words in (
        "a" * 40,
        "| exact | 0.810 | 0.750 to 0.860 | 200 | 0 | majority 0.400 |",
        "alarm, collapse: one \\| answer",
        "| Abdomen \\| x | 3 |",
        "`train.jsonl`, SHA-256 `5ha`",
        "Held out, never trained on: `val.jsonl`",
        "| training time | 1 h 05 min |",
        "| lora.r | 8 |",
        "PeftModel.from_pretrained",
    ):
        assert words in text
    assert "Q2 |" not in text.split("## Held-out")[1]  # the overall rows alone


def test_nothing_private_is_in_what_is_shared(job: Job, tmp_path: Path) -> None:
    written(job, tmp_path / "adapter.tmp")
    for path in (tmp_path / "adapter.tmp").iterdir():
        text = path.read_text()
        assert "/home/me" not in text and "never" not in text.replace("never trained on", ""), path
    facts = read_json(tmp_path / "adapter.tmp" / "fada.json")
    assert facts is not None and facts["spec"]["data"]["path"] == "train.jsonl" and facts["fingerprint"] == "f00d"


def test_peft_names_the_base_where_others_find_it(job: Job, tmp_path: Path) -> None:
    written(job, tmp_path / "adapter.tmp")
    config = json.loads((tmp_path / "adapter.tmp" / "adapter_config.json").read_text())
    assert config == {"base_model_name_or_path": "Qwen/Qwen2-VL-2B-Instruct", "revision": "a" * 40, "r": 8}


def test_weights_of_an_earlier_step_tell_their_own_scores(job: Job, tmp_path: Path) -> None:
    summary = {"method": "peft", "best": {"step": 12, "exact": 0.9}}
    text = written(job, tmp_path / "best.tmp", summary)
    assert "At step 12: exact 0.900." in text and "0.81" not in text
    assert "At step" not in written(job, tmp_path / "adapter.tmp", {**SUMMARY, **summary})


def test_a_full_model_of_a_local_checkpoint(job: Job, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    job.spec["model"] |= {"source": "/home/me/models/tiny", "content": "c0de", "revision": None, "name": "tiny"}
    text = written(job, tmp_path / "model.tmp", {"method": "full"})
    assert ModelCard(text).data.library_name == "transformers"
    assert "/home/me" not in text and "`tiny` (a local checkpoint, content `c0de`)" in text
    assert "licence of the base is not known" in text


def test_before_and_after_stand_in_it_once_they_are_known(job: Job, tmp_path: Path) -> None:
    written(job, tmp_path / "adapter.tmp")
    facts = read_json(tmp_path / "adapter.tmp" / "fada.json")
    assert facts is not None
    apart = {"metric": "exact", "difference": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n_common": 200}
    facts["after"] = {"data": "val.jsonl", "sha256": "va1", "before": [{**SCORE, "value": 0.31}], "after": [SCORE]}
    facts["after"]["differences"] = [apart]
    assert "| exact | +0.500 | +0.400 to +0.600 | 200 |" in render(facts)


def test_licences_in_the_hubs_words_and_what_follows() -> None:
    assert hub_licence("Apache-2.0", "a/b") == {"license": "apache-2.0"}
    assert hub_licence("Apache-2.0?", "a/b")["license"] == "other"
    assert hub_licence(None, "a/b") == {}
    assert hub_licence("MiniCPM licence?", "a/b") == {
        "license": "other",
        "license_name": "minicpm-licence",
        "license_link": "https://huggingface.co/a/b",
    }
    assert any("no derivatives" in line for line in follows_from("CC BY-NC-ND 4.0", "a/b"))
    assert any("known by name only" in line for line in follows_from("MIT?", "a/b"))


def test_what_is_shared_of_a_spec_has_no_folder() -> None:
    spec = {"id": 1, "env": {}, "model": {"source": "/x/y"}, "many": ["/a/b", "c/d"], "training": {"path": "~/z/q"}}
    assert shareable(spec) == {"model": {"source": "y"}, "many": ["b", "c/d"], "training": {"path": "q"}}


def test_durations() -> None:
    assert [duration(value) for value in (4.25, 200, 7500)] == ["4.2 s", "3 min 20 s", "2 h 05 min"]
