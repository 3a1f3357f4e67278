"""Starting the dispatcher: on demand, one at a time by flock. Standard library only."""

from __future__ import annotations

import subprocess
import sys

from backends.jobs import lock
from backends.jobs.engines.local import open_log
from db.home import Home


def start_dispatcher(home: Home) -> None:
    """Start one where none runs. It outlives whoever starts it; losing the race to another is harmless."""
    if lock.is_held(home.dispatcher_lock):
        return
    with open_log(home.dispatcher_log) as log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "backends.jobs.dispatcher", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,
            start_new_session=True,
        )
