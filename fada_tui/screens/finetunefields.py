"""The fields of a fine-tune's form: which setting each stands for, and what a preset writes into them."""

from __future__ import annotations

from typing import Any

from backends.jobs.precision import PRECISIONS
from backends.jobs.presets import Preset
from backends.jobs.settings import MEANINGS, METHODS, SCHEDULES, TARGETS, TRAINING
from fada_tui.screens.fields import Field

PRESET, PRECISION = "preset", "precision"
NO_PRESET = "none"
SETTINGS = {
    "method": "method",
    "epochs": "epochs",
    "steps": "max_steps",
    "lr": "learning_rate",
    "schedule": "schedule",
    "batch": "batch_size",
    "accumulation": "accumulation",
    "r": "lora.r",
    "alpha": "lora.alpha",
    "dropout": "lora.dropout",
    "targets": "lora.targets",
    "max_pixels": "max_pixels",
    "max_length": "max_length",
    "limit": "limit",
    "seed": "seed",
    "eval_every": "eval_every",
    "eval_limit": "eval_limit",
    "early_stopping": "early_stopping",
    "save_every": "save_every",
    "warmup": "warmup_ratio",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "shuffle": "shuffle",
    "modules": "lora.target_modules",
}
"""Field of the form to name of the setting."""
_PICKS = {"method": METHODS, "schedule": SCHEDULES, "targets": TARGETS, "shuffle": ("true", "false")}
_WHOLE = ("steps", "batch", "accumulation", "r", "max_pixels", "max_length", "limit", "seed", "eval_every",
          "eval_limit", "early_stopping", "save_every")  # fmt: skip
_HINTS = {
    "steps": "by the epochs",
    "max_pixels": "the model's own",
    "max_length": "no limit",
    "limit": "all samples",
    "seed": "0",
    "eval_every": "eight times",
    "save_every": "five times",
    "early_stopping": "never",
    "modules": "as the targets say",
}
"""What an empty field means, where it is no number."""
_PRECISION = "Of the weights: auto is bf16 on a card, else fp32. 4bit and 8bit train LoRA on a packed model (QLoRA)."
_PRESET = "Named sets of settings, in presets.toml. Its values go into the fields, where they can be changed."
_EVALUATE = "Afterwards base and result are evaluated on the held-out data, so that the tracker gets before → after."


def finetune_fields(model: str) -> tuple[Field, ...]:
    """Those that are always asked, then the rarer ones."""
    return (
        Field("model", "Model", model, help="Tracker name, Hugging Face id or checkpoint folder."),
        Field("data", "Training data", kind="path", help="JSONL, one question and answer a line."),
        Field("eval_data", "Held-out data", hint="none: no score while it trains", kind="path",
              help="Questions that are never trained on; scored while it trains and afterwards."),
        Field("image_root", "Image root", hint="the data file's folder, or its images/", kind="path",
              help="Where the image paths of the data start."),
        Field(PRESET, "Preset", NO_PRESET, kind="pick", choices=(NO_PRESET,), help=_PRESET),
        Field("evaluate", "Evaluate after", "yes", kind="pick", choices=("yes", "no"), beside=True, help=_EVALUATE),
        _setting("method", "Method"),
        Field(PRECISION, "Precision", "auto", kind="pick", choices=PRECISIONS, beside=True, help=_PRECISION),
        _setting("epochs", "Epochs"),
        _setting("steps", "or steps", beside=True),
        _setting("lr", "Learning rate"),
        _setting("schedule", "Schedule", beside=True),
        _setting("batch", "Batch size"),
        _setting("accumulation", "Accumulation", beside=True),
        _setting("r", "LoRA r", rare=True),
        _setting("alpha", "LoRA alpha", beside=True, rare=True),
        _setting("dropout", "LoRA dropout", rare=True),
        _setting("targets", "LoRA targets", beside=True, rare=True),
        _setting("max_pixels", "Max pixels", rare=True),
        _setting("max_length", "Max tokens", beside=True, rare=True),
        _setting("limit", "Samples", rare=True),
        _setting("seed", "Seed", beside=True, rare=True),
        _setting("eval_every", "Score every", rare=True),
        _setting("eval_limit", "on questions", beside=True, rare=True),
        _setting("early_stopping", "Stop early", rare=True),
        _setting("save_every", "Save every", beside=True, rare=True),
        _setting("warmup", "Warm-up", rare=True),
        _setting("weight_decay", "Weight decay", beside=True, rare=True),
        _setting("max_grad_norm", "Gradient norm", rare=True),
        _setting("shuffle", "Shuffle", beside=True, rare=True),
        _setting("modules", "LoRA modules", rare=True),
    )  # fmt: skip


def preset_values(preset: Preset | None) -> dict[str, str]:
    """What to write into each field; without a preset the defaults."""
    settings = preset.settings if preset else {}
    values = {name: _text(settings.get(setting)) for name, setting in SETTINGS.items()}
    values |= {name: values[name] or _text(TRAINING[SETTINGS[name]]) for name in _PICKS}
    return values | {PRECISION: (preset.precision if preset else None) or "auto"}


def is_default(name: str, value: str) -> bool:
    """Whether a pick stands where it stood: a number that was written is meant, whatever it is."""
    return name in _PICKS and value == _text(TRAINING[SETTINGS[name]])


def _setting(name: str, label: str, *, beside: bool = False, rare: bool = False) -> Field:
    """A field for one setting: empty is its default, which is shown in its place."""
    setting = SETTINGS[name]
    default, meaning = TRAINING[setting], MEANINGS[setting]
    help = meaning[0].upper() + meaning[1:]
    if name in _PICKS:
        return Field(name, label, _text(default), "", "pick", _PICKS[name], help, beside, rare)
    kind = "integer" if name in _WHOLE else "text" if name == "modules" else "number"
    hint = _HINTS.get(name) or _text(default)
    return Field(name, label, "", hint, kind, (), help, beside, rare)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
