"""Training runs of other programs: LLaMA-Factory, ms-swift, axolotl, and whatever keeps a trainer_state.json.

What is read of them: the curves, how it was trained, and where adapter and base lie. No pickle (training_args.bin,
optimizer.pt) is ever opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.data.records import json_lines
from backends.data.results.made import Faults, Made, Point, number, read_document
from backends.data.results.recipe import ADAPTER, Recipe, read_recipe

FACTORY, SWIFT, STATE = "trainer_log.jsonl", "logging.jsonl", "trainer_state.json"
_RENAMED = {"lr": "learning_rate", "acc": "token_acc", "eval_acc": "eval_token_acc"}
_NO_CURVE = re.compile(
    r"epoch$|step|percentage|_runtime$|_per_second|_per_sec_|^total_|flos|time$|tokens/|speed|^train_|memory|throughput"
)
_STEP = re.compile(r"checkpoint-(\d+)$")


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
    adapter = _adapter(folder)
    recipe = read_recipe((folder, *_checkpoints(folder)[:1]), adapter)
    made = Made(_program(files[0], recipe), folder)
    made.files = [files[0]]
    records = list(_records(files[0], made))
    made.curve = list(_points(records))
    if not made.curve:
        raise DataError("no step with a loss in it", str(files[0]), "give the folder of a training that has begun")
    base = _base(adapter, recipe)
    made.model = _called(base) if base else None
    made.manifest = {"trainer": made.format, "settings": dict(recipe.settings), **_end(folder, records)}
    if base and Path(base).is_absolute() and (Path(base) / "config.json").is_file():
        made.manifest["base_path"] = base
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


def _program(log: Path, recipe: Recipe) -> str:
    if log.name == FACTORY:
        return "llama-factory"
    if log.name == SWIFT:
        return "ms-swift"
    return recipe.program or "transformers"


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


def _adapter(folder: Path) -> Path | None:
    """The folder of the adapter: this one, else that of the newest checkpoint."""
    return next((one for one in (folder, *_checkpoints(folder)) if (one / ADAPTER).is_file()), None)


def _base(adapter: Path | None, recipe: Recipe) -> str | None:
    """What was trained: as the adapter says, else the settings."""
    config = read_document(adapter / ADAPTER) if adapter else {}
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    return named if isinstance(named, str) and named.strip() else recipe.base


def _called(base: str) -> str:
    """A folder goes by its name."""
    return Path(base).name if Path(base).is_absolute() or base.startswith((".", "~")) else base
