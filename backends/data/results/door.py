"""The one door to results made elsewhere: which program wrote them is told by what is there."""

from __future__ import annotations

from pathlib import Path

from backends.data.errors import DataError
from backends.data.results.fada import FILES, read_fada
from backends.data.results.harness import harness_files, read_harness
from backends.data.results.made import Made
from backends.data.results.trainers import read_trainer, trainer_files
from backends.data.results.vlmevalkit import ENDINGS, read_vlmevalkit, tables_in

KNOWN = (
    "known: FADA's predictions.jsonl, scores.json, run_manifest.json, training_log.json; VLMEvalKit's "
    "MODEL_DATASET.tsv, .json or .xlsx; samples_*.jsonl and results_*.json of lm-evaluation-harness and lmms-eval; "
    "training runs of LLaMA-Factory, ms-swift, axolotl and transformers (trainer_log.jsonl, logging.jsonl, "
    "trainer_state.json)"
)


def read_results(path: Path) -> Made:
    """The results in a folder, in the one folder below it that has some, or of a single file.

    Raises:
        DataError: there are none, those of several runs at once, or a file that cannot be read.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise DataError("no such folder", str(path), "give the folder that the evaluation wrote")
    made = _folder(path) if path.is_dir() else _file(path)
    if made is None:
        made = _below(path)
    if not (made.answers or made.stated or made.curve):
        raise DataError("neither answers nor scores nor a training log in it", str(path), KNOWN)
    return made


def _file(path: Path) -> Made:
    if path.suffix == ".jsonl":
        found = path.name.startswith("samples_") or "_samples_" in path.name
        return read_harness([path], path) if found else read_fada(path.parent, path)
    if path.suffix in ENDINGS:
        return read_vlmevalkit([path], path)
    raise DataError("not a file of results", str(path), KNOWN)


def _folder(path: Path) -> Made | None:
    if any((path / name).is_file() for name in FILES):
        return read_fada(path)
    files = harness_files(path)
    if files:
        return read_harness(files, path)
    tables = tables_in(path)
    return read_vlmevalkit(tables, path) if tables else read_trainer(path)


def _below(path: Path) -> Made:
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _has_results(folder)]
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders[:6]) + (", …" if len(folders) > 6 else "")
        raise DataError(f"the results of several runs ({names})", str(path), "give one of these folders")
    made = _folder(folders[0]) if folders else None
    if made is None:
        raise DataError("no results in the folder", str(path), KNOWN)
    return made


def _has_results(folder: Path) -> bool:
    if any((folder / name).is_file() for name in FILES):
        return True
    return bool(harness_files(folder) or tables_in(folder) or trainer_files(folder))
