"""Four models whose worth is known, through the whole path (data, images, asking, answers on disk, scoring): the most
frequent answer, answers of other images, an oracle and one that is half right must come out as what they are.

The models are told apart by what they are shown: an image's pixels and a question's words, as a real one would be.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.data.door import open_data
from backends.data.images import open_image
from backends.data.sample import Sample
from backends.jobs.job import Job
from backends.models.base import Reply, Request
from backends.work import gauge, u2bench, work_function
from backends.work.phantoms import make_phantoms
from tests.backends.work.test_u2bench_job import HEADER

pytestmark = pytest.mark.xdist_group("heavy")

WORTH = ("majority", "shuffled", "oracle", "half")


def told(text: str) -> str:
    """What an oracle says: a measurement without its name."""
    return text.split(":")[1].strip(" }") if text.startswith("{'") else text


def answers_of(worth: str, samples: Sequence[Sample]) -> list[str]:
    """What a model of this worth says to each sample."""
    of_topic: dict[str, list[int]] = defaultdict(list)
    for at, sample in enumerate(samples):
        of_topic[f"{sample.topic} {sample.category if sample.topic == 'CVE' else ''}"].append(at)
    said = [told(sample.reference) for sample in samples]
    if worth == "oracle":
        return said
    chance = random.Random(7)
    found = list(said)
    for rows in of_topic.values():
        here = [said[at] for at in rows]
        if worth == "majority":
            new = [min(here, key=lambda text: (-Counter(here)[text], text))] * len(rows)
        elif worth == "shuffled":
            new = chance.sample(here, len(here))
        else:
            order = chance.sample(range(len(here)), len(here))
            new = [text if keep % 2 else "no idea at all" for text, keep in zip(here, order, strict=True)]
        for at, text in zip(rows, new, strict=True):
            found[at] = text
    return found


class Phantom:
    """A model that knows what it was told of each image and question."""

    device, revision = "nowhere", None

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    @staticmethod
    def key(image: Image.Image, question: str) -> str:
        return hashlib.sha256(image.tobytes() + question.encode()).hexdigest()

    def ask(self, batch: Sequence[Request]) -> list[Reply]:
        def question(request: Request) -> str:
            content = request.messages[-1]["content"]
            return str(
                content if isinstance(content, str) else next(part["text"] for part in content if "text" in part)
            )

        return [Reply(self.known[self.key(one.image, question(one))], 3) for one in batch]

    def unload(self) -> None:
        """Nothing is held."""


@pytest.fixture
def asked(make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """The rows of a run of a model of some worth on some data."""

    def call(worth: str, task: str, data: dict[str, Any], run_id: int = 1) -> list[dict[str, Any]]:
        prepare = {"u2bench": u2bench.prepare, "fetal-gauge": gauge.prepare}.get(task)
        root = Path(data["image_root"]) if data["image_root"] else None
        samples = list(open_data(Path(data["path"]), task, root))
        samples = [prepare(sample, 0)[0] for sample in samples] if prepare else samples
        said = answers_of(worth, samples)
        known = {Phantom.key(open_image(one), one.question): text for one, text in zip(samples, said, strict=True)}
        monkeypatch.setattr("backends.work.serving.load_model", lambda job, generation: Phantom(known))
        scoring = {"embedding": "all-MiniLM-L6-v2"} if task == "gt" else None
        job = make_job(run_id, task=task, scoring=scoring, data=data)
        summary = work_function(job.spec)(job)
        assert summary["answered"] == summary["samples"] == len(samples)
        return list(json.loads((job.dir / "scores.json").read_text())["scores"])

    return call


def check(worth: str, row: dict[str, Any], close: float) -> None:
    """That a row of a score, 1 for all right, is that of the model."""
    kinds = {alarm["kind"] for alarm in row["alarms"]} - {"composition"}
    floor, value = row["floors"], row["value"]
    match worth:
        case "oracle":
            assert value == pytest.approx(1, abs=1e-6) and row["gain"] > 0.2 and kinds == set()
        case "majority":
            assert value == pytest.approx(floor["majority"], abs=1e-6) and row["gain"] <= 1e-6
            assert "collapse" in kinds
        case "shuffled":
            assert value == pytest.approx(floor["shuffled"], abs=close) and row["gain"] < close and kinds == set()
        case "half":
            assert value == pytest.approx(0.5, abs=close)
            assert row["ci_low"] is None or (row["ci_low"] < 0.5 + close and row["ci_high"] > 0.5 - close)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = make_phantoms(tmp_path_factory.mktemp("gt") / "set", train=0, val=0, test=60, seed=5)
    return {"path": made["test"], "image_root": made["images"], "limit": None}


@pytest.mark.parametrize("worth", WORTH)
def test_gt(asked: Callable[..., list[dict[str, Any]]], phantoms: dict[str, Any], worth: str) -> None:
    rows = {row["metric"]: row for row in asked(worth, "gt", phantoms) if not row["question"] and not row["category"]}
    check(worth, rows["exact"], 0.12)
    if worth != "half":  # what is wrong has a cosine of its own
        check(worth, rows["cosine"], 0.12)
    assert rows["exact"]["n"] == 240 and rows["exact"]["ci_low"] is not None


ANSWERS = {
    "disease_diagnosis": (
        "class_label",
        ["benign", "malignant", "benign", "normal"],
        ["benign", "malignant", "normal"],
    ),
    "view_recognition_and_assessment": ("class_label", ["2CH", "4CH", "4CH"], ["2CH", "4CH"]),
    "lesion_localisation": (
        "gt_bbox",
        ["{'lesion': [0.2, 0.2, 0.1, 0.1]}", "{'lesion': [0.8, 0.8, 0.1, 0.1]}", ""],
        [],
    ),
    "organ_detection": ("gt_bbox", ["[{'head': [0.5, 0.5, 0.1, 0.1]}]", "[{'head': [0.1, 0.8, 0.1, 0.1]}]"], []),
    "keypoint_detection": (
        "keypoints",
        ["{'valve': [0.9, 0.9]}", "{'valve': [0.1, 0.9]}", "{'valve': [0.5, 0.1]}"],
        [],
    ),
    "clinical_value_estimation": ("measurement", ["{'EF': 55.0}", "{'EF': 20.0}", "{'EF': 70.0}"], []),
    "report_generation": (
        "report",
        ["The liver is normal in size and shape.", "A nodule lies in the left lobe now."],
        [],
    ),
    "caption_generation": (
        "caption",
        ["A femur plane with calipers on it.", "The abdominal plane with the stomach."],
        [],
    ),
}


@pytest.fixture(scope="module")
def u2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("u2") / "bench"
    for number, (task, (column, values, options)) in enumerate(ANSWERS.items()):
        (folder / task).mkdir(parents=True)
        with open(folder / task / "18.tsv", "w", newline="") as file:
            writer = csv.DictWriter(file, HEADER, restval="", dialect="excel-tab", lineterminator="\n")
            writer.writeheader()
            for row in range(36):
                cells = {column: values[row % len(values)], "options": repr(options) if options else ""}
                image = _picture(number, row)
                writer.writerow({"dataset_name": "18", "img_data": image, "prompt": f"{task}?", **cells})
    return {"path": str(folder), "image_root": None, "limit": None}


def _picture(number: int, row: int) -> str:
    image = Image.new("L", (32, 24), 4 * row)
    image.putpixel((number, 0), 255)
    data = io.BytesIO()
    image.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


@pytest.mark.parametrize("worth", WORTH)
def test_u2bench(asked: Callable[..., list[dict[str, Any]]], u2: dict[str, Any], worth: str) -> None:
    rows = asked(worth, "u2bench", u2)
    by_task = {(row["metric"], row["question"]): row for row in rows if row["category"] is None}
    for task in ("DD", "VRA", "LL", "OD", "KD"):
        check(worth, by_task["accuracy", task], 0.3)
    total = by_task["u2_score", None]
    match worth:
        case "oracle":
            assert total["value"] == pytest.approx(1, abs=1e-6) and total["gain"] > 0.3
        case "majority":
            assert total["gain"] <= 1e-6 and "collapse" in {alarm["kind"] for alarm in total["alarms"]}
        case "shuffled":
            assert total["gain"] < 0.12 and total["value"] < 0.7
        case "half":
            assert 0.35 < by_task["accuracy", "DD"]["value"] < 0.65 and 0.3 < total["value"] < 0.65


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("gauge") / "set"
    folder.mkdir()
    options = ["Abdomen", "Femur", "Trans-thalamic", "Trans-ventricular"]
    lines = []
    for at in range(80):
        Image.new("L", (40, 40), 3 * at).save(folder / f"{at}.png")
        record = {"id": at, "image": f"{at}.png", "task": "PI", "question": "Which plane?", "options": options}
        answer = options[[0, 1, 1, 2, 3][at % 5]]
        lines.append(json.dumps({**record, "answer": answer, "source": "s", "box_size": None}))
    (folder / "test.jsonl").write_text("\n".join(lines))
    return {"path": str(folder / "test.jsonl"), "image_root": str(folder), "limit": None}


@pytest.mark.parametrize("worth", WORTH)
def test_fetal_gauge(asked: Callable[..., list[dict[str, Any]]], questions: dict[str, Any], worth: str) -> None:
    rows = {
        row["metric"]: row
        for row in asked(worth, "fetal-gauge", questions)
        if not row["question"] and not row["category"]
    }
    check(worth, rows["accuracy"], 0.13)
    assert rows["accuracy"]["n"] == 80
