"""Generation and training settings: their defaults, and how `--set key=value` is read and checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

GENERATION: dict[str, Any] = {"max_new_tokens": 64, "batch_size": 32, "do_sample": False}
TEMPLATES = ("{}", "ultrasound image of {}", "fetal ultrasound: {}")
"""The sentences of a class in a zero-shot evaluation; ``{}`` is its name."""

TRAINING: dict[str, Any] = {
    "method": "auto",
    "epochs": 3.0,
    "max_steps": None,
    "learning_rate": 2e-4,
    "schedule": "cosine",
    "warmup_ratio": 0.03,
    "batch_size": 8,
    "accumulation": 1,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "eval_every": None,
    "eval_limit": 200,
    "save_every": None,
    "limit": None,
    "lora.r": 16,
    "lora.alpha": 32,
    "lora.dropout": 0.05,
}
"""The field's usual values for LoRA on vision-language models; None: decided from the length of the run."""

SHORT = {"lr": "learning_rate", "steps": "max_steps", "batch": "batch_size", "r": "lora.r", "alpha": "lora.alpha"}
METHODS = ("auto", "peft", "full")
SCHEDULES = ("cosine", "linear", "constant")
_WHOLE = {"max_steps", "batch_size", "accumulation", "eval_every", "eval_limit", "save_every", "limit", "lora.r"}
_CHOICES = {"method": METHODS, "schedule": SCHEDULES}
_MAY_BE_ZERO = {"warmup_ratio", "weight_decay", "lora.dropout"}


class SettingError(ValueError):
    """A setting that does not exist or a value that it cannot take."""


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """``["lr=1e-4", "lora.r=8"]`` as checked values by full name.

    Raises:
        SettingError: Names the word, and the nearest setting where there is one.
    """
    return check_settings(dict(_split(word) for word in words))


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise SettingError(f"--set {word}: write it as name=value, for instance --set lr=1e-4")
    return name.strip(), value.strip()


def check_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by full name with values of their type."""
    return {full: _value(full, value) for full, value in ((_full_name(name), value) for name, value in given.items())}


def _full_name(name: str) -> str:
    full = SHORT.get(name, name)
    if full not in TRAINING:
        near = difflib.get_close_matches(name, [*TRAINING, *SHORT], n=1)
        known = f"did you mean {near[0]}?" if near else "known: " + ", ".join(TRAINING)
        raise SettingError(f"there is no setting {name!r}; {known}")
    return full


def _value(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise SettingError(f"{name}={value}: one of {', '.join(_CHOICES[name])}")
        return value
    if value is None or value == "none":
        if TRAINING[name] is not None:
            raise SettingError(f"{name} needs a number")
        return None
    try:
        number = int(value) if name in _WHOLE else float(value)
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise SettingError(f"{name}={value}: {kind} is needed") from None
    if not 0 <= number < float("inf") or (number == 0 and name not in _MAY_BE_ZERO):
        raise SettingError(f"{name}={value}: it must be above 0")
    return number


def training_spec(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's ``training`` part: the defaults with what was set, LoRA's own settings in a part of their own."""
    flat = {**TRAINING, **settings}
    lora = {name.removeprefix("lora."): value for name, value in flat.items() if name.startswith("lora.")}
    return {**{name: value for name, value in flat.items() if not name.startswith("lora.")}, "lora": lora}
