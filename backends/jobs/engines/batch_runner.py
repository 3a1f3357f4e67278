"""The runner inside a batch script: ``python -P -m backends.jobs.engines.batch_runner --home HOME --run ID …``.

It leaves the same files as on the workstation. HOME may be a shared file system here, where SQLite and locks of
another machine are not safe: it opens no database and takes no lock, and whoever ticks on the workstation takes in
what it wrote. Its exit code is the run's outcome, which is what ``afterok`` goes by.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from backends.jobs.ends import ended_as
from backends.jobs.engines.submission import NOT_MINE
from backends.jobs.files import complain
from backends.jobs.runner import Runner
from backends.jobs.spec import safe_environment
from backends.jobs.store import Attempt, Control, claim_attempt
from backends.jobs.subreaper import become_subreaper
from db.home import Home

PULSE_S = 20.0
PULSE = "pulse"
"""A file in the run's directory that is touched so often while its runner lives."""
_OF_THE_SCRIPT = ("PWD", "OLDPWD", "SHLVL", "_", "TMUX", "PS1")


class BatchRunner(Runner):
    """One attempt of a run, as a job of Slurm's."""

    def __init__(self, home: Home, run_id: int, number: int, job: str) -> None:
        super().__init__(home, run_id, number, None)
        self._attempt = replace(self._attempt, job=job, node=os.uname().nodename)
        self._last: Attempt | None = None
        self._pulsed = 0.0

    def outcome(self) -> int:
        """Run it; an exit code that says how it ended: 0 is done and nothing else."""
        if not claim_attempt(self._folder, self._attempt):
            complain(f"attempt {self._attempt.number} of #{self._id} is another job already: nothing is run twice")
            return NOT_MINE
        self.run()
        if self._last is None:
            return 1
        return 0 if ended_as(self._last)[0] == "done" else self._last.exit_code or 1

    def _begin(self) -> None:
        """It has been written already, as a claim."""

    def _surroundings(self) -> dict[str, str]:
        """That of the shell that queued it, and over it what the node and the set-up lines say."""
        here = safe_environment({name: value for name, value in os.environ.items() if name not in _OF_THE_SCRIPT})
        return {**(self._spec.get("env") or {}), **here}

    def _obey(self, control: Control, pid: int, now: float) -> None:
        if now - self._pulsed >= PULSE_S:
            self._pulsed = now
            self._pulse()
        super()._obey(control, pid, now)

    def _pulse(self) -> None:
        """Show that it lives; and end where a later attempt has begun, the cluster having given this one up."""
        try:
            (self._folder / PULSE).touch(0o600)
        except OSError as error:
            self._complain_once(f"{PULSE}: {error}")
        if (self._folder / "attempts" / f"{self._attempt.number + 1}.json").exists():
            self._asked_to_stop = "a later attempt has begun on another node"

    def _try_once_more(self, ended: Attempt) -> None:
        """After out of memory that is for the workstation to say, before it takes this end in."""

    def _ingest(self, force: bool = False) -> None:
        """The index is not for this machine."""

    def _end(self, attempt: Attempt) -> None:
        self._last = attempt
        super()._end(attempt)

    def _tell(self) -> None:
        """Slurm does."""


def job_of(environment: Mapping[str, str]) -> str:
    """The job that this process is, as ``scancel`` takes it."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", f"pid-{os.getpid()}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="backends.jobs.engines.batch_runner")
    parser.add_argument("--home", type=Path, required=True)
    for name in ("--run", "--attempt"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    if not Home(args.home).run_dir(args.run).is_dir():
        complain(f"{Home(args.home).run_dir(args.run)} is not to be seen from {os.uname().nodename}")
        return NOT_MINE
    # Slurm runs the very same script again after a node has failed: that is the next attempt.
    number = args.attempt + int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    become_subreaper()
    runner = BatchRunner(Home(args.home), args.run, number, job_of(os.environ))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, runner.on_signal)
    return runner.outcome()


if __name__ == "__main__":
    sys.exit(main())
