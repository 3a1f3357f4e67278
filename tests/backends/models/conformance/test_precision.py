"""8-bit and 4-bit loading through bitsandbytes, which works on a CPU too."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from backends.jobs.errors import QueueError
from backends.jobs.job import JobError
from backends.jobs.precision import precision_part
from backends.models.transformers_loader import load
from tests.backends.models.conformance.questions import GENERATION, first_logits, mixed, tokens
from tests.backends.models.conformance.seen import record
from tests.backends.models.conformance.tiny.checkpoint import BUILDERS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("conformance-1")]
INSTALLED = find_spec("bitsandbytes") is not None
needs_it = pytest.mark.skipif(not INSTALLED, reason="bitsandbytes is not installed: pip install 'fada-tui[quantised]'")
CLOSE = {"8bit": 0.25, "4bit": 0.75}
"""How far the logits may move, in their own standard deviations, in a model so narrow."""


@pytest.fixture(autouse=True)
def _plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU with AVX512-BF16 bitsandbytes packs 4-bit rows anew, of at least 64 values; the tiny models have 32."""
    if INSTALLED:
        monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)


@needs_it
@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("architecture", BUILDERS)
def test_quantised_it_answers_much_as_whole(
    architecture: str, precision: str, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(architecture)
    model = load(folder, device="cpu", generation=GENERATION, precision=precision)
    whole = load(folder, device="cpu", generation=GENERATION)
    kinds = {name: type(module).__name__ for name, module in model.model.named_modules()}
    small = {name for name, kind in kinds.items() if kind in ("Linear4bit", "Linear8bitLt")}
    assert any("q_proj" in name for name in small)
    assert not [name for name in small if "vis" in name or name.endswith("lm_head")]
    assert model.facts()["numbers"] == f"{precision}, computed in float32"
    asked = [first_logits(one, mixed()) for one in (model, whole)]
    moved = (asked[0] - asked[1]).abs().mean() / asked[1].std()
    assert 0 < moved < CLOSE[precision]
    assert len(model.ask(mixed())) == len(mixed())
    record(architecture, "loads", precision)


@needs_it
@pytest.mark.parametrize("architecture", ["qwen2_5_vl", "gemma3", "idefics3", "pixtral"])
def test_an_adapter_goes_on_a_4_bit_model(architecture: str, checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = checkpoint(architecture)
    model = load(base, device="cpu", generation=GENERATION, precision="4bit")
    plain = tokens(model, mixed())
    model.model = get_peft_model(model.model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.3)
    adapted = tokens(model, mixed())
    assert adapted != plain
    model.model.save_pretrained(str(tmp_path / "adapter"))
    again = load(base, tmp_path / "adapter", "cpu", generation=GENERATION, precision="4bit")
    assert tokens(again, mixed()) == adapted
    record(architecture, "loads", "LoRA on 4bit")


@pytest.mark.skipif(INSTALLED, reason="bitsandbytes is installed")
def test_without_bitsandbytes_it_is_said(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(JobError, match="bitsandbytes") as caught:
        load(checkpoint("llava"), device="cpu", precision="4bit")
    assert "fada-tui[quantised]" in (caught.value.hint or "")
    with pytest.raises(QueueError, match="bitsandbytes"):
        precision_part("8bit", "transformers", here=True)


def test_a_precision_that_is_none_is_refused(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(JobError, match="unknown precision 'fp2'"):
        load(checkpoint("llava"), device="cpu", precision="fp2")
    with pytest.raises(QueueError, match="no precision 'fp2'"):
        precision_part("fp2", "transformers", here=True)
    with pytest.raises(QueueError, match="server"):
        precision_part("bf16", "openai", here=False)
    assert precision_part("auto", "openai", here=False) == {}
    assert precision_part("bf16", "transformers", here=True) == {"precision": "bf16", "quantisation": "bf16"}
