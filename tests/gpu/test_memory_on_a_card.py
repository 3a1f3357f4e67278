"""Memory that really runs out, and peaks against what was estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from backends.data.images import open_image
from backends.estimate.memory import estimate
from backends.models.base import Request, question_messages
from backends.models.transformers_loader import TransformersModel, load
from tests.backends.models.conformance.questions import GENERATION
from tests.gpu.card import NEEDS_A_CARD
from tests.gpu.checks import halvings, samples
from tests.gpu.seen import record

pytestmark = NEEDS_A_CARD
MANY = 256


@pytest.fixture
def model(checkpoint: Callable[[str], Path]) -> Iterator[TransformersModel]:
    loaded = load(checkpoint("qwen2_5_vl"), device="cuda", generation=GENERATION)
    yield loaded
    torch.cuda.set_per_process_memory_fraction(1.0)
    loaded.unload()


def peak(model: TransformersModel, folder: Path, count: int) -> int:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    questions = samples(folder, count)
    model.ask([Request(open_image(sample), question_messages(sample.question)) for sample in questions])
    return torch.cuda.max_memory_reserved()


def test_a_batch_that_does_not_fit_is_halved(model: TransformersModel, tmp_path: Path) -> None:
    half, whole = peak(model, tmp_path, MANY // 2), peak(model, tmp_path, MANY)
    assert half < whole
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((half + whole) / 2 / total)
    halved, answered = halvings(model, samples(tmp_path, MANY), MANY)
    assert halved >= 1
    assert answered == MANY
    record("Memory", "a batch that does not fit", batch=MANY, halved=halved, answered=answered)


def test_the_estimate_holds_the_peak(
    model: TransformersModel, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    free, total = torch.cuda.mem_get_info()
    generation = {"batch_size": 32, "max_new_tokens": 8}
    source = str(checkpoint("qwen2_5_vl"))
    found = estimate(
        {"kind": "eval", "model": {"source": source}, "generation": generation, "data": {"samples": 32}}, cuda=True
    )
    seen = peak(model, tmp_path, 32)
    assert seen <= found.vram_high
    record("Memory", "tiny qwen2_5_vl, 32 at once", peak=seen, estimated=found.vram_bytes, high=found.vram_high)
    assert 0 < free <= total
