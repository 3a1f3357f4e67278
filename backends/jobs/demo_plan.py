"""The numbers of the demo: enough synthetic ultrasound and training for a tiny model to learn in about a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class DemoPlan:
    """Images a split, the seed of all of it, and settings as ``fada finetune --set`` and the spec name them."""

    train: int = 1000
    val: int = 50
    test: int = 120
    seed: int = 0
    training: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType(
            {
                "method": "full",
                "max_steps": 600,
                "learning_rate": 2e-3,
                "batch_size": 32,
                "warmup_ratio": 0.06,
                "schedule": "cosine",
                "eval_every": 100,
                "eval_limit": 160,
            }
        )
    )
    generation: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType({"max_new_tokens": 16, "batch_size": 64, "do_sample": False})
    )


PLAN = DemoPlan()
