"""Run directories of an engine whose nodes do not see this HOME: sent through its login host by rsync, and fetched.

What people ask (spec.json, control.json) is written here and only sent; what a job writes is written there and only
fetched: events, answers, log, scores, records of attempts, weights. rsync sends of a file that has grown what is new,
puts it in its place whole, and goes on after a broken connection where it was.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from backends.jobs.engines.base import EngineError, Order
from backends.jobs.engines.config import EngineSettings
from backends.jobs.engines.submission import read_submission
from db.home import Home

PATIENCE_S = 300.0
"""One fetch or sending; what takes longer goes on at the next turn."""
_OURS = ("control.json", "spec.json", "submission.json", "labels.json", "lock")
"""Of a run's directory what is written here."""
_NOT_FETCHED = ("checkpoints/", "attempts/.*")
"""A later attempt finds its checkpoints where the one before it ran."""
_SHARED = ("config.toml", "catalog.toml", "agreed")
"""Of HOME what a worker reads."""
_VANISHED = 24


def ssh_words(settings: EngineSettings) -> list[str]:
    """Never asks for a password; a line that is dead is given up after half a minute."""
    options = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3")
    return ["ssh", *(word for option in options for word in ("-o", option)), *settings.ssh]


class Remote:
    """The other HOME, on the login host.

    Every method raises EngineError where it cannot be reached.
    """

    def __init__(self, settings: EngineSettings, home: Home) -> None:
        assert settings.login is not None and settings.remote_home is not None
        self._settings = settings
        self._home = home
        self._there = f"{settings.login}:{settings.remote_home.rstrip('/')}/"
        self._made = False
        self._told: dict[int, bytes] = {}

    def send(self, orders: Sequence[Order]) -> None:
        """What attempts need before they can begin; of a later one also what the one before it has left here."""
        if not self._made:
            self._make()
        again = {order.run: order.attempt for order in orders if order.attempt > 1}
        if again:
            self.fetch(again)
        names = [name for name in _SHARED if (self._home.root / name).exists()]
        for order in orders:
            names.append(f"runs/{order.run}")
            names += self._weights(order)
        kept = ("lock", "submission.json", "labels.json", *_NOT_FETCHED)
        self._rsync([f"{self._home.root}/", self._there], names, kept)

    def tell(self, runs: Iterable[int]) -> None:
        """Send the control files that were changed since they were last sent."""
        changed = {}
        for run in runs:
            try:
                control = (self._home.run_dir(run) / "control.json").read_bytes()
            except OSError:
                continue
            if self._told.get(run) != control:
                changed[run] = control
        if changed:
            self._rsync([f"{self._home.root}/", self._there], [f"runs/{run}/control.json" for run in changed])
            self._told |= changed

    def fetch(self, attempts: Mapping[int, int]) -> int:
        """Bring the directories of these runs up to what they are there; how many bytes came over the line.

        Args:
            attempts: Of each the attempt that is wanted.
        """
        if not attempts:
            return 0
        # How an earlier attempt ended may have been said here.
        over = [f"/{run}/attempts/{n}.json" for run, attempt in attempts.items() for n in range(1, attempt)]
        names = [str(run) for run in attempts]
        return self._rsync([f"{self._there}runs/", f"{self._home.runs}/"], names, (*_OURS, *_NOT_FETCHED, *over))

    def _weights(self, order: Order) -> list[str]:
        """Of a run whose result is evaluated what it left, unless it was made there."""
        run = (order.spec.get("model") or {}).get("from_run")
        if run is None:
            return []
        made = read_submission(self._home.run_dir(run))
        if made is not None and made.engine == self._settings.name:
            return []
        left = (f"runs/{run}/{name}" for name in ("spec.json", "adapter", "model"))
        return [name for name in left if (self._home.root / name).exists()]

    def _make(self) -> None:
        words = [*ssh_words(self._settings), str(self._settings.login)]
        done = self._run([*words, f"umask 077; mkdir -p {shlex.quote(f'{self._settings.remote_home}/runs')}"], "")
        if done.returncode:
            raise EngineError(f"{self._settings.login}: {_last(done.stderr)}", final=done.returncode != 255)
        self._made = True

    def _rsync(self, ends: Sequence[str], names: Sequence[str], excluded: Sequence[str] = ()) -> int:
        words = ["rsync", "--recursive", "--links", "--perms", "--times", "--protect-args", "--files-from=-"]
        words += ["--stats", "--no-human-readable"]
        words += ["--partial-dir=.rsync-partial", "--timeout=60", f"--rsh={shlex.join(ssh_words(self._settings))}"]
        words += [f"--exclude={name}" for name in excluded]
        done = self._run([*words, *ends], "".join(f"{name}\n" for name in names))
        if done.returncode and done.returncode != _VANISHED and not _only_missing(done.stderr):
            raise EngineError(f"{self._settings.login}: {_last(done.stderr)} (connection, rsync {done.returncode})")
        received = re.search(r"Total bytes received: (\d+)", done.stdout)
        return int(received[1]) if received else 0

    def _run(self, words: Sequence[str], given: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
            )
        except OSError as error:
            raise EngineError(f"{words[0]}: {error.strerror}") from error
        try:
            told, said = process.communicate(given, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            process.terminate()  # it keeps what has come
            process.communicate()
            raise EngineError(f"{words[0]} goes on at the next turn (timed out after {PATIENCE_S:.0f} s)") from error
        return subprocess.CompletedProcess(words, process.returncode, told, said)


def _only_missing(said: str) -> bool:
    """Of what was asked for something is not there; that is the run's trouble, not the host's."""
    lines = [line for line in said.splitlines() if line.startswith("rsync: ")]
    return bool(lines) and all("No such file or directory" in line and "link_stat" in line for line in lines)


def _last(said: str) -> str:
    """The first complaint is the cause; what follows is rsync's own summing up."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "post-quantum" not in line]
    return (lines[0] if lines else "it ended and said nothing")[:300]
