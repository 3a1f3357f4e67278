"""What a form proposes that has to be looked up: files that are still there, fine-tunes that left something.

Everything here reads the disk: it is called in a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from backends.jobs.settings import EVAL_TASKS
from db.connect import connect
from db.home import Home
from db.runs.queries import get_run, list_runs
from db.runs.rows import Run
from fada_tui.screens.suggest import Suggestion

HISTORY = 200
"""So many of the newest runs are looked through."""
Values = dict[str, str]
"""Field of a form to what is written in it."""


def for_evaluation(home: Home, suggestion: Suggestion) -> Values:
    """Model folder, data, image root and kind of the suggested spec, and the fine-tune, as far as each can be used.

    Of a fine-tune the held-out data are proposed, never those that it was trained on.

    Raises:
        sqlite3.Error: runs.db cannot be read.
    """
    training = suggestion.spec.get("training")
    data = training.get("eval_data") if training else suggestion.spec.get("data")
    values = {**_model(suggestion), **_data(data or {}, folder=True)}
    task = suggestion.spec.get("task")
    if "data" in values and suggestion.spec.get("kind") == "eval" and task in EVAL_TASKS:
        values["kind"] = task  # what was read as one kind is seldom another
    if suggestion.adapter is not None:
        with closing(connect(home.runs_db, read_only=True)) as conn:
            run = get_run(conn, suggestion.adapter)
        if run is not None and _is_tuned(run):
            values["adapter"] = str(run.id)
    return values


def for_finetune(home: Home, suggestion: Suggestion) -> Values:
    """Model folder, and the data of the suggested fine-tune, else of the newest one whose files are all there, else
    the phantoms of the newest demo.

    Raises:
        sqlite3.Error: runs.db cannot be read.
    """
    values = _model(suggestion) | _as_trained(suggestion)
    found = _trained_on(suggestion.spec)
    if not found and home.runs_db.exists():
        with closing(connect(home.runs_db, read_only=True)) as conn:
            runs = list_runs(conn, limit=HISTORY)
        found = next(filter(None, _known_training_data(runs[::-1])), {})
    return {**values, **found}


def for_export(home: Home, suggestion: Suggestion) -> Values:
    """The suggested fine-tune, else the newest of the suggested model that left weights; else the model's folder.

    Raises:
        sqlite3.Error: runs.db cannot be read.
    """
    if home.runs_db.exists():
        with closing(connect(home.runs_db, read_only=True)) as conn:
            runs = list_runs(conn, limit=HISTORY)[::-1]
        wanted = suggestion.adapter
        for run in runs:
            if _is_tuned(run) and (run.id == wanted or (wanted is None and run.model == suggestion.model)):
                return {"what": str(run.id)}
    return {"what": suggestion.model_folder} if suggestion.model_folder else {}


def _as_trained(suggestion: Suggestion) -> Values:
    """The settings of a fine-tune that is to be done again, with changes."""
    from backends.jobs.launch_finetune import settings_of
    from backends.jobs.presets import Preset
    from fada_tui.screens.finetunefields import preset_values

    training, model = suggestion.spec.get("training"), suggestion.spec.get("model") or {}
    if not suggestion.again or not training:
        return {}
    return preset_values(Preset("", settings_of(training), model.get("precision"), own=True))


def _known_training_data(newest_first: list[Run]) -> Iterator[Values]:
    from backends.jobs.store import read_spec

    for run in newest_first:
        if run.kind == "finetune":
            yield _trained_on(read_spec(Path(run.run_dir)) or {})
    for run in newest_first:
        if run.kind == "tool" and run.state == "done":
            yield _phantoms(Path(run.run_dir) / "phantoms")


def _trained_on(spec: Mapping[str, Any]) -> Values:
    """Nothing where it was no fine-tune, or where the training or the held-out file is gone."""
    training = spec.get("training")
    values = _data(spec.get("data") or {}) if training else {}
    held_out = str(((training or {}).get("eval_data") or {}).get("path") or "")
    if not values or (held_out and not _is_file(held_out)):
        return {}
    return {**values, **({"eval_data": held_out} if held_out else {})}


def _phantoms(folder: Path) -> Values:
    train, held_out = str(folder / "train.jsonl"), str(folder / "val.jsonl")
    if not _is_file(train):
        return {}
    return {"data": train, **({"eval_data": held_out} if _is_file(held_out) else {})}


def _model(suggestion: Suggestion) -> Values:
    folder = suggestion.model_folder
    return {"model": folder} if folder and Path(folder).is_dir() else {}


def _data(data: Mapping[str, Any], folder: bool = False) -> Values:
    """The file (or folder, where that can be) with its image root; nothing where it is gone."""
    path, root = str(data.get("path") or ""), str(data.get("image_root") or "")
    if not (_is_file(path) or (folder and path and Path(path).is_dir())):
        return {}
    return {"data": path, **({"image_root": root} if root and Path(root).is_dir() else {})}


def _is_file(path: str) -> bool:
    return bool(path) and Path(path).is_file()


def _is_tuned(run: Run) -> bool:
    """Whether it is a fine-tune that ended well and whose adapter or model was not deleted since."""
    folder = Path(run.run_dir)
    left = (folder / "adapter").is_dir() or (folder / "model").is_dir()
    return run.kind == "finetune" and run.state == "done" and left
