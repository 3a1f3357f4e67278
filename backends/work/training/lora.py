"""Which layers of a model carry LoRA."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from backends.jobs.job import JobError

ALL = "all-linear"
"""PEFT's own word for every linear layer but the head; what specs say that name no targets."""
_NUMBER = re.compile(r"\.\d+(?=\.|$)")
_VISION = re.compile(
    r"(^|\.)(visual|vision\w*|vit|vpm|image\w*|multi_modal_projector|mm_projector|connector|aligner|merger|resampler)\."
)


def with_lora(model: Any, lora: Mapping[str, Any], tell: Callable[[str, str], None] = lambda level, text: None) -> Any:
    """``model`` with fresh LoRA weights on the layers that ``lora`` names.

    Raises:
        JobError: No layer of the model has such a name.
    """
    from peft import LoraConfig, get_peft_model

    modules = target_modules(model, lora)
    config = LoraConfig(
        r=int(lora.get("r", 16)),
        lora_alpha=int(lora.get("alpha", 32)),
        lora_dropout=float(lora.get("dropout", 0.05)),
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
    try:
        made = get_peft_model(model, config)
    except ValueError as error:
        if "not found in the base model" not in str(error):
            raise
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linear_layers(model)}))
        raise JobError(f"no layer of the model is called {lora['target_modules']}", f"its layers: {known}") from error
    tell("info", f"LoRA on {words(made)}")
    return made


def target_modules(model: Any, lora: Mapping[str, Any]) -> Any:
    """What PEFT takes: names that a person gave, else a pattern of the language or vision layers, or all.

    Raises:
        JobError: The model has no such layers.
    """
    if lora.get("target_modules"):
        return lora["target_modules"]
    wanted = lora.get("targets") or "both"
    if wanted == "both":
        return ALL
    names = [name for name in linear_layers(model) if (wanted == "vision") == is_vision(model, name)]
    if not names:
        raise JobError(
            f"the model has no linear {wanted} layers", "use --set lora.targets=both, or lora.target_modules"
        )
    return pattern(names, [name for name, _ in model.named_modules()])


def linear_layers(model: Any) -> Iterator[str]:
    """Names of the linear layers that can carry LoRA: not the head, not those inside of torch's own attention."""
    head = model.get_output_embeddings()
    inside: set[str] = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            inside.add(f"{name}.out_proj")
        elif isinstance(module, torch.nn.Linear) and module is not head and name not in inside:
            yield name


def is_vision(model: Any, name: str) -> bool:
    """True for a layer of the vision tower, or of what joins it to the text model."""
    decoder = model.get_decoder()
    path = next((path for path, module in model.named_modules() if module is decoder), "")
    # A model may have no text model of its own inside, or call itself one.
    return not name.startswith(f"{path}.") if path else _VISION.search(f"{name}.") is not None


def pattern(names: Sequence[str], everything: Sequence[str]) -> str:
    """One pattern that matches whole these names and none else of ``everything``, short where layers are numbered."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_NUMBER.sub(".#", name), []).append(name)
    of_kind = Counter(_NUMBER.sub(".#", name) for name in everything)
    parts: list[str] = []
    for kind, members in kinds.items():
        # In a sequence of layers some numbers are no linear ones.
        whole = of_kind[kind] == len(members)
        parts += [re.escape(kind).replace(r"\.\#", r"\.\d+")] if whole else map(re.escape, members)
    return "|".join(parts)


def words(model: Any) -> str:
    """How many layers carry LoRA in the language and in the vision part of a PEFT model."""
    carrying = [name for name, module in model.named_modules() if hasattr(module, "lora_A")]
    base = model.get_base_model()
    names = [name.removeprefix("base_model.model.") for name in carrying]
    vision = sum(is_vision(base, name) for name in names)
    return f"{len(names) - vision} language and {vision} vision layers"
