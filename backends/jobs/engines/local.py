"""The engine of this machine: one runner process a job, in a session of its own, holding the job's lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from backends.jobs import lock
from backends.jobs.store import read_attempt, read_control
from db.home import Home


def start(home: Home, run_id: int) -> bool:
    """Take the run's lock and hand it to a new runner; False where another process was quicker, or its folder is gone.

    There is no moment in which the job is started but unlocked: the descriptor is inherited.
    """
    folder = home.run_dir(run_id)
    try:
        descriptor = lock.take(folder / "lock")
    except FileNotFoundError:
        return False  # the folder is gone; the next tick says so
    if descriptor is None:
        return False
    try:
        control = read_control(folder)
        if read_attempt(folder, control.attempt) is not None or control.held or control.cancel is not None:
            return False
        with open_log(folder / "log.txt") as log:
            subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "backends.jobs.runner", "--home", str(home.root)),
                    *("--run", str(run_id), "--attempt", str(control.attempt), "--lock", str(descriptor)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home.root,
                start_new_session=True,
                pass_fds=(descriptor,),
            )
    finally:
        os.close(descriptor)
    return True


def open_log(path: Path) -> IO[bytes]:
    """An O_APPEND file for a child's output (0600): a file, never a pipe that somebody must drain."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab", buffering=0)
