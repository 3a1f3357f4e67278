"""One small process per job: starts the worker, waits for it, writes down how it ended. Standard library only.

``python -P -m backends.jobs.runner --home HOME --run ID --attempt N --lock FD``: FD holds the job's lock, which
the dispatcher has taken; the worker inherits it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from backends.jobs import outofmemory
from backends.jobs.ends import ENDED_BY_SIGNAL, finished_by_itself, last_event, stopped_and_saved
from backends.jobs.events import EventWriter
from backends.jobs.files import complain, end_torn_line, make_own, size_of
from backends.jobs.ingest import ingest
from backends.jobs.keys import hub_variables
from backends.jobs.limits import RunClock, log_bytes, max_seconds, overtime
from backends.jobs.logcap import cap
from backends.jobs.orphan import end_leftovers as end_leftovers_of
from backends.jobs.peaks import vram_peak
from backends.jobs.process import go_on, identity, suspend, tree_memory
from backends.jobs.spawn import start_dispatcher
from backends.jobs.store import Attempt, Control, change_control, read_attempt, read_control, read_spec, write_attempt
from backends.jobs.subreaper import become_subreaper, below, end_leftovers, signal_group
from db.connect import connect, immediate
from db.home import Home

POLL_S = 0.1
MEMORY_S = 1.0
LOG_S = 0.5
INGEST_S = 0.25
GRACE_S = 10.0


class Runner:
    """One attempt of one job. ``lock`` is the descriptor that holds its lock, where it has one."""

    def __init__(self, home: Home, run_id: int, number: int, lock: int | None) -> None:
        self._home = home
        self._id = run_id
        self._folder = home.run_dir(run_id)
        self._place = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = lock
        self._spec = read_spec(self._folder) or {}
        self._attempt = Attempt(number, runner=identity(os.getpid()), started=time.time())
        self._conn: sqlite3.Connection | None = None
        self._inode = 0
        self._complaint = ""
        self._seen: tuple[int, ...] = ()
        self._asked_to_stop: str | None = None
        self._term_at: float | None = None
        self._written = True
        self._peak = 0
        self._oom_kills = outofmemory.oom_kills()
        self._clock = RunClock()
        self._max_seconds = max_seconds(self._spec)
        self._log_bytes: int | None = log_bytes(home.config)

    def run(self) -> None:
        """The whole life of the attempt. The exit record is on disk before anything else is tried."""
        control = read_control(self._folder)
        if control.cancel is not None:
            self._end(replace(self._attempt, ended=time.time(), cancelled=control.cancel))
            return
        if self._attempt.number > 1 and self._lock is not None:
            end_leftovers_of(self._folder)  # of an earlier attempt whose runner died
        make_own(self._folder / "events.jsonl")  # a command that made it would let others read it
        end_torn_line(self._folder / "events.jsonl")
        self._begin()
        try:
            worker = self._start_worker()
        except OSError as error:
            self._end(replace(self._attempt, ended=time.time(), exit_code=127, reason=f"could not start: {error}"))
            return
        self._record(worker=identity(worker.pid))
        status, peak = self._wait(worker.pid)
        worker.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
        end_leftovers()
        ended = self._outcome(status, peak)
        self._try_once_more(ended)
        self._cap_log()
        self._end(ended)

    def _begin(self) -> None:
        write_attempt(self._folder, self._attempt)

    def _outcome(self, status: int, peak: int) -> Attempt:
        self._follow()
        code = os.waitstatus_to_exitcode(status)
        resident = max(self._peak, peak)
        ended = replace(
            self._attempt, ended=time.time(), peak_bytes=self._reserved_peak(resident), host_peak_bytes=resident or None
        )
        cancel = read_control(self._folder).cancel
        ours = self._spec.get("kind") != "run"
        if cancel is not None and self._term_at is not None:
            ended = replace(ended, cancelled=cancel)
        elif code == 0 and ours and (stopped := stopped_and_saved(self._folder)):
            ended = replace(ended, cancelled=stopped)
        elif self._asked_to_stop and self._term_at is not None and not (code == 0 and finished_by_itself(self._folder)):
            # A command that ends well because it was told to end has not done its work.
            ended = replace(ended, reason=self._asked_to_stop)
        return replace(ended, signal=-code) if code < 0 else replace(ended, exit_code=code)

    def _reserved_peak(self, resident: int) -> int | None:
        """The most that it held of the kind of memory that is reserved, over this attempt and those before it."""
        on_card = (self._spec.get("reserve") or {}).get("memory") == "VRAM"
        peak = vram_peak(self._folder, self._attempt.number) if on_card else resident
        before = read_attempt(self._folder, self._attempt.number - 1)
        return max(peak or 0, (before.peak_bytes if before else None) or 0) or None

    def _try_once_more(self, ended: Attempt) -> None:
        """After out of memory: the wish for another attempt is on disk before this one's end is, so neither is lost."""
        if ended.exit_code == 0 or ended.cancelled or ended.reason:
            return
        killed = outofmemory.was_killed(self._spec, ended, outofmemory.oom_kills() - self._oom_kills)
        if killed:
            self._say("error", "the system ended it because the host's memory ran out")
        elif not outofmemory.ran_out(self._spec, last_event(self._folder)):
            return
        try:
            # Serialises those who change the control file, whatever version of the program has made the index.
            with closing(connect(self._home.runs_db, any_version=True)) as conn, immediate(conn):
                changes = outofmemory.once_more(self._spec, read_control(self._folder), ended)
                if changes is not None:
                    change_control(self._folder, **changes)
        except (sqlite3.Error, OSError) as error:
            complain(f"out of memory, and not tried once more: {error}")
            return
        if changes is not None:
            self._say("warning", outofmemory.said(changes))

    def _say(self, level: str, text: str) -> None:
        """A message in the run's events, after the worker's own last line."""
        try:
            end_torn_line(self._folder / "events.jsonl")
            writer = EventWriter(self._folder / "events.jsonl")
            writer.message(level, text)
            writer.close()
        except OSError as error:
            complain(f"{text} ({error})")

    def _record(self, **changes: Any) -> None:
        """Change the attempt; on a full disk the file is written later."""
        self._attempt = replace(self._attempt, **changes)
        self._written = False
        try:
            write_attempt(self._folder, self._attempt)
            self._written = True
        except OSError as error:
            complain(f"the attempt was not written: {error}")

    def _surroundings(self) -> dict[str, str]:
        """The environment of the shell that queued it."""
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if key in os.environ}
        return {**inherited, **(self._spec.get("env") or {})}

    def _start_worker(self) -> subprocess.Popen[bytes]:
        environment = self._surroundings()
        environment["FADA_EVENTS"] = str(self._folder / "events.jsonl")
        environment["FADA_RUN"] = str(self._id)
        environment["FADA_HOME"] = str(self._home.root)
        key_name = (self._spec.get("server") or {}).get("key_env")
        if key_name and key_name in os.environ:
            environment[key_name] = os.environ[key_name]  # of a server's model: only this worker is given it
        environment |= {name: os.environ[name] for name in hub_variables(self._spec) if name in os.environ}
        command, cwd = self._command()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stdout.fileno(),
            stderr=sys.stderr.fileno(),
            cwd=cwd,
            env=environment,
            process_group=0,
            pass_fds=() if self._lock is None else (self._lock,),
        )

    def _command(self) -> tuple[list[str], str | None]:
        if self._spec.get("kind") == "run":
            return list(self._spec["command"]), self._spec.get("cwd")
        python = str(self._spec.get("python") or sys.executable)
        words = [python, "-P", "-m", "backends.worker", "--home", str(self._home.root), "--run", str(self._id)]
        return [*words, "--attempt", str(self._attempt.number)], str(self._home.root)

    def _wait(self, pid: int) -> tuple[int, int]:
        """Wait for the worker; its wait status and its peak resident bytes. Hears cancellations meanwhile."""
        measured = ingested = looked = 0.0
        self._clock = RunClock()
        while True:
            reaped, status, usage = os.wait4(-1, os.WNOHANG)
            if reaped == pid:
                return status, usage.ru_maxrss * 1024
            if reaped:
                continue  # an adopted grandchild
            now = time.monotonic()
            self._follow()
            self._obey(read_control(self._folder), pid, now)
            if now - measured >= MEMORY_S:
                measured = now
                if not self._written:
                    self._record()
                self._peak = max(self._peak, tree_memory(pid))
            if now - looked >= LOG_S:
                looked = now
                self._cap_log()
            if now - ingested >= INGEST_S:
                ingested = now
                self._ingest()
            time.sleep(POLL_S)

    def _follow(self) -> None:
        """HOME may be moved while the job runs; a run directory that was deleted leaves nothing to work for."""
        if self._folder.is_dir():
            return
        there = Path(f"/proc/self/fd/{self._place}").readlink()
        if os.fstat(self._place).st_nlink and (there.parent.name, there.name) == (self._home.runs.name, str(self._id)):
            self._folder, self._home = there, Home(there.parent.parent)
        else:
            self._asked_to_stop = "its run directory is gone"

    def _obey(self, control: Control, pid: int, now: float) -> None:
        """TERM to the worker's group, KILL after a grace. The worker is our unreaped child: the PID is its own."""
        ran = self._clock.tick(self._attempt.paused is not None)
        if self._max_seconds is not None and ran > self._max_seconds and self._asked_to_stop is None:
            self._asked_to_stop = overtime(self._max_seconds)
        ending = control.cancel is not None or self._asked_to_stop is not None
        self._pause(control.paused and not control.stop and not ending)
        if not ending:
            return
        if self._term_at is None:
            self._term_at = now
            signal_group(pid, signal.SIGTERM)
        elif now - self._term_at > GRACE_S:
            signal_group(pid, signal.SIGKILL)

    def _pause(self, wanted: bool) -> None:
        """Stop all that the worker has started, in whatever group or session, or let it run on."""
        since = self._attempt.paused
        if wanted and since is None:
            suspend(below())
            self._record(paused=time.time())
        elif not wanted and since is not None:
            go_on(below())
            self._record(paused=None, pauses=(*self._attempt.pauses, (since, time.time())))

    def _cap_log(self) -> None:
        """Where the file system cannot give room back, the log grows, and that is said once."""
        if self._log_bytes is None:
            return
        try:
            cap(self._folder / "log.txt", self._log_bytes)
        except FileNotFoundError:
            return
        except OSError as error:
            self._log_bytes = None
            self._say("warning", f"the log cannot be kept small here ({error.strerror}): it grows")

    def on_signal(self, number: int, _frame: Any) -> None:
        self._asked_to_stop = f"{ENDED_BY_SIGNAL} {number}"

    def _ingest(self, force: bool = False) -> None:
        """The index may be locked, full or gone; the job goes on, and whoever comes next takes it in."""
        names = ("events.jsonl", "predictions.jsonl", "scores.json", "control.json")
        seen = tuple(size_of(self._folder / name) for name in names)
        if seen == self._seen and not force:
            return
        try:
            inode = self._home.runs_db.stat().st_ino
            if self._conn is None or inode != self._inode:
                # At first, and where a damaged index was set aside for a new one.
                self._conn, self._inode = connect(self._home.runs_db), inode
            ingest(self._conn, self._home, self._id)
            self._seen, self._complaint = seen, ""
        except (sqlite3.Error, OSError) as error:
            self._complain_once(f"the index was not updated: {error}")

    def _complain_once(self, text: str) -> None:
        """It is tried again and again: what goes wrong each time is not said each time."""
        if text != self._complaint:
            self._complaint = text
            complain(text)

    def _end(self, attempt: Attempt) -> None:
        """The exit record first; a full disk is waited for, since nothing else knows the exit code."""
        while True:
            try:
                write_attempt(self._folder, attempt)
                break
            except OSError as error:
                self._follow()
                if not self._folder.is_dir():
                    return
                complain(f"exit record not written, trying again: {error}")
                time.sleep(5)
        self._tell()

    def _tell(self) -> None:
        """The end is on disk: take it in, and see that what waits is started."""
        self._ingest(force=True)
        start_dispatcher(self._home)


def main() -> None:
    parser = argparse.ArgumentParser(prog="backends.jobs.runner")
    parser.add_argument("--home", type=Path, required=True)
    for name in ("--run", "--attempt", "--lock"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    become_subreaper()
    runner = Runner(Home(args.home), args.run, args.attempt, args.lock)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runner.on_signal)
    runner.run()


if __name__ == "__main__":
    main()
