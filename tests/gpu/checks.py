"""What is looked at on a card, as functions of a device: the same run on a CPU, so that their own logic is tested."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from backends.data.sample import Sample
from backends.models.prompts import end_tokens
from backends.models.transformers_loader import TransformersModel, load
from backends.work.asking import Asker
from backends.work.encoding import Collate, Encoder
from tests.backends.models.conformance.questions import GENERATION, first_logits, mixed, picture

CLOSE = {"auto": 0.1, "bf16": 0.1, "8bit": 0.25, "4bit": 0.75}
"""How far logits may move against the whole model in 32 bits on the CPU, in their own standard deviations."""


@dataclass(frozen=True)
class Asked:
    """``moved``: mean distance of the logits from those in 32 bits on the CPU; ``batched``: a batch's from its members'."""

    numbers: str
    attention: str
    moved: float
    batched: float
    answers: int


def asked(checkpoint: Path, device: str, precision: str) -> Asked:
    """Load, ask alone and in a batch of five image sizes and prompt lengths."""
    whole = load(checkpoint, device="cpu", generation=GENERATION, precision="fp32")
    expected = first_logits(whole, mixed())
    model = load(checkpoint, device=device, generation=GENERATION, precision=precision)
    together = first_logits(model, mixed()).cpu()
    single = torch.cat([first_logits(model, [request]).cpu() for request in mixed()])
    spread = float(expected.std())
    facts, replies = model.facts(), model.ask(mixed())
    found = Asked(
        facts["numbers"],
        facts["attention"],
        float((together - expected).abs().mean()) / spread,
        float((together - single).abs().mean()) / spread,
        len(replies),
    )
    model.unload()
    return found


def lora_losses(checkpoint: Path, device: str, precision: str, folder: Path, steps: int = 12) -> list[float]:
    """Losses of a LoRA that is trained on five answers."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model = load(checkpoint, device=device, generation=GENERATION, precision=precision)
    encoder = Encoder(model.prompts, end_tokens(model.model, model.prompts.tokenizer))
    batch = Collate(model.prompts.tokenizer.pad_token_id)(encoder.encode(samples(folder)))
    if precision == "4bit":
        model.model = prepare_model_for_kbit_training(model.model, use_gradient_checkpointing=False)
    torch.manual_seed(0)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model.model = get_peft_model(model.model, lora)
    given = {name: _moved(tensor, model) for name, tensor in batch.items()}
    optimiser = torch.optim.AdamW([p for p in model.model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = model.model(**given).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    model.unload()
    return losses


def halvings(model: TransformersModel, questions: list[Sample], batch: int) -> tuple[int, int]:
    """Ask all in batches of ``batch`` at first; how often it was halved, and how many were answered."""
    asker = Asker(model, batch)
    answered = sum(result.reply is not None for results in asker.run(questions) for result in results)
    return asker.halved, answered


def samples(folder: Path, count: int = 5) -> list[Sample]:
    made = []
    for at in range(count):
        path = folder / f"{at}.png"
        picture(96 + 8 * (at % 5), 72, at % 3).save(path)
        made.append(Sample(f"{at}#Q1", path.name, path, None, f"Which plane is number {at}?", "Q1", f"Plane {at % 3}"))
    return made


def _moved(tensor: torch.Tensor, model: TransformersModel) -> torch.Tensor:
    numbers = model.model.dtype if tensor.is_floating_point() else None
    return tensor.to(model.torch_device, dtype=numbers)
