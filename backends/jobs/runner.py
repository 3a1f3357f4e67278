"""One small process per job: starts the worker, waits for it, writes down how it ended. Standard library only.

``python -P -m backends.jobs.runner --home HOME --run ID --attempt N --lock FD``: FD holds the job's lock, which
the dispatcher has taken; the worker inherits it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.jobs.files import end_torn_line, size_of
from backends.jobs.ingest import ingest
from backends.jobs.process import children, identity, tree_memory
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import Attempt, Control, read_control, read_spec, write_attempt
from db.connect import connect
from db.home import Home

POLL_S = 0.1
MEMORY_S = 1.0
INGEST_S = 0.25
GRACE_S = 10.0
_PR_SET_CHILD_SUBREAPER = 36


class Runner:
    """One attempt of one job."""

    def __init__(self, home: Home, run_id: int, number: int, lock: int) -> None:
        self._home = home
        self._id = run_id
        self._folder = home.run_dir(run_id)
        self._lock = lock
        self._spec = read_spec(self._folder) or {}
        self._attempt = Attempt(number, runner=identity(os.getpid()), started=time.time())
        self._conn: sqlite3.Connection | None = None
        self._seen: tuple[int, ...] = ()
        self._asked_to_stop: str | None = None
        self._term_at: float | None = None
        self._peak = 0

    def run(self) -> None:
        """The whole life of the attempt. The exit record is on disk before anything else is tried."""
        control = read_control(self._folder)
        if control.cancel is not None:
            self._end(replace(self._attempt, ended=time.time(), cancelled=control.cancel))
            return
        end_torn_line(self._folder / "events.jsonl")
        write_attempt(self._folder, self._attempt)
        try:
            worker = self._start_worker()
        except OSError as error:
            self._end(replace(self._attempt, ended=time.time(), exit_code=127, reason=f"could not start: {error}"))
            return
        self._attempt = replace(self._attempt, worker=identity(worker.pid))
        write_attempt(self._folder, self._attempt)
        status, peak = self._wait(worker.pid)
        worker.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
        _end_leftovers()
        self._end(self._outcome(status, peak))

    def _outcome(self, status: int, peak: int) -> Attempt:
        code = os.waitstatus_to_exitcode(status)
        ended = replace(self._attempt, ended=time.time(), peak_bytes=max(self._peak, peak) or None)
        cancel = read_control(self._folder).cancel
        if cancel is not None and self._term_at is not None:
            ended = replace(ended, cancelled=cancel)
        elif self._asked_to_stop:
            ended = replace(ended, reason=self._asked_to_stop)
        return replace(ended, signal=-code) if code < 0 else replace(ended, exit_code=code)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if key in os.environ}
        environment = {**inherited, **(self._spec.get("env") or {})}
        environment["FADA_EVENTS"] = str(self._folder / "events.jsonl")
        environment["FADA_RUN"] = str(self._id)
        environment["FADA_HOME"] = str(self._home.root)
        command, cwd = self._command()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stdout.fileno(),
            stderr=sys.stderr.fileno(),
            cwd=cwd,
            env=environment,
            process_group=0,
            pass_fds=(self._lock,),
        )

    def _command(self) -> tuple[list[str], str | None]:
        if self._spec.get("kind") == "run":
            return list(self._spec["command"]), self._spec.get("cwd")
        python = str(self._spec.get("python") or sys.executable)
        words = [python, "-P", "-m", "backends.worker", "--home", str(self._home.root), "--run", str(self._id)]
        return [*words, "--attempt", str(self._attempt.number)], str(self._home.root)

    def _wait(self, pid: int) -> tuple[int, int]:
        """Wait for the worker; its wait status and its peak resident bytes. Hears cancellations meanwhile."""
        measured = ingested = 0.0
        while True:
            reaped, status, usage = os.wait4(-1, os.WNOHANG)
            if reaped == pid:
                return status, usage.ru_maxrss * 1024
            if reaped:
                continue  # an adopted grandchild
            now = time.monotonic()
            self._obey(read_control(self._folder), pid, now)
            if now - measured >= MEMORY_S:
                measured = now
                self._peak = max(self._peak, tree_memory(pid))
            if now - ingested >= INGEST_S:
                ingested = now
                self._ingest()
            time.sleep(POLL_S)

    def _obey(self, control: Control, pid: int, now: float) -> None:
        """TERM to the worker's group, KILL after a grace. The worker is our unreaped child: the PID is its own."""
        if control.cancel is None and self._asked_to_stop is None:
            return
        if self._term_at is None:
            self._term_at = now
            _signal_group(pid, signal.SIGTERM)
        elif now - self._term_at > GRACE_S:
            _signal_group(pid, signal.SIGKILL)

    def on_signal(self, number: int, _frame: Any) -> None:
        self._asked_to_stop = f"its runner was ended by signal {number}"

    def _ingest(self, force: bool = False) -> None:
        """The index may be locked, full or gone; the job goes on, and whoever comes next takes it in."""
        names = ("events.jsonl", "predictions.jsonl", "scores.json", "control.json")
        seen = tuple(size_of(self._folder / name) for name in names)
        if seen == self._seen and not force:
            return
        try:
            if self._conn is None:
                self._conn = connect(self._home.runs_db)
            ingest(self._conn, self._home, self._id)
            self._seen = seen
        except (sqlite3.Error, OSError) as error:
            print(f"[fada] the index was not updated: {error}", file=sys.stderr, flush=True)

    def _end(self, attempt: Attempt) -> None:
        """The exit record first; a full disk is waited for, since nothing else knows the exit code."""
        while True:
            try:
                write_attempt(self._folder, attempt)
                break
            except OSError as error:
                if not self._folder.is_dir():
                    return
                print(f"[fada] exit record not written, trying again: {error}", file=sys.stderr, flush=True)
                time.sleep(5)
        self._ingest(force=True)
        start_dispatcher(self._home)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _end_leftovers() -> None:
    """End what a finished worker left behind. As a subreaper we are the parent of all of it."""
    deadline = time.monotonic() + 2.0
    while left := [pid for pid in children(os.getpid()) if not _is_ours(pid)]:
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in left:
            os.kill(pid, number)
        time.sleep(POLL_S)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return


def _is_ours(pid: int) -> bool:
    """A dispatcher or runner that a `fada` command inside the job has started: it must outlive the job."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"backends.jobs.dispatcher" in words or b"backends.jobs.runner" in words


def _become_subreaper() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="backends.jobs.runner")
    parser.add_argument("--home", type=Path, required=True)
    for name in ("--run", "--attempt", "--lock"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    _become_subreaper()
    runner = Runner(Home(args.home), args.run, args.attempt, args.lock)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runner.on_signal)
    runner.run()


if __name__ == "__main__":
    main()
