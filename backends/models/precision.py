"""In what numbers a model is loaded: 16 or 32 bits as they are, or 8 or 4 bits through bitsandbytes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from backends.jobs.job import JobError
from backends.models.device import default_dtype

PLAIN = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
QUANTISED = ("8bit", "4bit")

KEPT_WHOLE = (
    "lm_head",
    r".*\b(visual|vision_tower|vision_model|vision_encoder|vpm|multi_modal_projector|connector|aligner|merger)\b",
)
"""Modules that are not quantised, as patterns: the head, the vision tower and what joins it to the text model.

They are a small share of the weights, and their errors reach every token.
"""


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """The type of the weights, or what quantised ones are computed in.

    Raises:
        JobError: There is no such precision.
    """
    if precision in PLAIN:
        return PLAIN[precision]
    if precision == "auto" or precision in QUANTISED:
        return default_dtype(device)
    raise JobError(f"unknown precision {precision!r}", f"use one of: auto, {', '.join((*PLAIN, *QUANTISED))}")


def quantisation(precision: str, dtype: torch.dtype) -> Any:
    """What `from_pretrained` takes as ``quantization_config``; None where nothing is quantised.

    Raises:
        JobError: bitsandbytes is not installed.
    """
    if precision not in QUANTISED:
        return None
    if find_spec("bitsandbytes") is None:
        raise JobError(
            f"precision {precision} needs bitsandbytes, which is not installed", "pip install 'fada-tui[quantised]'"
        )
    from transformers import BitsAndBytesConfig

    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(KEPT_WHOLE))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=list(KEPT_WHOLE),
    )
