"""Starting the dispatcher: on demand, one at a time by flock. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import IO

from backends.jobs import lock
from backends.jobs.files import open_log
from backends.jobs.logout import scope_command
from db.home import Home

_SCOPE_PATIENCE_S = 5.0


def start_dispatcher(home: Home) -> None:
    """Start one where none runs. It outlives whoever starts it; losing the race to another is harmless.

    Where logging out would end it with the session, it is started in a scope of its own.
    """
    if lock.is_held(home.dispatcher_lock):
        return
    scope = scope_command()
    with open_log(home.dispatcher_log) as log:
        started = _start(home, log, scope)
        if scope and not _took(started, home):
            started.kill()  # one that hangs; had it become the dispatcher, there would be no need of another
            started.wait()
            _start(home, log, [])


def _start(home: Home, log: IO[bytes], before: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*before, sys.executable, "-P", "-m", "backends.jobs.dispatcher", "--home", str(home.root)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=home.root,
        # Where a job's own `fada` starts it, it is no part of that job.
        env={key: value for key, value in os.environ.items() if key not in ("FADA_EVENTS", "FADA_RUN")},
        start_new_session=True,
    )


def _took(started: subprocess.Popen[bytes], home: Home) -> bool:
    """False where systemd-run could not do it, or hangs (it becomes the dispatcher where it can)."""
    deadline = time.monotonic() + _SCOPE_PATIENCE_S
    while time.monotonic() < deadline:
        if lock.is_held(home.dispatcher_lock):
            return True
        if started.poll() is not None:
            return started.returncode == 0
        time.sleep(0.02)
    return False
