"""How another program trained, as it wrote it down as text: arguments, recipe, model card, and the adapter's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.results.made import read_document

ADAPTER = "adapter_config.json"
_ARGUMENTS = ("args.json", "sft_args.json", "training_args.json", "training_args.yaml", "llamaboard_config.yaml")
_RECIPES = ("axolotl_config.yaml", "axolotl_config.yml", "axolotl.yaml", "axolotl.yml", "config.yaml", "config.yml")
_CARD = "README.md"
_AXOLOTL = re.compile(r"axolotl version: `[^`]*`\s*```ya?ml\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""axolotl keeps no copy of its recipe but in the card."""
_HYPERPARAMETER = re.compile(r"^- (\w+): (\S+)$", re.MULTILINE)
_OF_ADAPTER = {
    "r": ("lora_r", "lora_rank"),
    "lora_alpha": ("lora_alpha",),
    "lora_dropout": ("lora_dropout",),
    "target_modules": ("target_modules", "lora_target", "lora_target_modules"),
}
"""What PEFT calls it, and the trainers."""
_SETTINGS = [
    "base_model",
    "model",
    "model_name_or_path",
    "finetuning_type",
    "tuner_type",
    "train_type",
    "adapter",
    "stage",
    "template",
    "dataset",
    "datasets",
    "learning_rate",
    "lr_scheduler_type",
    "lr_scheduler",
    "num_train_epochs",
    "num_epochs",
    "max_steps",
    "training_steps",
    "per_device_train_batch_size",
    "micro_batch_size",
    "train_batch_size",
    "gradient_accumulation_steps",
    "lora_rank",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target",
    "lora_target_modules",
    "target_modules",
    "quantization_bit",
    "load_in_4bit",
    "load_in_8bit",
    "quant_bits",
    "cutoff_len",
    "max_length",
    "sequence_len",
    "max_pixels",
    "image_max_pixels",
    "warmup_ratio",
    "warmup_steps",
    "lr_scheduler_warmup_ratio",
    "lr_scheduler_warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "seed",
    "bf16",
    "freeze_vit",
    "freeze_vision_tower",
    "optim",
    "optimizer",
]


@dataclass(frozen=True)
class Recipe:
    """Settings as their program names them, and the ``program`` where what they stand in tells it."""

    settings: Mapping[str, Any]
    program: str | None = None

    @property
    def base(self) -> str | None:
        """What was trained, as the settings name it."""
        names = (self.settings.get(key) for key in ("model_name_or_path", "base_model", "model"))
        return next((one for one in names if isinstance(one, str) and one.strip()), None)


def read_recipe(places: Iterable[Path], adapter: Path | None) -> Recipe:
    """Of the first of ``places`` that says something; what the adapter says of itself is added.

    Raises:
        DataError: a file of settings cannot be read.
    """
    found = next((recipe for place in places for recipe in _recipes(place)), Recipe({}))
    config = read_document(adapter / ADAPTER) if adapter else {}
    own = _of_adapter(config, found.settings) if isinstance(config, Mapping) else {}
    return Recipe({**_kept(found.settings), **own}, found.program)


def _recipes(folder: Path) -> Iterator[Recipe]:
    for name in (*_ARGUMENTS, *_RECIPES):
        path = folder / name
        if path.is_file():
            document = read_document(path) if path.suffix == ".json" else _yaml(_text(path), path)
            if isinstance(document, dict) and any(key in document for key in _SETTINGS):
                axolotl = name in _RECIPES and "base_model" in document
                yield Recipe(document, "axolotl" if axolotl else None)
    card = folder / _CARD
    if card.is_file():
        yield from _of_card(_text(card), card)


def _of_card(text: str, path: Path) -> Iterator[Recipe]:
    """The whole recipe of axolotl, else the hyperparameters that transformers' Trainer lists."""
    whole = _AXOLOTL.search(text)
    if whole:
        document = _yaml(whole[1], path)
        if isinstance(document, dict):
            yield Recipe(document, "axolotl")
    listed = {name: _value(value) for name, value in _HYPERPARAMETER.findall(text) if name in _SETTINGS}
    if listed:
        yield Recipe(listed)


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _of_adapter(config: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return _kept(
        {
            names[0]: config[key]
            for key, names in _OF_ADAPTER.items()
            if key in config and all(known.get(name) is None for name in names)
        }
    )


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say how it was trained; tokens and keys are none of them."""
    plain = (str, int, float, bool)
    return {
        key: value
        for key in _SETTINGS
        if (value := settings.get(key)) is not None
        and (isinstance(value, plain) or (isinstance(value, list) and all(isinstance(one, plain) for one in value)))
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 text ({error})", str(path), "mend the file, or take it out of the folder"
        ) from error


def _yaml(text: str, path: Path) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"not YAML ({error})", str(path), "mend the file, or take it out of the folder") from error
