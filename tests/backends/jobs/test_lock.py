from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from backends.jobs import lock


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not lock.is_held(path)
    first = lock.take(path)
    assert first is not None
    assert lock.take(path) is None
    assert lock.is_held(path)
    os.close(first)
    assert not lock.is_held(path)


def test_a_child_keeps_what_it_inherits_without_a_moment_in_between(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = lock.take(path)
    assert descriptor is not None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    os.close(descriptor)
    assert lock.is_held(path)
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert not lock.is_held(path)


def test_two_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    import fcntl

    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not lock.is_held(path)
