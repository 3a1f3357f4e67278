"""The runner as parent of all that its job starts, however it was detached. Standard library only."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from backends.jobs.process import children, is_ours

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.1
_GRACE_S, _PATIENCE_S = 2.0, 10.0


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the group that our unreaped child leads: its PID is its own until we wait for it."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def end_leftovers() -> None:
    """End what a finished worker left behind. As a subreaper we are the parent of all of it.

    One that hangs in a driver cannot be killed, and is not waited for: how the job ended is known all the same.
    """
    begin = time.monotonic()
    while (left := below()) and time.monotonic() - begin < _PATIENCE_S:
        number = signal.SIGTERM if time.monotonic() - begin < _GRACE_S else signal.SIGKILL
        for pid in left:
            os.kill(pid, number)
        time.sleep(_POLL_S)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return


def below() -> list[int]:
    """The worker and what it left to us; a dispatcher or runner that a `fada` command in the job started is neither."""
    return [pid for pid in children(os.getpid()) if not is_ours(pid)]


def become_subreaper() -> None:
    """Orphans among our descendants become our children."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
