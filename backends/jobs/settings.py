"""Generation and training settings: their defaults, and how `--set key=value` is read and checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

EVAL_TASKS = ("gt", "proxy", "u2bench", "fetal-gauge", "perf", "zero-shot")
GENERATION: dict[str, Any] = {"max_new_tokens": 64, "batch_size": 32, "do_sample": False}
OF_TASK: Mapping[str, Mapping[str, Any]] = {
    "u2bench": {"max_new_tokens": 256},  # reports are long
    "perf": {"batch_size": 1},  # latency is that of one question
}
"""Generation settings of a kind of evaluation, unless they are given."""
TEMPLATES = ("{}", "ultrasound image of {}", "fetal ultrasound: {}")
"""The sentences of a class in a zero-shot evaluation; ``{}`` is its name."""

# What each setting of a training means is said in MEANINGS, below the defaults.
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
    "lora.targets": "language",
    "lora.target_modules": None,
    "max_pixels": None,
    "max_length": None,
    "early_stopping": None,
    "seed": None,
    "shuffle": True,
    "report_to": None,
}
"""The field's usual values for LoRA on vision-language models; None: decided from the run's length, or no limit."""

MEANINGS: dict[str, str] = {
    "method": "auto: unsloth where it runs, else all weights of a small model and LoRA (peft) on a larger one",
    "epochs": "times that every sample is seen; max_steps goes before it",
    "max_steps": "optimiser steps, instead of epochs",
    "learning_rate": "highest learning rate, reached after the warm-up",
    "schedule": "how the learning rate falls after the warm-up",
    "warmup_ratio": "share of the steps in which the learning rate rises from 0",
    "batch_size": "samples in one forward pass",
    "accumulation": "forward passes before the weights are changed once",
    "weight_decay": "of AdamW",
    "max_grad_norm": "a longer gradient is cut to this length",
    "eval_every": "steps between two held-out scores (none: eight in a training)",
    "eval_limit": "held-out questions asked each time (none: all)",
    "save_every": "steps between two checkpoints (none: five in a training)",
    "limit": "training samples, drawn at random by the seed (none: all)",
    "lora.r": "rank of the LoRA matrices",
    "lora.alpha": "LoRA's changes are scaled by alpha / r",
    "lora.dropout": "share of LoRA's inputs that is dropped while it trains",
    "lora.targets": "linear layers that carry LoRA: language, vision (tower and what joins it to the text), both",
    "lora.target_modules": "module names instead of lora.targets, with commas: q_proj,v_proj",
    "max_pixels": "largest image in pixels; larger ones are made smaller (none: as the model's processor has it)",
    "max_length": "tokens of prompt, image and answer; longer samples are left out and counted, never cut",
    "early_stopping": "end after so many held-out scores without a better one (none: never)",
    "seed": "of the order of the samples, the subset and LoRA's first weights (none: the run's, 0)",
    "shuffle": "the samples come in a new order each epoch; false: in the order of the file",
    "report_to": "also to trackio, wandb or mlflow, where installed (none: nowhere else)",
}
"""One line a setting, for help and forms."""

UNSAID: dict[str, Any] = {
    "lora.targets": "both",
    "lora.target_modules": None,
    "max_pixels": None,
    "max_length": None,
    "early_stopping": None,
    "seed": None,
    "shuffle": True,
    "report_to": None,
}
"""What a spec means that lacks a setting, being older than it; one that says just this has the same fingerprint."""

SHORT = {"lr": "learning_rate", "steps": "max_steps", "batch": "batch_size", "r": "lora.r", "alpha": "lora.alpha"}
METHODS = ("auto", "peft", "full", "unsloth")
SCHEDULES = ("cosine", "linear", "constant")
TRACKERS = ("trackio", "wandb", "mlflow")
TARGETS = ("language", "vision", "both")
_WHOLE = {
    "max_steps",
    "batch_size",
    "accumulation",
    "eval_every",
    "eval_limit",
    "save_every",
    "limit",
    "lora.r",
    "max_pixels",
    "max_length",
    "early_stopping",
    "seed",
}
_CHOICES = {"method": METHODS, "schedule": SCHEDULES, "lora.targets": TARGETS}
_MAY_BE_ZERO = {"warmup_ratio", "weight_decay", "lora.dropout", "seed"}
_SHARES = {"warmup_ratio", "lora.dropout"}
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


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
    if name == "lora.target_modules":
        return _module_names(value)
    if name == "report_to":
        return _trackers(value)
    if name == "shuffle":
        if str(value).lower() not in _YES_NO:
            raise SettingError(f"{name}={value}: true or false")
        return _YES_NO[str(value).lower()]
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
    if name in _SHARES and number >= 1:
        raise SettingError(f"{name}={value}: it is a share, below 1")
    return number


def _module_names(value: Any) -> list[str] | str | None:
    """``q_proj,v_proj`` as a list; ``all-linear`` is PEFT's own word for every linear layer but the head."""
    words = value.split(",") if isinstance(value, str) else value
    names = [str(word).strip() for word in words or () if str(word).strip()]
    if names in ([], ["none"]):
        return None
    return names[0] if names == ["all-linear"] else names


def _trackers(value: Any) -> list[str] | None:
    """``trackio,wandb`` as a list."""
    words = value.split(",") if isinstance(value, str) else value
    names = [str(word).strip() for word in words or () if str(word).strip()]
    if names in ([], ["none"]):
        return None
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise SettingError(f"report_to={unknown[0]}: one of {', '.join(TRACKERS)}")
    return list(dict.fromkeys(names))


def training_spec(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's ``training`` part: the defaults with what was set, LoRA's own settings in a part of their own."""
    flat = {**TRAINING, **settings}
    lora = {name.removeprefix("lora."): value for name, value in flat.items() if name.startswith("lora.")}
    return {**{name: value for name, value in flat.items() if not name.startswith("lora.")}, "lora": lora}


def training_seed(spec: Mapping[str, Any]) -> int:
    """The seed of a fine-tune's spec: what its settings say, else the run's own."""
    given = (spec.get("training") or {}).get("seed")
    return int(spec.get("seed") or 0) if given is None else int(given)


def telling(training: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's ``training`` without what only says the same as nothing (:data:`UNSAID`): for fingerprints."""
    told = {key: value for key, value in training.items() if key not in UNSAID or value != UNSAID[key]}
    if isinstance(training.get("lora"), Mapping):
        names = {name.removeprefix("lora."): value for name, value in UNSAID.items() if name.startswith("lora.")}
        told["lora"] = {k: v for k, v in training["lora"].items() if k not in names or v != names[k]}
    return told
