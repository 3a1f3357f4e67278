"""Where a model runs, and with which versions."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import torch

from backends.jobs.job import JobError

PACKAGES = (
    "fada-tui",
    "torch",
    "torchvision",
    "transformers",
    "tokenizers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "trl",
    "unsloth",
    "unsloth-zoo",
    "triton",
    "flash-attn",
    "sentence-transformers",
    "numpy",
)


def pick_device(wanted: str) -> torch.device:
    """The device of a spec: ``auto`` is the first CUDA card where there is one, else the CPU.

    Raises:
        JobError: CUDA is asked for by name and is not there, or the name means nothing.
    """
    if wanted == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise JobError(f"unknown device {wanted!r}", "use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise JobError(f"device {wanted!r} was asked for, but torch sees no CUDA card", "use device=auto or cpu")
    return device


def device_name(device: torch.device) -> str:
    """``cpu``, or the CUDA index with the card's name."""
    if device.type != "cuda":
        return str(device)
    return f"cuda:{device.index or 0} {torch.cuda.get_device_name(device)}"


def default_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on CUDA, float32 on the CPU (where bfloat16 is slower)."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def attention_kernel(device: torch.device, dtype: torch.dtype) -> str | None:
    """The attention to ask for: FlashAttention 2 on a card where it is installed, else None.

    None leaves the choice to transformers: torch's own (sdpa) where the architecture has it, else the plain one.
    """
    from transformers.utils.import_utils import is_flash_attn_2_available

    half = dtype in (torch.bfloat16, torch.float16)
    return "flash_attention_2" if device.type == "cuda" and half and is_flash_attn_2_available() else None


def set_threads(threads: int) -> None:
    """CPU threads of this process. One is best where several jobs share the machine."""
    torch.set_num_threads(max(1, threads))


def versions() -> dict[str, str]:
    """Versions of what decides a result, as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    cuda: Any = getattr(torch.version, "cuda", None)
    if cuda:
        found["cuda"] = str(cuda)
    return found
