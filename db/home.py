"""Where everything of ours lives: one folder, HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


class HomeError(Exception):
    """HOME cannot be used; the message says why and what to do."""


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

    def run_dir(self, run_id: int) -> Path:
        return self.runs / str(run_id)

    def ensure(self) -> Home:
        """Create HOME and runs/ (0700) and check that they can be written.

        Raises:
            HomeError: HOME is no folder or cannot be written.
        """
        for folder in (self.root, self.runs):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise HomeError(f"{folder}: {error.strerror}") from error
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) or _read_only(folder):
                raise HomeError(f"{folder}: not writable")
        return self


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
