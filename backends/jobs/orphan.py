"""What goes on of a run whose runner has died: nobody tells it what people ask, and nobody ends what it leaves behind.

Whoever ticks does that instead. A run's processes are known by the event file in their environment or by the run's
lock that they hold, in whatever group or session they are.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backends.jobs.limits import max_seconds, overtime
from backends.jobs.lock import is_held
from backends.jobs.process import Identity, age_s, go_on, identity, is_alive, is_ours, signal_process, suspend, tree
from backends.jobs.store import Attempt, Control, change_control, read_attempt, read_control, read_spec, write_attempt
from db.connect import immediate
from db.home import Home

GRACE_S = 10.0
"""Between asking an orphan to end and killing it."""
LEFTOVER_S = 2.0
"""The same for what a worker that is gone has left."""
PATIENCE_S = 4.0
"""A process that hangs in a driver cannot be killed: nobody waits for it longer."""
_ACCESS = os.O_ACCMODE


def tend_orphan(conn: sqlite3.Connection, home: Home, run_id: int) -> None:
    """Tell a worker whose runner died what people ask; where the worker is gone too, end what it left behind."""
    folder = home.run_dir(run_id)
    control = read_control(folder)
    attempt = read_attempt(folder, control.attempt)
    if attempt is None or attempt.ended is not None or attempt.job is not None or not _is_orphan(attempt):
        return  # what an engine runs is ended by that engine
    if attempt.worker is None and is_held(folder / "lock"):
        # Its runner was killed between starting it and writing down which it is.
        _note_worker(conn, folder, control.attempt)
        return
    if attempt.worker is None or not is_alive(attempt.worker):
        end_leftovers(folder)
        return
    limit = max_seconds(read_spec(folder) or {})
    if control.cancel is None and limit is not None and _ran_s(attempt) > limit:
        with immediate(conn):
            control = change_control(folder, cancel=overtime(limit))
    _pause_or_end(conn, folder, control, attempt)


def _pause_or_end(conn: sqlite3.Connection, folder: Path, control: Control, attempt: Attempt) -> None:
    wanted = control.paused and not control.stop and control.cancel is None
    if wanted != (attempt.paused is not None):
        with immediate(conn):
            _pause_orphan(folder, control.attempt, wanted)
    if control.cancel is not None and attempt.worker is not None:
        # A clock that was set back must not make it immortal.
        asked_s = abs(time.time() - (folder / "control.json").stat().st_mtime)
        number = signal.SIGKILL if asked_s > GRACE_S else signal.SIGTERM
        for who in _all_of(folder, [attempt.worker.pid]):
            signal_process(who, number)


def end_leftovers(folder: Path) -> None:
    """End what is left of a run whose worker is gone, as its runner would have done."""
    begin = time.monotonic()
    while (left := _all_of(folder, [])) and time.monotonic() - begin < PATIENCE_S:
        number = signal.SIGTERM if time.monotonic() - begin < LEFTOVER_S else signal.SIGKILL
        for who in left:
            signal_process(who, number)
        time.sleep(0.05)


def processes_of(folder: Path) -> list[Identity]:
    """Living processes of a run, the oldest first; not our own (`is_ours`), nor this one."""
    events = b"FADA_EVENTS=" + os.fsencode(folder / "events.jsonl")
    try:
        lock = (folder / "lock").stat()
    except OSError:
        return []
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid != os.getpid() and (_was_told(pid, events) or _holds(pid, lock)) and not is_ours(pid):
            who = identity(pid)
            if who is not None and is_alive(who):
                found.append(who)
    return sorted(found, key=lambda who: (who.start, who.pid))


def _all_of(folder: Path, roots: Iterable[int]) -> list[Identity]:
    """A run's processes and all below them."""
    found = tree([*roots, *(who.pid for who in processes_of(folder))])
    return [who for who in dict.fromkeys(found) if who.pid != os.getpid() and is_alive(who)]


def _was_told(pid: int, events: bytes) -> bool:
    with suppress(OSError):
        return events in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _holds(pid: int, lock: os.stat_result) -> bool:
    """Whether it has the run's lock open as a holder has; those who only look open it for reading."""
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError, ValueError, IndexError):
                there = Path(f"/proc/{pid}/fd/{name}").stat()
                if (there.st_dev, there.st_ino) == (lock.st_dev, lock.st_ino):
                    flags = Path(f"/proc/{pid}/fdinfo/{name}").read_text().split("flags:", 1)[1].split()[0]
                    return int(flags, 8) & _ACCESS == os.O_RDWR
    return False


def _note_worker(conn: sqlite3.Connection, folder: Path, number: int) -> None:
    """The oldest of its processes that leads a group is the worker."""
    leaders = [who for who in processes_of(folder) if _group(who.pid) == who.pid]
    with immediate(conn):
        attempt = read_attempt(folder, number)  # another process may have done it meanwhile
        if leaders and attempt is not None and attempt.worker is None and attempt.ended is None:
            write_attempt(folder, replace(attempt, worker=leaders[0]))


def _group(pid: int) -> int | None:
    with suppress(OSError):
        return os.getpgid(pid)
    return None


def _pause_orphan(folder: Path, number: int, wanted: bool) -> None:
    attempt = read_attempt(folder, number)  # another process may have done it meanwhile
    if attempt is None or attempt.worker is None or not is_alive(attempt.worker):
        return
    if wanted == (attempt.paused is not None):
        return
    now = time.time()
    if wanted:
        suspend([attempt.worker.pid])
        write_attempt(folder, replace(attempt, paused=now))
    else:
        go_on([attempt.worker.pid])
        write_attempt(folder, replace(attempt, paused=None, pauses=(*attempt.pauses, (attempt.paused or now, now))))


def _ran_s(attempt: Attempt) -> float:
    """How long an orphan has run, pauses left out."""
    assert attempt.worker is not None
    if attempt.paused is not None:
        return 0.0  # it uses up no time; looked at again when it goes on
    return age_s(attempt.worker) - attempt.paused_s


def _is_orphan(attempt: Attempt) -> bool:
    return attempt.runner is not None and not is_alive(attempt.runner)
