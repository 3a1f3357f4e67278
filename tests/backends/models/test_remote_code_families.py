"""How families with code of their own are asked: what goes into their makers' calls, and what comes out.

The calls themselves are stood in for by objects with the same methods; one family is run whole in
tests/backends/work/test_in_environment.py.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from backends.jobs.job import JobError
from backends.models.base import Generation
from backends.models.remote_code import load
from backends.models.remote_code_families import FAMILIES, EchoVLM, MiniCPMV, Moondream
from backends.models.remote_code_parts import Parts
from backends.models.remote_code_tiles import grid, tiles

IMAGE = Image.new("RGB", (60, 28), (200, 10, 10))


def parts(model: Any, **more: Any) -> Parts:
    made = Parts(
        Path("/nowhere"), lambda owner, **_: model, torch.device("cpu"), torch.float32, Generation(7), trusted=True
    )
    made.tokenizer = more.get("tokenizer", "a tokenizer")
    return made


def test_minicpm_is_asked_with_image_and_text_in_one_message() -> None:
    asked: dict[str, Any] = {}
    model = SimpleNamespace(chat=lambda **given: asked.update(given) or "an answer")
    assert MiniCPMV(parts(model)).answer(IMAGE, "What?", "Be short.") == "an answer"
    assert asked["msgs"] == [{"role": "user", "content": [IMAGE, "What?"]}]
    assert (asked["image"], asked["sampling"], asked["max_new_tokens"]) == (None, False, 7)
    assert asked["system_prompt"] == "Be short."


def test_moondream_is_asked_by_query_or_in_two_steps() -> None:
    new = SimpleNamespace(query=lambda image, text, settings: {"answer": f"{text} {settings['max_tokens']}"})
    assert Moondream(parts(new)).answer(IMAGE, "What?", None) == "What? 7"
    old = SimpleNamespace(
        encode_image=lambda image: "seen", answer_question=lambda seen, text, tokenizer: f"{seen} {text} {tokenizer}"
    )
    assert Moondream(parts(old)).answer(IMAGE, "What?", "Be short.") == "seen Be short.\n\nWhat? a tokenizer"


def test_makers_code_that_is_not_beside_the_weights_is_asked_for() -> None:
    with pytest.raises(JobError, match="lacks EchoVLM") as raised:
        EchoVLM(parts(None))
    assert "beside config.json" in str(raised.value.hint)


def test_a_family_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "strange", "auto_map": {"AutoModel": "m.Model"}}')
    with pytest.raises(JobError, match="does not know how a model of type 'strange' is asked"):
        load(tmp_path, "cpu", Generation(), trusted=True)
    assert len(FAMILIES) == 8


def test_tiles_follow_the_aspect_ratio_and_end_with_the_whole() -> None:
    config = SimpleNamespace(force_image_size=28, min_dynamic_patch=1, max_dynamic_patch=6, use_thumbnail=True)
    assert tiles(IMAGE, config).shape == (3, 3, 28, 28)  # 2 beside each other, and the whole
    assert tiles(Image.new("RGB", (28, 28)), config).shape == (1, 3, 28, 28)
    assert grid(100, 300, 1, 6, 28) == (1, 3)
    assert grid(1000, 1000, 1, 12, 28) == (3, 3)  # as near as one tile, and it has the pixels
    fixed = SimpleNamespace(force_image_size=28, dynamic_image_size=False)
    assert tiles(IMAGE, fixed).shape == (1, 3, 28, 28)
    white = tiles(Image.new("RGB", (28, 28), (255, 255, 255)), fixed)
    assert white[0, 0, 0, 0].item() == pytest.approx((1 - 0.485) / 0.229)
