from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from backends.models.base import Generation, Request, question_messages
from backends.models.tiny import build_tiny
from backends.models.transformers_loader import load
from backends.work.phantoms import QUESTIONS, SYSTEM, answers_corpus, phantom

pytestmark = pytest.mark.xdist_group("heavy")


def _image(number: int = 0) -> Image.Image:
    return Image.fromarray(phantom(0, "test", number)[1]).convert("RGB")


def _weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_is_small_and_an_ordinary_folder(tiny_checkpoint: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint)
    assert 200_000 < sum(parameter.numel() for parameter in model.parameters()) < 260_000
    names = {path.name for path in tiny_checkpoint.iterdir()}
    assert {"config.json", "generation_config.json", "processor_config.json", "tokenizer.json"} <= names
    assert sum(path.stat().st_size for path in tiny_checkpoint.iterdir()) < 2_000_000


def test_the_seed_decides_the_weights_and_nothing_else_does(tiny_checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    again = build_tiny(tmp_path / "again", answers_corpus(), seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert _weights(again) == _weights(tiny_checkpoint)
    assert (again / "tokenizer.json").read_bytes() == (tiny_checkpoint / "tokenizer.json").read_bytes()
    assert _weights(build_tiny(tmp_path / "other", answers_corpus(), seed=1)) != _weights(tiny_checkpoint)


def test_a_forward_pass_gives_finite_logits_that_depend_on_the_image(tiny_checkpoint: Path) -> None:
    loaded = load(tiny_checkpoint, device="cpu")
    prompt = loaded.prompts.prompt(question_messages(QUESTIONS["plane"], SYSTEM))
    with torch.inference_mode():
        logits = [
            loaded.model(**loaded.prompts.encode([prompt], [_image(number)])).logits[0, -1] for number in range(2)
        ]
    assert all(torch.isfinite(one).all() for one in logits)
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


@pytest.mark.parametrize("text", ["Transthalamic plane", "ünïcödé 胎児 🫀", "a\tb  c"])
def test_any_text_can_be_written(tiny_checkpoint: Path, text: str) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint).tokenizer
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_texts_of_the_corpus_are_short(tiny_checkpoint: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint).tokenizer
    assert len(tokenizer(" Transthalamic plane", add_special_tokens=False)["input_ids"]) <= 3


def test_saved_and_loaded_again_it_says_the_same(tiny_checkpoint: Path, tmp_path: Path) -> None:
    first = load(tiny_checkpoint, device="cpu", generation=Generation(12))
    first.model.save_pretrained(tmp_path / "copy")
    first.processor.save_pretrained(tmp_path / "copy")
    second = load(tmp_path / "copy", device="cpu", generation=Generation(12))
    batch = [Request(_image(number), question_messages(text, SYSTEM)) for number, text in enumerate(QUESTIONS.values())]
    assert first.ask(batch) == second.ask(batch)


def test_the_system_message_reaches_the_prompt(tiny_checkpoint: Path) -> None:
    prompts = load(tiny_checkpoint, device="cpu").prompts
    assert "Be brief." in prompts.prompt(question_messages("What?", "Be brief."))
    assert "System" not in prompts.prompt(question_messages("What?"))


def test_image_values_are_normalised(tiny_checkpoint: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint)
    white = Image.fromarray(np.full((96, 96, 3), 255, np.uint8))
    pixels = processor.image_processor([white], return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 64, 64)
    assert 1.5 < float(pixels.mean()) < 2.5
