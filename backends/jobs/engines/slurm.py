"""Slurm, through its own commands: sbatch, squeue --json, scontrol, scancel, and sacct where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.jobs.admission import Capacity
from backends.jobs.engines.base import EngineError, Order, Word
from backends.jobs.engines.batch import batch_options, batch_script
from backends.jobs.engines.config import EngineSettings
from backends.jobs.engines.remote import Remote, ssh_words
from backends.jobs.engines.squeue import Listed, in_queue, of_sacct, of_scontrol
from db.home import Home

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
PATIENCE_S = 60.0
_ENDED = "fada-ended-with"
_NO_SUCH_JOB = ("Invalid job id", "not found")
_AT_ONCE = 500
"""Jobs in the arguments of one scancel."""
_PASSING = (
    "contact",
    "timed out",
    "temporarily",
    "connection",
    "transport",
    "socket",
    "accounting/qos policy",
    "authentication",
    "munge",
    "not responding",
    "backup controller",
    "in standby",
    "unexpected message",
)
"""Words in what sbatch says that mean: not now. Anything else it says of a job will be said again."""
_OURS = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SCONTROL_", "SACCT_")
"""Variables that would change what its commands do; inside of a job of Slurm's some are set."""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


class Slurm:
    """One cluster, as the user's configuration names it."""

    def __init__(self, settings: EngineSettings, home: Home) -> None:
        self.settings = settings
        self._home = home
        self._seen: list[Listed] = []
        self._remote = Remote(settings, home) if settings.remote_home else None

    @property
    def name(self) -> str:
        return self.settings.name

    def capacity(self) -> Capacity:
        return self.settings.capacity()

    def submit(self, orders: Sequence[Order], label: str) -> list[str | None]:
        """One batch script; of several orders an array with a task each. See :class:`.base.Engine`."""
        if self._remote is not None:
            self._remote.send(orders)
        words = ["sbatch", "--parsable", *batch_options(self.settings, orders, self._home, label)]
        answer = self.ask(words, batch_script(self.settings, orders, self._home))
        if answer.code:
            raise EngineError(_said(answer), final=not _may_pass(answer))
        # A login shell may print what it likes before it.
        job = answer.out.strip().splitlines()[-1].split(";")[0] if answer.out.strip() else ""
        if not job.isdigit():
            raise EngineError(f"sbatch said {answer.out.strip()!r}, which is no job")
        return [job] if len(orders) == 1 else [f"{job}_{index}" for index in range(len(orders))]

    def look(self) -> None:
        """Ask for the present queue, which :meth:`words` and :meth:`labelled` read.

        Raises:
            EngineError: It did not answer, or not with JSON.
        """
        answer = self.ask(["squeue", "--json", "--me", "--states=all"])
        if answer.code:
            raise EngineError(_said(answer))
        self._seen = in_queue(answer.out)

    def tell(self, runs: Iterable[int]) -> None:
        """See that what was asked of these runs is known where they are.

        Raises:
            EngineError: It could not be told.
        """
        if self._remote is not None:
            self._remote.tell(runs)

    def fetch(self, attempts: Mapping[int, int]) -> None:
        """See that what these runs have written is here.

        Args:
            attempts: The attempt of each that is wanted.

        Raises:
            EngineError: It could not be fetched.
        """
        if self._remote is not None:
            self._remote.fetch(attempts)

    def labelled(self, label: str, orders: int) -> list[str] | None:
        """The jobs of a submission, found by its label in the queue that was looked at; None where it is not there."""
        found = next((one for one in self._seen if one.label == label), None)
        if found is None:
            return None
        return [found.base] if orders == 1 else [f"{found.base}_{index}" for index in range(orders)]

    def poll(self, jobs: Collection[str]) -> dict[str, Word | None]:
        self.look()
        return self.words(jobs)

    def words(self, jobs: Collection[str]) -> dict[str, Word | None]:
        """By the queue that was looked at; a job that is not in it is asked for alone.

        Raises:
            EngineError: It did not answer.
        """
        exact = {one.job: one.word for one in self._seen if one.tasks is None}
        pending = [one for one in self._seen if one.tasks is not None]
        words: dict[str, Word | None] = {}
        for job in jobs:
            base, _, task = job.partition("_")
            word = exact.get(job)
            if word is None and task:
                word = next((one.word for one in pending if one.base == base and int(task) in (one.tasks or ())), None)
            if word is None and task and any(one.base == base for one in self._seen):
                # A task that is taken out before it began leaves no trace beside the others.
                word = self._kept(job) or Word("over", "CANCELLED")
            words[job] = word or self._alone(job)
        return words

    def _alone(self, job: str) -> Word | None:
        answer = self.ask(["scontrol", "--oneliner", "show", "job", job])
        if answer.code == 0:
            word = of_scontrol(answer.out)
            if word is not None:
                return word
        elif not any(one in answer.err + answer.out for one in _NO_SUCH_JOB):
            raise EngineError(_said(answer))
        return self._kept(job)

    def _kept(self, job: str) -> Word | None:
        """What the accounting knows of it."""
        try:
            kept = self.ask(["sacct", "--jobs", job, "--noheader", "--parsable2", "--format=JobID,State,ExitCode"])
        except EngineError:
            return None  # it is not everywhere
        return of_sacct(job, kept.out) if kept.code == 0 else None

    def cancel(self, jobs: Collection[str]) -> None:
        for words in _pieces(jobs):
            self._tell(["scancel", *words])

    def hold(self, jobs: Collection[str], held: bool) -> None:
        """Keep waiting jobs from starting, or let them.

        Raises:
            EngineError: It did not answer.
        """
        for words in _pieces(jobs):
            self._tell(["scontrol", "uhold" if held else "release", ",".join(words)])

    def test(self) -> str:
        """What Slurm says of a job with these settings, nothing submitted; empty where it is content.

        Raises:
            EngineError: It did not answer.
        """
        order = Order(0, 1, {}, int((self.settings.vram_gb or 1) * 1_000_000_000))
        options = [
            word for word in batch_options(self.settings, [order], self._home, "fada-test") if "output" not in word
        ]
        answer = self.ask(["sbatch", "--test-only", *options], batch_script(self.settings, [order], self._home))
        return _said(answer) if answer.code else ""

    def _tell(self, words: Sequence[str]) -> None:
        """A job that is over by now is no trouble."""
        answer = self.ask(words)
        quiet = (*_NO_SUCH_JOB, "already completed", "has already finished", "not pending", "Job is no longer pending")
        if answer.code and not any(one in answer.err for one in quiet):
            raise EngineError(_said(answer))

    def program(self, name: str) -> str:
        """One of Slurm's commands, as it is called where Slurm is asked."""
        return f"{self.settings.bin.rstrip('/')}/{name}" if self.settings.bin else name

    def shell(self, script: str) -> Answer:
        """Run lines of bash where Slurm is asked: on this machine, or on the login host.

        Raises:
            EngineError: The host did not answer.
        """
        # ssh and bash have exit codes of their own: that of the lines is told in words.
        done = self._run(["bash", "-l", "-s"], f"(\n{script}\n)\nprintf '\\n{_ENDED} %s\\n' $?\n")
        out, found, code = done.out.rpartition(f"\n{_ENDED} ")
        if not found:
            raise EngineError(_said(done))
        return Answer(int(code), out, done.err)

    def ask(self, words: Sequence[str], given: str = "") -> Answer:
        """Run one of Slurm's commands.

        Raises:
            EngineError: It could not be run, or did not answer.
        """
        program, *rest = words
        return self._run([self.program(program), *rest], given)

    def _run(self, words: Sequence[str], given: str) -> Answer:
        command = list(words)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        conf = self.settings.conf or os.environ.get("SLURM_CONF")
        if self.settings.login:
            remote = shlex.join(command)
            if self.settings.conf:
                remote = f"SLURM_CONF={shlex.quote(self.settings.conf)} {remote}"
            command = [*ssh_words(self.settings), self.settings.login, remote]
        elif conf:
            environment["SLURM_CONF"] = conf
        environment["SLURM_BITSTR_LEN"] = "0"  # the waiting tasks of an array are all told, however many
        try:
            done = subprocess.run(
                command,
                input=given,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                env=environment,
                errors="replace",
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{words[0]} did not answer within {PATIENCE_S:.0f} s (timed out)") from error
        except OSError as error:
            raise EngineError(f"{command[0]}: {error.strerror}") from error
        if self.settings.login and done.returncode in (255, 127):
            raise EngineError(f"{self.settings.login}: {done.stderr.strip()[-300:] or 'ssh failed'} (connection)")
        return Answer(done.returncode, done.stdout, done.stderr)


def commands_missing(settings: EngineSettings) -> list[str]:
    """Of the commands that are needed on this machine those that are not there."""
    remote = ("ssh", "rsync") if settings.remote_home else ("ssh",)
    wanted = remote if settings.login else COMMANDS
    path = None if settings.login else settings.bin
    return [name for name in wanted if shutil.which(name if path is None else str(Path(path) / name)) is None]


def _said(answer: Answer) -> str:
    """The last thing that it complained of."""
    lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
    said = lines[-1] if lines else f"it ended with {answer.code} and said nothing"
    for before in (
        "sbatch: error: ",
        "squeue: error: ",
        "scontrol: error: ",
        "scancel: error: ",
        "allocation failure: ",
    ):
        said = said.removeprefix(before)
    return said.removeprefix("Batch job submission failed: ")[:300]


def _may_pass(answer: Answer) -> bool:
    return any(word in answer.err.lower() for word in _PASSING)


def _pieces(jobs: Iterable[str]) -> Iterable[list[str]]:
    listed = list(jobs)
    return (listed[at : at + _AT_ONCE] for at in range(0, len(listed), _AT_ONCE))
