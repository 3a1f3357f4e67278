"""A tiny checkpoint folder of any architecture, as `from_pretrained` takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

import backends  # noqa: F401 - before transformers
from tests.backends.models.conformance.tiny import llava_like, qwen_like, tiled
from tests.backends.models.conformance.tiny.parts import Parts

BUILDERS: dict[str, Callable[[], Parts]] = {
    build.__name__: build
    for build in (
        qwen_like.qwen2_vl,
        qwen_like.qwen2_5_vl,
        qwen_like.qwen3_vl,
        qwen_like.internvl,
        qwen_like.llava_onevision,
        qwen_like.minicpmv4_6,
        llava_like.llava,
        llava_like.llava_next,
        llava_like.deepseek_vl,
        llava_like.pixtral,
        llava_like.mistral3,
        llava_like.gemma3,
        llava_like.paligemma,
        tiled.mllama,
        tiled.idefics3,
        tiled.smolvlm,
        tiled.lfm2_vl,
    )
}


def build(architecture: str, folder: Path, seed: int = 0) -> Path:
    """Save a random model of ``architecture`` and its processor in ``folder``; the same seed gives the same weights."""
    return save(BUILDERS[architecture], folder, seed)


def save(builder: Callable[[], Parts], folder: Path, seed: int = 0) -> Path:
    """The same of what a builder makes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = builder()
        _awaken(model)
    generation = model.generation_config
    tok = processor.tokenizer
    generation.bos_token_id, generation.eos_token_id = tok.bos_token_id, tok.eos_token_id
    generation.pad_token_id = tok.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@torch.no_grad()
def _awaken(model: torch.nn.Module) -> None:
    """Larger weights than a real start: so narrow a model would say the same whatever it saw.

    Gates and projections that start at zero would hide the image altogether.
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=0.15)
        elif name.endswith("gate"):
            parameter.fill_(0.5)
