"""Every native architecture, through the real loader: asked alone and in batches, trained, saved and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from backends.data.sample import Sample
from backends.estimate.memory import estimate
from backends.models.prompts import end_tokens
from backends.models.transformers_loader import TransformersModel, load
from backends.work.encoding import Collate, Encoder
from tests.backends.models.conformance.questions import GENERATION, NEW_TOKENS, first_logits, mixed, picture, tokens
from tests.backends.models.conformance.seen import record
from tests.backends.models.conformance.tiny.checkpoint import BUILDERS

pytestmark = pytest.mark.slow
GROUPS = {name: pytest.mark.xdist_group(f"conformance-{at % 2}") for at, name in enumerate(BUILDERS)}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=GROUPS[name]) for name in BUILDERS])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(architecture: str, checkpoint: Callable[[str], Path]) -> Iterator[TransformersModel]:
    """Loaded once an architecture; a test that changes it loads its own."""
    loaded = load(checkpoint(architecture), device="cpu", generation=GENERATION)
    yield loaded
    loaded.unload()


def test_it_loads_whole(architecture: str, model: TransformersModel) -> None:
    assert model.warnings == []
    assert model.facts() == {"numbers": "float32", "attention": "sdpa"}
    assert model.parameters > 10_000
    record(architecture, "loads", "fp32")


def test_another_image_changes_the_logits(architecture: str, model: TransformersModel) -> None:
    request = mixed()[0]
    other = type(request)(picture(96, 72, 2), request.messages)
    here, there = first_logits(model, [request]), first_logits(model, [other])
    assert (here - there).abs().max() > 1e-3
    reply = model.ask([request])[0]
    assert 1 <= (reply.output_tokens or 0) <= NEW_TOKENS
    record(architecture, "asks", "fp32")


def test_the_question_and_the_system_message_change_the_logits(model: TransformersModel) -> None:
    first, second = mixed()[:2]
    asked = first_logits(model, [first])
    other = first_logits(model, [type(first)(first.image, second.messages)])
    unled = first_logits(model, [type(first)(first.image, second.messages[1:])])
    assert (asked - other).abs().max() > 1e-3
    assert (unled - other).abs().max() > 1e-3


def test_a_batch_is_answered_as_its_members_alone(architecture: str, model: TransformersModel) -> None:
    requests = mixed()
    alone = [tokens(model, [request])[0] for request in requests]
    assert len({tuple(row) for row in alone}) > 1, "the random model says the same to everything: it proves nothing"
    assert tokens(model, requests) == alone
    assert tokens(model, requests[::-1]) == alone[::-1]
    assert tokens(model, requests[1:3]) == alone[1:3]
    single = torch.cat([first_logits(model, [request]) for request in requests])
    torch.testing.assert_close(first_logits(model, requests), single, atol=1e-4, rtol=1e-4)
    record(architecture, "batches", "fp32")


def test_in_bfloat16_it_is_asked_too(architecture: str, checkpoint: Callable[[str], Path]) -> None:
    """Equal to the last bit it need not be: padding changes the order of sums, and bfloat16 has 8 bits for them."""
    model = load(checkpoint(architecture), device="cpu", generation=GENERATION, precision="bf16")
    assert model.facts()["numbers"] == "bfloat16"
    requests = mixed()
    single = torch.cat([first_logits(model, [request]) for request in requests])
    together = first_logits(model, requests)
    assert (together - single).abs().max() < 0.1 * single.std() + 0.1
    assert len(model.ask(requests)) == len(requests)
    record(architecture, "asks", "bf16")


def samples(folder: Path) -> list[Sample]:
    made = []
    for at, (request, answer) in enumerate(zip(mixed(), ("Femur.", "Yes, it is.", "No.", "Heart", "2nd"), strict=True)):
        path = folder / f"{at}.png"
        request.image.save(path)
        question = request.messages[-1]["content"][1]["text"]
        made.append(Sample(f"{at}#Q1", path.name, path, None, question, "Q1", answer))
    return made


def test_a_lora_is_trained_saved_and_loaded_again(
    architecture: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    base = checkpoint(architecture)
    model = load(base, device="cpu", generation=GENERATION)
    before = tokens(model, mixed())
    encoder = Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))
    collate = Collate(model.prompts.tokenizer.pad_token_id)
    features = encoder.encode(samples(tmp_path))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        model.model = get_peft_model(model.model, lora)
    alone = torch.stack([_loss(model, collate([one])) * _counted(one) for one in features])
    together = _loss(model, collate(features)) * sum(map(_counted, features))
    torch.testing.assert_close(together, alone.sum(), rtol=1e-3, atol=1e-3)
    losses = _train(model, collate(features), steps=12)
    assert losses[-1] < 0.9 * losses[0]
    trained = tokens(model, mixed())
    assert trained != before
    model.model.save_pretrained(str(tmp_path / "adapter"))
    again = load(base, tmp_path / "adapter", "cpu", generation=GENERATION)
    assert tokens(again, mixed()) == trained
    assert [tokens(again, [request])[0] for request in mixed()] == trained
    record(architecture, "fine-tunes", "LoRA")
    _check_merged(architecture, again, tmp_path / "merged")


def _counted(features: dict[str, torch.Tensor]) -> int:
    return int((features["labels"][:, 1:] != -100).sum())


def _loss(model: TransformersModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(**batch).loss.clone()


def _train(model: TransformersModel, batch: dict[str, torch.Tensor], steps: int) -> list[float]:
    model.model.train()
    optimizer = torch.optim.AdamW([p for p in model.model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = model.model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    model.model.eval()
    return losses


def _check_merged(architecture: str, model: TransformersModel, folder: Path) -> None:
    """The LoRA added to the weights is a checkpoint of its own, with the same answers."""
    trained = first_logits(model, mixed())
    merged = model.model.merge_and_unload()
    merged.save_pretrained(folder)
    model.processor.save_pretrained(folder)
    again = load(folder, device="cpu", generation=GENERATION)
    torch.testing.assert_close(first_logits(again, mixed()), trained, atol=1e-3, rtol=1e-3)
    record(architecture, "exports", "merged")


def test_its_memory_is_estimated_from_its_own_shape(architecture: str, checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint(architecture)
    generation = {"batch_size": 4, "max_new_tokens": 8}
    spec = {"kind": "eval", "model": {"source": str(folder)}, "generation": generation, "data": {"samples": 4}}
    found = estimate(spec, cuda=True)
    assert found.vram_bytes > 0
    assert found.parts["KV cache"] > 0  # from the text model's layers and heads, not a guess by size
    record(architecture, "estimated", "from its configuration")
