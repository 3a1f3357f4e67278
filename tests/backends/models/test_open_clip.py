"""FetalCLIP's own form: a configuration and weights of the open_clip package, small and random."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backends.jobs.job import Job, JobError
from backends.models.contrastive import FETALCLIP_FILES, OpenClipContrastive, load_contrastive
from backends.work import work_function
from tests.backends.models.conformance.seen import record

open_clip = pytest.importorskip("open_clip")
pytestmark = pytest.mark.xdist_group("heavy")

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 117, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fetalclip")
    config, weights = (made / name for name in FETALCLIP_FILES)
    config.write_text(json.dumps(CONFIG))
    open_clip.factory._MODEL_CONFIGS["tiny-for-tests"] = CONFIG
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-for-tests").state_dict(), weights)
    return made


def grey(value: int) -> Image.Image:
    return Image.linear_gradient("L").resize((48, 40)).point(lambda v: (v + value) % 256).convert("RGB")


def test_its_vectors_are_those_of_open_clip(folder: Path) -> None:
    model = load_contrastive(str(folder), "open_clip")
    assert isinstance(model, OpenClipContrastive)
    texts = ["ultrasound image of the fetal brain", "fetal femur " * 200]
    plain, _, transform = open_clip.create_model_and_transforms(
        "tiny-for-tests", pretrained=str(folder / FETALCLIP_FILES[1])
    )
    plain.eval()
    with torch.inference_mode():
        wanted = plain.encode_image(transform(grey(9))[None], normalize=True)
        said = plain.encode_text(open_clip.get_tokenizer("tiny-for-tests")(texts), normalize=True)
    assert torch.allclose(model.embed_images([grey(9)]), wanted, atol=1e-6)
    assert torch.allclose(model.embed_texts(texts), said, atol=1e-6)
    both = model.embed_images([grey(9), grey(120)])
    assert torch.allclose(both[0], model.embed_images([grey(9)])[0], atol=1e-6)
    assert not torch.allclose(model.embed_images([grey(9)]), model.embed_images([grey(120)]), atol=1e-4)
    record("open_clip ViT-L/14", "loads", "fp32")
    record("open_clip ViT-L/14", "batches", "fp32")


def test_a_zero_shot_evaluation(make_job: Callable[..., Job], folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "classes"
    for at, name in enumerate(("Abdomen", "Femur")):
        (root / name).mkdir(parents=True)
        for number in range(3):
            grey(70 * at + number).save(root / name / f"{number}.png")
    data = {"path": str(root), "image_root": str(root), "limit": None}
    source: dict[str, Any] = {"name": "FetalCLIP", "source": str(folder), "loader": "open_clip", "revision": None}
    job = make_job(1, task="zero-shot", scoring=None, data=data, model={**source, "from_run": None})
    summary = work_function(job.spec)(job)
    assert (summary["samples"], summary["failed"]) == (6, 0)
    scores = json.loads((job.dir / "scores.json").read_text())["scores"]
    assert {row["metric"] for row in scores} == {"accuracy", "macro_f1"} and all(row["n"] for row in scores)
    record("open_clip ViT-L/14", "asks", "zero-shot, fp32")


class Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_the_weights_is_not_run(folder: Path, tmp_path: Path) -> None:
    (tmp_path / FETALCLIP_FILES[0]).write_text((folder / FETALCLIP_FILES[0]).read_text())
    torch.save({"visual": Harm(tmp_path / "harm")}, tmp_path / FETALCLIP_FILES[1])
    with pytest.raises(JobError, match="does not load"):
        load_contrastive(str(tmp_path), "open_clip")
    assert not (tmp_path / "harm").exists()
