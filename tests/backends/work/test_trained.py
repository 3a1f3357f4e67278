"""Training images in the evaluation, and categories that training never showed, in jobs that really run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.contamination import hashes, overlaps
from backends.data.door import open_data
from backends.jobs import store
from backends.jobs.job import Job
from backends.work import rescore, work_function
from backends.work.phantoms import make_phantoms
from db.migrate import migrate

pytestmark = pytest.mark.xdist_group("heavy")

MakeJob = Callable[..., Job]
TRAINING = {"method": "full", "max_steps": 2, "batch_size": 4, "eval_limit": 8}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "set"
    make_phantoms(folder, train=24, val=4, test=12, seed=3)
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def put_in(phantoms: Path, where: Path) -> tuple[Path, dict[str, str]]:
    """The test images, a third of them replaced by training images: as they are, resized and stored as JPEG."""
    train = list(dict.fromkeys(line["images"][0] for line in lines(phantoms / "train.jsonl")))
    test = lines(phantoms / "test.jsonl")
    names = list(dict.fromkeys(line["images"][0] for line in test))
    copies: dict[str, str] = {}
    for at, name in enumerate(names):
        source = phantoms / "images" / (train[at] if at < 4 else name)
        new = f"{Path(name).parent}/scan{at}.{'jpg' if at == 2 else 'png'}"
        target = where / "images" / new
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(source) as image:
            match at:
                case 1:
                    image.resize((image.width * 2 // 3, image.height * 2 // 3)).save(target)
                case 2:
                    image.convert("RGB").save(target, quality=50)
                case _:
                    target.write_bytes(source.read_bytes())
        copies[name] = new
    for line in test:
        line["images"] = [copies[line["images"][0]]]
    data = where / "test.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in test))
    return data, {copies[name]: train[at] for at, name in enumerate(names[:4])}


def alarms(rows: list[dict[str, Any]], kind: str) -> list[tuple[str | None, str | None, str]]:
    return [
        (row["question"], row["category"], alarm["text"])
        for row in rows
        for alarm in row["alarms"]
        if alarm["kind"] == kind
    ]


def data_of(path: Path, root: Path | None = None) -> dict[str, Any]:
    return {"path": str(path), "image_root": str(root or path.parent / "images"), "limit": None}


def rows_of(job: Job) -> list[dict[str, Any]]:
    return list(json.loads((job.dir / "scores.json").read_text())["scores"])


def tuned(make_job: MakeJob, run_id: int, **parts: Any) -> Job:
    job = make_job(run_id, kind="finetune", task=None, scoring=None, **parts)
    work_function(job.spec)(job)
    return job


def evaluated(make_job: MakeJob, tiny: Path, run_id: int, by: int, data: dict[str, Any], **more: Any) -> Job:
    model = {"name": "tiny", "source": str(tiny), "revision": None, "from_run": by}
    job = make_job(run_id, data=data, model=model, task="proxy", **more)
    work_function(job.spec)(job)
    store.write_attempt(job.dir, store.Attempt(1, ended=store.now(), exit_code=0))
    return job


def test_copies_of_training_images_are_found_and_clean_images_are_not(
    make_job: MakeJob, tiny_checkpoint: Path, phantoms: Path, tmp_path: Path
) -> None:
    held_out, copies = put_in(phantoms, tmp_path / "again")
    tune = tuned(
        make_job,
        1,
        data=data_of(phantoms / "train.jsonl"),
        training={**TRAINING, "eval_data": data_of(held_out)},
    )
    migrate(tune.home)
    assert alarms(rows_of(tune), "contamination"), "on the held-out scores of the training too"
    assert "held-out data: 4 of" in (tune.dir / "events.jsonl").read_text()

    job = evaluated(make_job, tiny_checkpoint, 2, 1, data_of(held_out))
    rows = rows_of(job)
    found = alarms(rows, "contamination")
    assert {(question, category) for question, category, _ in found if category is None} == {
        (row["question"], None) for row in rows if row["category"] is None
    }, "every question of such an image is affected"
    [overall] = {text for question, category, text in found if question is None and category is None}
    assert overall.startswith("4 of 12 images were trained on by #1: 2 exact copies, 2 near ones (")
    beside = json.loads((job.dir / "training_overlap.json").read_text())
    assert {one["image"]: one["training_image"] for one in beside["overlap"]} == copies
    assert all(one["exact"] == (one["distance"] == 0) for one in beside["overlap"])

    clean = evaluated(make_job, tiny_checkpoint, 3, 1, data_of(phantoms / "test.jsonl"))
    assert alarms(rows_of(clean), "contamination") == [] == alarms(rows_of(clean), "composition")

    rescore.run(make_job(4, kind="tool", task=None, tool={"name": "rescore", "args": {"run": 2}}))
    assert alarms(rows_of(job), "contamination") == found, "scoring again forgets nothing"
    # The record is enough when the training data are gone; a folder of HOME names its run as well.
    (tune.dir / "model").rename(tune.dir / "moved")
    (tune.dir / "moved").rename(tune.dir / "model")
    model = {"name": "tiny", "source": str(tune.dir / "model"), "revision": None, "from_run": None}
    job = make_job(5, data=data_of(held_out), model=model, task="proxy")
    work_function(job.spec)(job)
    assert alarms(rows_of(job), "contamination")[0][2] == overall


def test_an_older_fine_tune_without_a_record_and_one_whose_data_are_gone(
    make_job: MakeJob, tiny_checkpoint: Path, phantoms: Path, tmp_path: Path
) -> None:
    held_out, _ = put_in(phantoms, tmp_path / "again")
    tune = make_job(1, kind="finetune", data=data_of(phantoms / "train.jsonl"))
    from shutil import copytree

    copytree(tiny_checkpoint, tune.dir / "model")
    job = evaluated(make_job, tiny_checkpoint, 2, 1, data_of(held_out))
    assert "4 of 12 images" in alarms(rows_of(job), "contamination")[0][2]
    make_job(1, kind="finetune", data=data_of(tmp_path / "gone.jsonl"))
    job = evaluated(make_job, tiny_checkpoint, 3, 1, data_of(held_out))
    assert alarms(rows_of(job), "contamination") == []
    assert "contamination is not checked" in (job.dir / "events.jsonl").read_text()


def test_a_category_that_training_never_showed_is_an_alarm(
    make_job: MakeJob, tiny_checkpoint: Path, phantoms: Path
) -> None:
    kept = [line for line in lines(phantoms / "train.jsonl") if not line["images"][0].startswith("Femur/")]
    train = phantoms / "no-femur.jsonl"
    train.write_text("".join(json.dumps(line) + "\n" for line in kept))
    tuned(make_job, 1, data=data_of(train), training=TRAINING)
    job = evaluated(make_job, tiny_checkpoint, 2, 1, data_of(phantoms / "test.jsonl"))
    found = alarms(rows_of(job), "composition")
    assert {(question, category) for question, category, _ in found} == {(None, None), (None, "Femur")}
    assert all("1 of" in text and "Femur" in text for _, _, text in found)


@pytest.mark.slow
def test_phantoms_which_are_alike_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Every pair of 300 training and 300 other images, of one kind six at a time: not one is called the same."""
    make_phantoms(tmp_path / "a", train=300, val=0, test=300, seed=1)

    def hashed(split: str) -> Iterator[Any]:
        yield from open_data(tmp_path / "a" / f"{split}.jsonl")

    assert overlaps(hashes(hashed("train")).values, hashes(hashed("test")).values) == []
