"""A run's directory: the truth about the run. Standard library only.

spec.json is frozen at enqueue; control.json is what people ask of the run (order, hold, cancel, which attempt
is wanted); attempts/N.json is what became of each attempt.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backends.jobs.files import read_json, write_json
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
    """The control file; one that is missing or damaged holds nothing back."""
    record = read_json(folder / "control.json") or {}
    known = {key: record[key] for key in Control.__dataclass_fields__ if key in record}
    position = known.pop("position", float(folder.name))
    return Control(position=position, **known)


def write_control(folder: Path, control: Control) -> None:
    """Call inside the ``BEGIN IMMEDIATE`` that updates the row: it serialises those who read and change it."""
    write_json(folder / "control.json", asdict(control))


def change_control(folder: Path, **changes: Any) -> Control:
    """Call as :func:`write_control`. What a newer version of the program has asked in words of its own stays."""
    control = replace(read_control(folder), **changes)
    write_json(folder / "control.json", {**(read_json(folder / "control.json") or {}), **asdict(control)})
    return control


def read_attempt(folder: Path, number: int) -> Attempt | None:
    record = read_json(folder / "attempts" / f"{number}.json")
    if record is None:
        return None
    known = {key: record[key] for key in Attempt.__dataclass_fields__ if key in record}
    known["runner"], known["worker"] = from_dict(known.get("runner")), from_dict(known.get("worker"))
    known["pauses"] = tuple((begin, end) for begin, end in known.get("pauses") or ())
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


def write_attempt(folder: Path, attempt: Attempt) -> None:
    (folder / "attempts").mkdir(mode=0o700, exist_ok=True)
    write_json(folder / "attempts" / f"{attempt.number}.json", asdict(attempt))


def now() -> float:
    return time.time()
