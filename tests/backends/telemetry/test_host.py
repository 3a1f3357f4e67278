"""Host readings: what a run's whole process tree holds, and the processor's share between two readings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.telemetry.host import HostReader, disk_free

# Holds 60 MB, says so, and starts a child that does the same; both end when their input does.
HUNGRY = """
import subprocess, sys
held = b"x" * 60_000_000
if len(sys.argv) > 1:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HUNGRY, HUNGRY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.communicate()


def test_a_runs_memory_is_that_of_its_whole_tree(tmp_path: Path, family: subprocess.Popen[bytes]) -> None:
    reader = HostReader(tmp_path)
    (job,) = reader.read({5: family.pid}).jobs
    assert job.run == 5
    assert 120_000_000 < job.memory < 400_000_000
    assert reader.run_of(family.pid) == 5
    assert reader.run_of(os.getpid()) is None


def test_new_children_are_found_when_the_trees_are_due(tmp_path: Path) -> None:
    now = [0.0]
    reader = HostReader(tmp_path, clock=lambda: now[0])
    reader.read({1: os.getpid()})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        reader.read({1: os.getpid()})
        assert reader.run_of(child.pid) is None
        now[0] = 5.0
        reader.read({1: os.getpid()})
        assert reader.run_of(child.pid) == 1
        child.communicate(b"\n")


def test_a_run_that_has_gone_is_left_out(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    assert HostReader(tmp_path).read({1: gone.pid, 2: os.getpid()}).jobs[0].run == 2


def test_the_first_reading_has_no_processor_share(tmp_path: Path) -> None:
    reader = HostReader(tmp_path)
    assert reader.read({}).cpu is None
    shares = []
    for _ in range(200_000):
        share = reader.read({}).cpu
        if share is not None:
            shares.append(share)
        if len(shares) == 3:
            break
    assert len(shares) == 3
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_free_space_of_a_home_that_does_not_exist_yet(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert abs(disk_free(tmp_path / "a" / "b") - status.f_bavail * status.f_frsize) < 10**9
