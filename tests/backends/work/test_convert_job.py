"""An adapter that was really trained, merged, and asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from backends.jobs.job import Job, JobError
from backends.models.transformers_loader import load
from backends.work import work_function
from backends.work.convert.merge import stored_dtype

pytestmark = pytest.mark.xdist_group("heavy")

MakeJob = Callable[..., Job]
Events = Callable[[Job, str], list[dict[str, Any]]]


def _do(job: Job) -> dict[str, Any]:
    return work_function(job.spec)(job)


@pytest.fixture
def trained(make_job: MakeJob, phantom_set: dict[str, str]) -> Callable[..., Job]:
    """A short fine-tune under number 1 that has changed what the model says."""

    def train(method: str) -> Job:
        job = make_job(
            1,
            kind="finetune",
            task=None,
            data={"path": phantom_set["train"], "image_root": phantom_set["images"], "limit": None},
            training={
                "method": method,
                "max_steps": 8,
                "learning_rate": 2e-2 if method == "peft" else 2e-3,
                "batch_size": 4,
                "lora": {"r": 4, "alpha": 16, "dropout": 0.0, "targets": "both"},
            },
        )
        _do(job)
        return job

    return train


@pytest.fixture
def make_convert(make_job: MakeJob, tiny_checkpoint: Path, phantom_set: dict[str, str]) -> MakeJob:
    def make(number: int = 2, source: Path = tiny_checkpoint, questions: int = 6, **wanted: Any) -> Job:
        return make_job(
            number,
            kind="convert",
            task=None,
            model={"name": "tiny", "source": str(source), "revision": None, "from_run": 1},
            convert={"to": "merged", "quant": None, "check": questions, "tools": {}, **wanted},
            data={"path": phantom_set["val"], "image_root": phantom_set["images"], "limit": questions}
            if questions
            else None,
        )

    return make


def test_an_adapter_merged_gives_the_same_answers(
    trained: Callable[..., Job], make_convert: MakeJob, tiny_checkpoint: Path, read_events: Events
) -> None:
    tune = trained("peft")
    job = make_convert()
    summary = _do(job)
    assert (summary["check"]["items"], summary["check"]["agreement"], summary["check"]["failed"]) == (6, 1.0, 0)
    assert summary["check"]["original"] == pytest.approx(summary["check"]["exported"])
    [file] = summary["files"]
    assert file["path"] == "model" and file["bytes"] == summary["bytes"] > summary["bytes_before"]
    merged, base = (load_file(folder / "model.safetensors") for folder in (job.dir / "model", tiny_checkpoint))
    assert merged.keys() == base.keys()
    assert any(not torch.equal(merged[name], base[name]) for name in base)
    assert not (job.dir / "model.tmp").exists() and (tune.dir / "adapter").is_dir()
    card = (job.dir / "model/README.md").read_text()
    assert "Fine-tuned tiny" in card and "PeftModel" not in card and "lora" not in card.split("---")[1]
    assert read_events(job, "progress")[-1]["phase"] == "done"


def test_the_check_is_kept_as_answers_and_scores(trained: Callable[..., Job], make_convert: MakeJob) -> None:
    trained("peft")
    job = make_convert()
    _do(job)
    answers, before = (
        [json.loads(line) for line in (job.dir / name).read_text().splitlines()]
        for name in ("predictions.jsonl", "original.jsonl")
    )
    assert [one["prediction"] for one in answers] == [one["prediction"] for one in before]
    rows = {row["metric"]: row for row in json.loads((job.dir / "scores.json").read_text())["scores"]}
    assert rows.keys() == {"cosine", "exact", "agreement"}
    assert (rows["agreement"]["value"], rows["agreement"]["n"]) == (1.0, 6)
    assert rows["exact"]["references"]["original"] == rows["exact"]["value"]


def test_what_another_file_answers_lowers_the_agreement(
    trained: Callable[..., Job], make_convert: MakeJob, read_events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exported file is the one that is asked: a broken one is found out."""
    from backends.work.convert import job as convert_job

    trained("peft")
    whole = convert_job.save_merged

    def broken(job: Job, folder: Path) -> Path:
        made = whole(job, folder)
        weights = load_file(made / "model.safetensors")
        generator = torch.Generator().manual_seed(3)
        save_file(
            {name: torch.randn(one.shape, generator=generator) * 0.1 for name, one in weights.items()},
            made / "model.safetensors",
            metadata={"format": "pt"},
        )
        return made

    monkeypatch.setattr(convert_job, "save_merged", broken)
    job = make_convert()
    summary = _do(job)
    assert summary["check"]["agreement"] < 1.0
    assert any("gives the same answer to" in one["text"] for one in read_events(job, "message"))
    assert [one["level"] for one in read_events(job, "message") if "same answer" in one["text"]] == ["warning"]


def test_of_a_full_run_it_is_the_same_model(trained: Callable[..., Job], make_convert: MakeJob) -> None:
    tune = trained("full")
    job = make_convert()
    summary = _do(job)
    assert summary["check"]["agreement"] == 1.0
    for path in (tune.dir / "model").iterdir():
        assert (job.dir / "model" / path.name).read_bytes() == path.read_bytes()


def test_without_questions_it_is_not_checked_and_says_so(trained: Callable[..., Job], make_convert: MakeJob) -> None:
    trained("peft")
    job = make_convert(questions=0)
    summary = _do(job)
    assert summary["check"] == {"why_not": "no questions were given to check it on"}
    load(job.dir / "model", device="cpu")


def test_a_checkpoint_of_sixteen_bits_stays_one(
    trained: Callable[..., Job], make_convert: MakeJob, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    trained("peft")
    base = tmp_path / "base16"
    model = load(tiny_checkpoint, device="cpu")
    model.model.to(torch.bfloat16).save_pretrained(base)
    model.processor.save_pretrained(base)
    job = make_convert(source=base)
    summary = _do(job)
    assert stored_dtype(job.dir / "model") == torch.bfloat16
    assert summary["check"]["items"] == 6


def test_a_torn_export_of_an_earlier_attempt_is_no_export(trained: Callable[..., Job], make_convert: MakeJob) -> None:
    trained("peft")
    job = make_convert(questions=0)
    (job.dir / "model.tmp").mkdir()
    (job.dir / "model.tmp/model.safetensors").write_bytes(b"torn")
    _do(job)
    load(job.dir / "model", device="cpu")
    assert not (job.dir / "model.tmp").exists()


def test_an_adapter_that_does_not_fit_is_said(
    trained: Callable[..., Job], make_convert: MakeJob, tiny_checkpoint: Path
) -> None:
    tune = trained("peft")
    weights = load_file(tune.dir / "adapter/adapter_model.safetensors")
    save_file(
        {name: one[:, :1].contiguous() for name, one in weights.items()}, tune.dir / "adapter/adapter_model.safetensors"
    )
    job = make_convert(questions=0)
    with pytest.raises(JobError, match="does not fit the model"):
        _do(job)
    assert not (job.dir / "model").exists()
