"""The conformance suite's tiny checkpoints, on the card: in 16, 8 and 4 bits, asked and trained."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.backends.models.conformance.tiny.checkpoint import BUILDERS
from tests.gpu.card import NEEDS_A_CARD
from tests.gpu.checks import CLOSE, asked, lora_losses
from tests.gpu.seen import record

pytestmark = NEEDS_A_CARD
PRECISIONS = ["bf16"] + ["8bit", "4bit"] * (find_spec("bitsandbytes") is not None)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", BUILDERS)
def test_it_is_asked(architecture: str, precision: str, checkpoint: Callable[[str], Path]) -> None:
    found = asked(checkpoint(architecture), "cuda", precision)
    assert found.moved < CLOSE[precision]
    assert found.batched < CLOSE["bf16"]
    record(
        f"Asked in {precision}",
        architecture,
        numbers=found.numbers,
        attention=found.attention,
        **{"moved (σ)": f"{found.moved:.3f}", "batch against alone (σ)": f"{found.batched:.3f}"},
    )


@pytest.mark.parametrize("precision", [one for one in PRECISIONS if one != "8bit"])
@pytest.mark.parametrize("architecture", BUILDERS)
def test_a_lora_learns(architecture: str, precision: str, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    losses = lora_losses(checkpoint(architecture), "cuda", precision, tmp_path)
    assert losses[-1] < 0.9 * losses[0]
    record(f"LoRA in {precision}", architecture, first=f"{losses[0]:.3f}", last=f"{losses[-1]:.3f}")
