"""Where everything of ours lives: one folder, HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from db.filesystem import is_network, kind_of

NETWORK_HOME = "FADA_NETWORK_HOME"
"""Environment variable: 1 takes a HOME on a network file system all the same."""


class HomeError(Exception):
    """HOME cannot be used; the message says why, ``hint`` what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint or "choose another folder with --home DIR or FADA_HOME, or make this one writable"


@dataclass(frozen=True)
class Home:
    """The paths under HOME. Nothing is created until :meth:`ensure`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.toml"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.env"

    @property
    def fada_db(self) -> Path:
        """The tracker: precious."""
        return self.root / "fada.db"

    @property
    def runs_db(self) -> Path:
        """The index of runs: can be rebuilt from the run directories."""
        return self.root / "runs.db"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def dispatcher_lock(self) -> Path:
        return self.root / "dispatcher.lock"

    @property
    def dispatcher_log(self) -> Path:
        return self.root / "dispatcher.log"

    @property
    def greeted(self) -> Path:
        """There once the panel has been opened: the first page is shown once."""
        return self.root / ".greeted"

    @property
    def image_hashes(self) -> Path:
        """What images look like, by data set: made again where it is missing."""
        return self.root / "cache" / "hashes"

    def run_dir(self, run_id: int) -> Path:
        return self.runs / str(run_id)

    def ensure(self) -> Home:
        """Create HOME and runs/ (0700) and check that they can be written.

        Raises:
            HomeError: HOME is no folder, cannot be written, or lies on a network file system.
        """
        self._refuse_network()
        for folder in (self.root, self.runs):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise HomeError(f"{folder}: {error.strerror}") from error
            if not _writable(folder):
                raise HomeError(f"{folder}: not writable")
        return self

    def is_read_only(self) -> bool:
        """HOME is there and cannot be written: its databases can be looked at, nothing else."""
        return self.root.is_dir() and not _writable(self.root)

    def _refuse_network(self) -> None:
        kind = kind_of(self.root)
        if is_network(kind) and not network_allowed():
            raise HomeError(
                f"{self.root}: lies on a network file system ({kind}), where file locks and SQLite's shared memory "
                "are not safe: jobs could run twice and databases be damaged",
                "keep HOME on a local disk with --home DIR or FADA_HOME (data and models may stay where they are); "
                f"--network-home or {NETWORK_HOME}=1 takes it all the same",
            )


def network_allowed() -> bool:
    """Whether the user has said that HOME may lie on a network file system."""
    return os.environ.get(NETWORK_HOME, "").lower() in ("1", "yes", "true")


def _writable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK) and not _read_only(folder)


def _read_only(folder: Path) -> bool:
    # os.access says yes to root also on a read-only mount.
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def resolve_home(argument: str | os.PathLike[str] | None = None) -> Home:
    """HOME from ``--home``, else ``FADA_HOME``, else the platform's user data directory."""
    chosen = argument or os.environ.get("FADA_HOME")
    if chosen:
        return Home(Path(chosen).expanduser().absolute())
    from platformdirs import user_data_path

    return Home(user_data_path("fada-tui"))
