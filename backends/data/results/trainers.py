"""Training runs of other programs: LLaMA-Factory, ms-swift, axolotl, and whatever keeps a trainer_state.json.

What is read of them: the curves, the settings where they are written as text, and where the adapter lies. No pickle
(training_args.bin, optimizer.pt) is ever opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.records import json_lines
from backends.data.results.made import Faults, Made, Point, number, read_document

FACTORY, SWIFT, STATE = "trainer_log.jsonl", "logging.jsonl", "trainer_state.json"
ADAPTER = "adapter_config.json"
_ARGUMENTS = ("args.json", "sft_args.json", "training_args.json", "training_args.yaml", "llamaboard_config.yaml")
_RECIPES = ("axolotl_config.yaml", "axolotl_config.yml", "axolotl.yaml", "axolotl.yml", "config.yaml", "config.yml")
_RENAMED = {"lr": "learning_rate", "acc": "token_acc", "eval_acc": "eval_token_acc"}
_NO_CURVE = re.compile(
    r"epoch$|step|percentage|_runtime$|_per_second|_per_sec_|^total_|flos|time$|tokens/|speed|^train_|memory|throughput"
)
_STEP = re.compile(r"checkpoint-(\d+)$")
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
    "per_device_train_batch_size",
    "micro_batch_size",
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
    "weight_decay",
    "max_grad_norm",
    "seed",
    "bf16",
    "freeze_vit",
    "freeze_vision_tower",
    "optim",
    "optimizer",
]


def trainer_files(folder: Path) -> list[Path]:
    """The logs that a trainer left here, the telling ones first; empty where none did."""
    found = [folder / name for name in (FACTORY, SWIFT) if (folder / name).is_file()]
    state = _last_state(folder)
    return [*found, *([state] if state else [])]


def read_trainer(folder: Path) -> Made | None:
    """A training run in ``folder``, or None where no known trainer left a log.

    Raises:
        DataError: a log cannot be read, or holds no step.
    """
    files = trainer_files(folder)
    if not files:
        return None
    arguments = _arguments(folder)
    made = Made(_program(folder, files[0], arguments), folder)
    made.files = [files[0]]
    records = list(_records(files[0], made))
    made.curve = list(_points(records))
    if not made.curve:
        raise DataError("no step with a loss in it", str(files[0]), "give the folder of a training that has begun")
    adapter = _adapter(folder)
    made.model = _base(adapter, arguments)
    made.manifest = {"trainer": made.format, "settings": _settings(arguments), **_end(folder, records)}
    if adapter is not None:
        made.manifest["adapter_path"] = str(adapter)
    return made


def _last_state(folder: Path) -> Path | None:
    """trainer_state.json here, else that of the newest checkpoint."""
    if (folder / STATE).is_file():
        return folder / STATE
    return next((one / STATE for one in _checkpoints(folder) if (one / STATE).is_file()), None)


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    found = [(int(match[1]), one) for one in folder.iterdir() if (match := _STEP.search(one.name)) and one.is_dir()]
    return [one for _, one in sorted(found, reverse=True)]


def _program(folder: Path, log: Path, arguments: Mapping[str, Any]) -> str:
    if log.name == FACTORY:
        return "llama-factory"
    if log.name == SWIFT:
        return "ms-swift"
    recipe = any((folder / name).is_file() for name in _RECIPES) and "base_model" in arguments
    return "axolotl" if recipe else "transformers"


def _records(path: Path, made: Made) -> Iterator[tuple[int, dict[str, Any]]]:
    """Step and what was logged at it."""
    if path.name == STATE:
        document = read_document(path)
        history = document.get("log_history") if isinstance(document, dict) else None
        if not isinstance(history, list):
            raise DataError("no log_history in it", str(path), "is it transformers' trainer_state.json?")
        yield from ((int(one["step"]), one) for one in history if isinstance(one, dict) and number(one.get("step")))
        return
    faults = Faults()
    for _, record in json_lines(path, '{"loss": 0.4, …}', faults):
        step = record.get("current_steps")
        if step is None:
            step = str(record.get("global_step/max_steps") or "").partition("/")[0]
        if str(step).isdigit():
            yield int(step), record
    made.warnings += faults.warnings()


def _points(records: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Point]:
    """The last value at a step counts: a training that was continued logs steps again."""
    found: dict[tuple[str, int], Point] = {}
    for step, record in records:
        for key, value in record.items():
            measured = number(value)
            if measured is not None and not _NO_CURVE.search(key):
                name = _RENAMED.get(key, key)
                found[name, step] = Point(name, step, measured)
    yield from found.values()


def _end(folder: Path, records: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Steps, final loss and training time, of the log's last record or of all_results.json."""
    told: dict[str, Any] = dict(next((one for _, one in reversed(records) if "train_runtime" in one), {}))
    results = folder / "all_results.json"
    if results.is_file():
        document = read_document(results)
        told |= document if isinstance(document, dict) else {}
    losses = [number(one["loss"]) for _, one in records if number(one.get("loss")) is not None]
    final = number(told.get("train_loss"))
    end = {
        "steps": max(step for step, _ in records),
        "final_loss": final if final is not None else (losses[-1] if losses else None),
        "seconds": number(told.get("train_runtime")),
    }
    return {key: value for key, value in end.items() if value is not None}


def _arguments(folder: Path) -> dict[str, Any]:
    """The settings as the program wrote them down, of the first file that has some."""
    for place in (folder, *_checkpoints(folder)[:1]):
        for name in (*_ARGUMENTS, *_RECIPES):
            path = place / name
            if path.is_file():
                document = read_document(path) if path.suffix == ".json" else _yaml(path)
                if isinstance(document, dict) and any(key in document for key in _SETTINGS):
                    return document
    return {}


def _yaml(path: Path) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"not YAML ({error})", str(path), "mend the file, or take it out of the folder") from error


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say how it was trained; tokens and keys are none of them."""
    plain = (str, int, float, bool)
    return {
        key: value
        for key in _SETTINGS
        if (value := arguments.get(key)) is not None
        and (isinstance(value, plain) or (isinstance(value, list) and all(isinstance(one, plain) for one in value)))
    }


def _adapter(folder: Path) -> Path | None:
    """The folder of the adapter: this one, else that of the newest checkpoint."""
    return next((one for one in (folder, *_checkpoints(folder)) if (one / ADAPTER).is_file()), None)


def _base(adapter: Path | None, arguments: Mapping[str, Any]) -> str | None:
    """What was trained: as the adapter says, else the settings."""
    config = read_document(adapter / ADAPTER) if adapter else {}
    names = [config.get("base_model_name_or_path") if isinstance(config, dict) else None]
    names += [arguments.get(key) for key in ("model_name_or_path", "base_model", "model")]
    name = next((one for one in names if isinstance(one, str) and one.strip()), None)
    if name is None:
        return None
    return Path(name).name if Path(name).is_absolute() or name.startswith((".", "~")) else name
