"""A run's directory: the truth about the run. Standard library only.

spec.json is frozen at enqueue; control.json is what people ask of the run (order, hold, cancel, which attempt
is wanted); attempts/N.json is what became of each attempt.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from backends.jobs.files import overwrite_json, read_json, write_json
from backends.jobs.process import Identity, from_dict
from db.home import Home


@dataclass(frozen=True)
class Control:
    """What people ask of a run. ``attempt`` is the one that should run or has run."""

    position: float
    attempt: int = 1
    held: bool = False
    stop: bool = False
    """Stop and save: training writes a checkpoint first."""
    cancel: str | None = None
    """Why it is to end."""
    paused: bool = False
    reserve: int | None = None
    """Bytes to reserve instead of what the spec says: an attempt has run out of memory."""
    batch: int | None = None
    """Questions to ask at once instead of what the spec says, for the same reason."""
    out_of_memory: int | None = None
    """The attempt that ran out of memory and was followed by another of itself; there is only one such."""
    budget: dict[str, float] | None = None
    """``max_requests`` and ``max_cost`` instead of what the spec of a run on a server says."""


@dataclass(frozen=True)
class Attempt:
    """What became of one attempt. Times are Unix seconds; ``ended`` is None while it runs or was lost."""

    number: int
    runner: Identity | None = None
    worker: Identity | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    cancelled: str | None = None
    reason: str | None = None
    peak_bytes: int | None = None
    """The most memory that this attempt or an earlier one held, of the kind that is reserved (card or host)."""
    host_peak_bytes: int | None = None
    paused: float | None = None
    """Since when its processes are stopped."""
    pauses: tuple[tuple[float, float], ...] = ()
    """From when to when it was paused before that."""
    job: str | None = None
    """The job of an engine that it was, for instance Slurm's 812 or 812_3; None on this machine."""
    node: str | None = None
    """Where that ran."""

    @property
    def paused_s(self) -> float:
        """How long it was paused before the present pause."""
        return sum(max(0.0, end - begin) for begin, end in self.pauses)

    def worked_s(self, begin: float, end: float) -> float:
        """Seconds between two moments in which it was not paused."""
        pauses = self.pauses if self.paused is None else (*self.pauses, (self.paused, end))
        spent = sum(max(0.0, min(end, until) - max(begin, since)) for since, until in pauses)
        return max(0.0, end - begin - spent)


def allocate(home: Home) -> int:
    """A new run id and its directory. Ids are never reused, not after `fada rm` and not after a reindex."""
    fd = os.open(home.runs / ".last_id", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        text = os.read(fd, 64)
        last = max([int(text) if text.strip().isdigit() else 0, *run_ids(home)])
        os.pwrite(fd, f"{last + 1:020d}\n".encode(), 0)
        os.fsync(fd)
        home.run_dir(last + 1).mkdir(mode=0o700)
        return last + 1
    finally:
        os.close(fd)


def run_ids(home: Home) -> list[int]:
    """Ids that have a directory, in order."""
    try:
        names = os.listdir(home.runs)
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isdigit())


def create(home: Home, run_id: int, spec: dict[str, Any]) -> None:
    """Write a run's files. spec.json comes last: a directory without it was never enqueued."""
    folder = home.run_dir(run_id)
    (folder / "attempts").mkdir(mode=0o700, exist_ok=True)
    write_control(folder, Control(position=float(run_id), held=bool(spec.get("held"))))
    write_json(folder / "spec.json", spec)


def read_spec(folder: Path) -> dict[str, Any] | None:
    return read_json(folder / "spec.json")


def read_control(folder: Path) -> Control:
    """The control file. Where it is missing or damaged nothing is held back, and the newest attempt counts; of single
    values that make no sense the same is true.
    """
    known = _known(Control, read_json(folder / "control.json") or {})
    position = known.pop("position", float(folder.name) if folder.name.isdigit() else 0.0)
    if "attempt" not in known:
        known["attempt"] = max(attempt_numbers(folder), default=1)
    return Control(position=position, **known)


def attempt_numbers(folder: Path) -> list[int]:
    """The attempts of which there is a record, in order."""
    try:
        names = os.listdir(folder / "attempts")
    except OSError:
        return []
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(int(stem) for stem in stems if stem.isdigit())


def write_control(folder: Path, control: Control) -> None:
    """Call inside the ``BEGIN IMMEDIATE`` that updates the row: it serialises those who read and change it."""
    write_json(folder / "control.json", asdict(control))


def change_control(folder: Path, **changes: Any) -> Control:
    """Call as :func:`write_control`. What a newer version of the program has asked in words of its own stays."""
    control = replace(read_control(folder), **changes)
    write_json(folder / "control.json", {**(read_json(folder / "control.json") or {}), **asdict(control)})
    return control


def cancel_without_room(folder: Path, reason: str) -> None:
    """On a full disk: the control file is written over in its place, and nobody is waited for.

    Raises:
        OSError: Not even that can be done.
    """
    changed = replace(read_control(folder), cancel=reason, paused=False)
    overwrite_json(folder / "control.json", {**(read_json(folder / "control.json") or {}), **asdict(changed)})


def read_attempt(folder: Path, number: int) -> Attempt | None:
    """What became of an attempt; None where there is no record of it. One that cannot be read says only that there was
    one: what has begun is never begun again.
    """
    path = folder / "attempts" / f"{number}.json"
    record = read_json(path)
    if record is None and not path.exists():
        return None
    known = _known(Attempt, record or {}) | {"number": number}
    known["runner"], known["worker"] = from_dict(known.get("runner")), from_dict(known.get("worker"))
    known["pauses"] = tuple(pair for pair in map(_pair, known.get("pauses") or ()) if pair is not None)
    return Attempt(**known)


def claim_attempt(folder: Path, attempt: Attempt) -> bool:
    """Write an attempt's file where it has none; False where another process was quicker, also on another machine."""
    (folder / "attempts").mkdir(mode=0o700, exist_ok=True)
    aside = folder / "attempts" / f".{attempt.number}.{attempt.job}"
    write_json(aside, asdict(attempt))
    try:
        os.link(aside, folder / "attempts" / f"{attempt.number}.json")  # atomic, also over NFS
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    return True


_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "dict": (dict,),
    "tuple": (list,),
    "Identity": (dict,),
}


def _known(kind: type[Control] | type[Attempt], record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that are what they should be; a file may have been damaged, or written by hand."""
    known = {}
    for field in fields(kind):
        value = record.get(field.name)
        words = str(field.type).split(" | ")
        wanted = words[0].split("[")[0]
        if field.name not in record or (value is None and "None" not in words):
            continue
        if value is None or (isinstance(value, _TYPES[wanted]) and _makes_sense(value, wanted)):
            known[field.name] = value
    return known


def _makes_sense(value: object, wanted: str) -> bool:
    """Python takes a truth value for a number, and its JSON has numbers that are none."""
    if isinstance(value, bool):
        return wanted == "bool"
    return not isinstance(value, float) or math.isfinite(value)


def _pair(value: object) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(one, (int, float)) for one in value):
        return float(value[0]), float(value[1])
    return None


def write_attempt(folder: Path, attempt: Attempt) -> None:
    (folder / "attempts").mkdir(mode=0o700, exist_ok=True)
    write_json(folder / "attempts" / f"{attempt.number}.json", asdict(attempt))


def now() -> float:
    return time.time()
