"""What lies on the disk, by kind and by run, and making room: checkpoints that nobody needs any more."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.jobs.errors import QueueError
from backends.jobs.halfmade import half_made
from backends.jobs.state import derive
from backends.jobs.store import run_ids
from db.connect import immediate
from db.filesystem import is_full
from db.home import Home
from db.runs.curves import curve
from db.runs.queries import get_run
from db.runs.states import END_STATES

KINDS = ("checkpoints", "weights", "predictions", "logs", "databases", "environments", "other")
KEEP = ("best", "last")
"""Which checkpoints of a fine-tune that is over can be kept: of the best held-out score, and the newest."""
SCORE = "eval_exact"
WHOLE = "whole"
"""Empty file in a checkpoint's folder, written last."""
_WEIGHTS = (".safetensors", ".gguf", ".onnx", ".bin", ".pt", ".onnx_data")
_REMOVED = ".removed-"


@dataclass(frozen=True)
class RunUse:
    """Bytes on the disk of one run's directory; ``prunable`` of them are what `fada prune` removes."""

    run: int
    kinds: dict[str, int]
    prunable: int

    @property
    def total(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class DiskUse:
    """All of HOME: ``kinds`` counts the runs too. Runs are largest first."""

    kinds: dict[str, int]
    runs: tuple[RunUse, ...]
    left: int = 0
    """Bytes of runs whose removal, or whose queueing, was killed; `fada prune` removes these too."""

    @property
    def prunable(self) -> int:
        """All that `fada prune` would free."""
        return self.left + sum(use.prunable for use in self.runs)

    @property
    def total(self) -> int:
        return sum(self.kinds.values())


def bytes_of(path: Path) -> int:
    """Bytes that a file or folder takes on its disk: holes take none, hard links count once."""
    return sum(size for _, size in _walk(path))


def disk_use(conn: sqlite3.Connection, home: Home) -> DiskUse:
    """What lies where. Reads every directory, so it takes a moment on a long history."""
    runs = [run_use(conn, home, run_id) for run_id in run_ids(home)]
    kinds: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for use in runs:
        kinds.update(use.kinds)
    own = {home.run_dir(use.run) for use in runs}
    for entry in _entries(home.root):
        for path in _entries(entry) if entry == home.runs else [entry]:
            if path not in own:
                kinds[_home_kind(home, path)] += bytes_of(path)
    return DiskUse(dict(kinds), tuple(sorted(runs, key=lambda use: (-use.total, use.run))), left_bytes(home))


def checkpoints(folder: Path) -> dict[int, Path]:
    """A fine-tune's checkpoints by their step."""
    found = {}
    for path in _entries(folder / "checkpoints"):
        step = path.name.removeprefix("checkpoint-")
        if path.is_dir() and step.isdigit() and step != path.name:
            found[int(step)] = path
    return dict(sorted(found.items()))


def to_prune(conn: sqlite3.Connection, home: Home, run_id: int, keep: tuple[str, ...] = KEEP) -> list[Path]:
    """Checkpoints of a fine-tune that is over, but those to keep; and what a pruning that was killed has left.

    One that was not written to its end is never kept: with it as the last, the run could not be resumed. One that
    another run names as its model is always kept.
    """
    run = get_run(conn, run_id)
    if run is None or run.kind != "finetune" or not run.is_over:
        return []
    folder = home.run_dir(run_id)
    found = checkpoints(folder)
    whole = [step for step, path in found.items() if (path / WHOLE).exists()]
    kept = {step for step, path in found.items() if is_named(conn, path)}
    if "last" in keep and whole:
        kept.add(max(whole))
    if "best" in keep and whole:
        kept.add(_best(conn, run_id, whole))
    return [path for step, path in found.items() if step not in kept] + _put_aside(folder / "checkpoints")


def is_named(conn: sqlite3.Connection, checkpoint: Path) -> bool:
    """Whether the spec of any run speaks of this folder, or of something in it."""
    query = "SELECT 1 FROM runs WHERE instr(spec, :it) > 0 OR instr(spec, :in_it) > 0 LIMIT 1"
    return any(
        conn.execute(query, {"it": f'"{path}"', "in_it": f'"{path}/'}).fetchone() is not None
        for path in {checkpoint, checkpoint.resolve()}
    )


def prune(conn: sqlite3.Connection, home: Home, run_id: int, keep: tuple[str, ...] = KEEP) -> int:
    """Remove what :func:`to_prune` names; how many bytes that freed.

    The checkpoints are first put aside while nobody can resume the run, so that none is ever seen half removed.
    """
    try:
        with immediate(conn):
            aside = _put_to_prune_aside(conn, home, run_id, keep)
    except sqlite3.OperationalError as error:
        if not no_room(error, home):
            raise
        # Nobody can resume it either, as long as nothing can be written.
        aside = _put_to_prune_aside(conn, home, run_id, keep)
    return sum(discard(path) for path in aside)


def _put_to_prune_aside(conn: sqlite3.Connection, home: Home, run_id: int, keep: tuple[str, ...]) -> list[Path]:
    if derive(home.run_dir(run_id)).name not in END_STATES:
        return []
    return [set_aside(path) for path in to_prune(conn, home, run_id, keep)]


def no_room(error: sqlite3.Error | OSError, home: Home) -> bool:
    """Whether something could not be written because the disk is full; SQLite has several words for that."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    name = error.sqlite_errorname.split("_")[1]
    return name == "FULL" or (name in ("IOERR", "CANTOPEN", "READONLY") and is_full(home.root))


def discard(folder: Path) -> int:
    """Remove a folder that was put aside; how many bytes that freed."""
    freed = bytes_of(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def set_aside(folder: Path) -> Path:
    """Rename a folder that is to be removed, so that a kill in the middle leaves nothing that looks whole."""
    name = folder.name.removeprefix(_REMOVED)
    aside = folder.with_name(f"{_REMOVED}{name.split('.')[0]}.{secrets.token_hex(4)}")
    return folder.rename(aside)


def sweep(home: Home) -> int:
    """Remove what killed removals, and killed attempts to queue a run, have left; how many bytes that freed."""
    for folder in half_made(home):
        aside = set_aside(folder)
        if (aside / "spec.json").exists():  # written between the look and the renaming: it is a run
            aside.rename(folder)
    return sum(discard(path) for path in _put_aside(home.runs))


def left_bytes(home: Home) -> int:
    """What :func:`sweep` would free."""
    return sum(bytes_of(path) for path in (*_put_aside(home.runs), *half_made(home)))


def _put_aside(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.name.startswith(_REMOVED))


def parse_keep(text: str) -> tuple[str, ...]:
    """``best,last``, one of them, or ``none``.

    Raises:
        QueueError: Something else.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in (*KEEP, "none")]
    if unknown or not words or ("none" in words and len(words) > 1):
        raise QueueError(f"--keep does not know {text!r}", hint="known: best, last, best,last, none")
    return tuple(word for word in words if word != "none")


def _best(conn: sqlite3.Connection, run_id: int, steps: list[int]) -> int:
    """The checkpoint with the highest held-out score at its step or before it; the newest where there is none."""
    scored = {point.step: point.value for point in curve(conn, run_id, SCORE, points=10_000)}

    def score(step: int) -> tuple[float, int]:
        at = max((one for one in scored if one <= step), default=None)
        return (float("-inf") if at is None else scored[at], step)

    return max(steps, key=score)


def run_use(conn: sqlite3.Connection, home: Home, run_id: int) -> RunUse:
    """What lies in one run's directory."""
    folder = home.run_dir(run_id)
    kinds: Counter[str] = Counter()
    for path, size in _walk(folder):
        kinds[_run_kind(path.relative_to(folder))] += size
    prunable = prunable_bytes(conn, home, run_id) if kinds["checkpoints"] else 0
    return RunUse(run_id, {kind: kinds[kind] for kind in KINDS if kinds[kind]}, prunable)


def prunable_bytes(conn: sqlite3.Connection, home: Home, run_id: int, keep: tuple[str, ...] = KEEP) -> int:
    """What pruning a run would free."""
    return sum(bytes_of(path) for path in to_prune(conn, home, run_id, keep))


def _run_kind(path: Path) -> str:
    first = path.parts[0] if path.parts else ""
    if first == "checkpoints":
        return "checkpoints"
    if first in ("adapter", "model") or path.suffix in _WEIGHTS:
        return "weights"
    if first in ("predictions.jsonl", "scores.json"):
        return "predictions"
    return "logs" if first in ("log.txt", "events.jsonl") else "other"


def _home_kind(home: Home, path: Path) -> str:
    if path.name.startswith((home.fada_db.name, home.runs_db.name)):
        return "databases"
    if path == home.root / "envs":
        return "environments"
    return "logs" if path == home.dispatcher_log else "other"


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:
        return []


def _walk(path: Path) -> Iterator[tuple[Path, int]]:
    """Every file and folder with the bytes that it takes; what vanishes meanwhile is passed over."""
    seen: set[tuple[int, int]] = set()
    todo = [path]
    while todo:
        entry = todo.pop()
        try:
            status = entry.lstat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield entry, status.st_blocks * 512
        if entry.is_dir() and not entry.is_symlink():
            todo.extend(_entries(entry))
