from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backends.jobs.job import Job, JobError
from backends.models.contrastive import ZeroShot, load_contrastive
from backends.work import work_function
from backends.work.zeroshot import classes_of, words_of

pytestmark = pytest.mark.xdist_group("heavy")

GREY = {"Abdomen": 20, "Femur": 120, "Trans-thalamic": 220}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP of the ordinary form, with a tokenizer trained on the spot."""
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    from backends.models.tiny import train_tokenizer

    tokenizer = train_tokenizer(["ultrasound image of abdomen", "fetal ultrasound: femur", "trans thalamic"])
    begin, end = (tokenizer.bos_token, tokenizer.bos_token_id), (tokenizer.eos_token, tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin[0]} $A {end[0]}", special_tokens=[begin, end]
    )
    tokenizer.padding_side = "right"
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "eos_token_id": end[1],
        "bos_token_id": begin[1],
    }
    vision = {**small, "image_size": 32, "patch_size": 16}
    config = CLIPConfig(text_config={**small, **text}, vision_config=vision, projection_dim=16)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    folder = tmp_path_factory.mktemp("clip") / "tiny-clip"
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / "classes"
    for name, grey in GREY.items():
        (root / name).mkdir(parents=True)
        for at in range(4):
            Image.new("L", (48, 40), grey + at).save(root / name / f"{at}.png")
    (root / "Femur" / "1.png").write_bytes(b"no picture")
    return {"path": str(root), "image_root": str(root), "limit": None}


def model_of(folder: Path) -> dict[str, Any]:
    return {"name": "tiny-clip", "source": str(folder), "loader": "transformers", "revision": None, "from_run": None}


def test_a_real_model(make_job: Callable[..., Job], data: dict[str, Any], tiny_clip: Path) -> None:
    job = make_job(1, task="zero-shot", scoring=None, data=data, model=model_of(tiny_clip))
    summary = work_function(job.spec)(job)
    assert (summary["samples"], summary["failed"]) == (12, 1)
    records = [json.loads(line) for line in job.predictions.read_text().splitlines()]
    assert {record["prediction"] for record in records} <= {*GREY, None}
    assert all(record["reference"] == record["image_path"].split("/")[0] for record in records)
    scores = json.loads((job.dir / "scores.json").read_text())
    assert scores["classes"] == list(GREY)
    assert {row["metric"] for row in scores["scores"]} == {"accuracy", "macro_f1"}
    assert {row["category"] for row in scores["scores"]} == {None, *GREY}
    assert any(row["model"] == "FetalCLIP" for row in scores["published"])


def test_the_stored_classes_are_scored_again(
    make_job: Callable[..., Job], data: dict[str, Any], tiny_clip: Path
) -> None:
    from backends.jobs import store
    from backends.work import rescore
    from db.migrate import migrate

    job = make_job(1, task="zero-shot", scoring=None, data=data, model=model_of(tiny_clip))
    migrate(job.home)
    work_function(job.spec)(job)
    store.write_attempt(job.dir, store.Attempt(1, ended=store.now(), exit_code=0))
    before = json.loads((job.dir / "scores.json").read_text())
    tool = make_job(2, kind="tool", task=None, tool={"name": "rescore", "args": {"run": 1}})
    said = rescore.run(tool)
    after = json.loads((job.dir / "scores.json").read_text())
    assert after["scores"] == before["scores"] and after["rescored"] is True
    assert after["classes"] == before["classes"] and said["kept"] == "scores.1.json"
    (job.dir / "scores.json").write_text("{}")
    with pytest.raises(JobError, match="which classes"):
        rescore.run(tool)


def test_a_class_is_the_mean_of_its_sentences(tiny_clip: Path) -> None:
    model = load_contrastive(str(tiny_clip))
    texts = ["femur", "ultrasound image of femur"]
    vectors = model.embed_texts([*texts, "abdomen " * 300])
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3))
    classifier = ZeroShot(model, ("femur", "abdomen"), [texts, ["abdomen"]])
    expected = vectors[:2].mean(0)
    assert torch.allclose(classifier.anchors[0], expected / expected.norm(), atol=1e-6)
    images = [Image.new("RGB", (40, 40), colour) for colour in ("white", "red")]
    both = model.embed_images(images)
    assert torch.allclose(both[1], model.embed_images(images[1:])[0], atol=1e-5)
    assert classifier.ask([]) == []


def test_classes_do_not_depend_on_the_limit(data: dict[str, Any], phantom_set: dict[str, str]) -> None:
    assert classes_of({**data, "limit": 1}) == tuple(GREY)
    found = classes_of({"path": phantom_set["test"], "image_root": phantom_set["images"], "limit": 1})
    assert len(found) > 2 and list(found) == sorted(found)
    assert words_of("Trans-thalamic_plane") == "Trans thalamic plane"


def test_what_is_no_contrastive_model_is_said(
    make_job: Callable[..., Job], data: dict[str, Any], tiny_checkpoint: Path, tiny_clip: Path
) -> None:
    job = make_job(1, task="zero-shot", scoring=None, data=data, model=model_of(tiny_checkpoint))
    with pytest.raises(JobError, match="no contrastive model") as raised:
        work_function(job.spec)(job)
    assert "--kind gt" in (raised.value.hint or "")
    job = make_job(2, task="zero-shot", scoring=None, data=data, model={**model_of(tiny_clip), "from_run": 1})
    with pytest.raises(JobError, match="fine-tuned"):
        work_function(job.spec)(job)
