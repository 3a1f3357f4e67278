"""Engines besides this machine, as ``[engines.NAME]`` of config.toml has them. A run's spec keeps its own as it was."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from backends.jobs.admission import MARGIN, Capacity
from backends.jobs.engines.base import LOCAL
from backends.jobs.errors import QueueError
from db.home import Home

EXAMPLE = '[engines.NAME] with partition = "gpu", gres = "gpu:1", vram_gb = 80, time = "24:00:00"'
GB = 1_000_000_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_TIME = re.compile(r"\d+|\d+:\d\d(:\d\d)?|\d+-\d+(:\d\d){0,2}")
_UNKNOWN = 1 << 60
"""Bytes of an engine of which nobody has said how much it has: nothing is refused."""


@dataclass(frozen=True)
class EngineSettings:
    """One Slurm. Everything that is left out is Slurm's own default."""

    name: str
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gres: str | None = None
    """For instance ``gpu:1``; with ``shard:N`` as many as a job reserves, in GB. None: a partition without cards."""
    vram_gb: float | None = None
    """What ``gres`` gives one job at most; for ``shard:N`` the shards of a card."""
    memory_gb: float | None = None
    """Host memory of a job."""
    cpus: int | None = None
    time: str | None = None
    """The time limit, as Slurm writes it."""
    setup: tuple[str, ...] = ()
    """Lines of bash before the job: ``module load …``."""
    python: str | None = None
    """On the nodes, an environment with fada-tui; None: the one that this program runs in."""
    options: tuple[str, ...] = ()
    """More words for sbatch."""
    requeue: bool = True
    """Whether Slurm may start a job again whose node failed; it goes on from its last answer or checkpoint."""
    bin: str | None = None
    """The folder of sbatch, squeue, …; None: they are on PATH."""
    conf: str | None = None
    """slurm.conf; None: Slurm finds it."""
    login: str | None = None
    """``user@host``: Slurm is asked through ssh there."""
    ssh: tuple[str, ...] = ()
    """More words for ssh."""
    remote_home: str | None = None
    """Where the run directories lie on the login host; None: its nodes see this HOME under the same path."""
    poll_s: float = 5.0
    settle_s: float = 20.0
    """So long after the end a run's own record may take to be seen here."""

    def place(self, home: Home) -> str:
        """HOME as the nodes see it."""
        return self.remote_home.rstrip("/") if self.remote_home else str(home.root)

    @property
    def shards(self) -> bool:
        return bool(self.gres and self.gres.split(":")[0] == "shard")

    @property
    def memory(self) -> str:
        """The memory that counts: ``VRAM``, or ``RAM`` where it has no card."""
        return "VRAM" if self.gres else "RAM"

    def capacity(self) -> Capacity:
        """What one job can be given at most."""
        most = self.vram_gb if self.gres else self.memory_gb
        return Capacity(int(most * GB) if most else _UNKNOWN, 0, 1, self.memory, f"engine {self.name}")

    def as_document(self) -> dict[str, Any]:
        """For a spec: what is set."""
        default = EngineSettings(self.name)
        return {key: value for key, value in asdict(self).items() if key == "name" or value != getattr(default, key)}


_KEYS = {field.name: str(field.type) for field in fields(EngineSettings) if field.name != "name"}


def read_engines(config: Path) -> dict[str, EngineSettings]:
    """The engines of config.toml by name; none where there is no file.

    Raises:
        QueueError: It is not readable, or one of them cannot be used.
    """
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8")).get("engines", {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise QueueError(f"not readable as TOML: {error}", str(config), f"write {EXAMPLE}") from error
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise QueueError("engines is no table of engines", str(config), f"write {EXAMPLE}")
    return {name: _engine(name, table, f"{config}: engines.{name}") for name, table in tables.items()}


def named_engine(home: Home, name: str) -> EngineSettings | None:
    """The engine of that name; None for this machine.

    Raises:
        QueueError: There is none, or it cannot be used.
    """
    if name == LOCAL:
        return None
    known = read_engines(home.config)
    if name not in known:
        near = difflib.get_close_matches(name, [*known, LOCAL], n=1)
        said = f"did you mean {near[0]}?" if near else f"known: {', '.join([LOCAL, *known])}"
        raise QueueError(f"there is no engine {name!r}", str(home.config), f"{said}; write {EXAMPLE}")
    return known[name]


def of_spec(spec: Mapping[str, Any]) -> EngineSettings | None:
    """The engine as it was when the run was queued; None for this machine."""
    table = spec.get("engine")
    if not isinstance(table, Mapping) or not table.get("name"):
        return None
    return _settings(str(table["name"]), {key: value for key, value in table.items() if key in _KEYS})


def engine_part(home: Home, name: str | None) -> dict[str, Any]:
    """The parts of a spec that say where it runs: none for this machine.

    Raises:
        QueueError: There is no such engine, or it cannot be used.
    """
    settings = named_engine(home, name) if name is not None else None
    if settings is None:
        return {}
    part: dict[str, Any] = {"engine": settings.as_document()}
    return part | ({"python": settings.python} if settings.python else {})


def grouped(plans: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Several specs that are queued together: those of an engine may go to it as one array."""
    members = [plan for plan in plans if plan.get("engine")]
    if len(members) < 2:
        return list(plans)
    group = {"group": {"id": os.urandom(6).hex(), "size": len(members)}}
    return [plan | group if plan.get("engine") else plan for plan in plans]


def that_fit(config: Path, needed: int) -> list[str]:
    """Engines with a card that could give a job so many bytes, in words; none of a file with mistakes."""
    try:
        known = read_engines(config)
    except QueueError:
        return []
    return [
        f"--engine {one.name}" + (f" ({one.vram_gb:g} GB)" if one.vram_gb else "")
        for one in known.values()
        if one.gres and needed + MARGIN <= one.capacity().total
    ]


def _engine(name: str, table: Mapping[str, Any], where: str) -> EngineSettings:
    if name == LOCAL or not _NAME.fullmatch(name):
        raise QueueError(
            f"an engine cannot be called {name!r}", where, "letters, digits, - and _; local is this machine"
        )
    for key, value in table.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_KEYS)}"
            raise QueueError(f"there is no setting {key!r} of an engine", where, hint)
        _check(key, value, where)
    settings = _settings(name, table)
    if settings.shards and not settings.vram_gb:
        raise QueueError("gres = shard:N needs vram_gb", where, "say how many GB, that is shards, one card has")
    if settings.remote_home and not (settings.login and settings.remote_home.startswith("/")):
        hint = 'give login = "user@host" as well, and write it as "/scratch/user/fada"'
        raise QueueError("remote_home is an absolute path on the login host", where, hint)
    if settings.time and not _TIME.fullmatch(settings.time):
        raise QueueError(f"time cannot be {settings.time!r}", where, 'as Slurm writes it: "8:00:00", "2-00:00:00"')
    return settings


def _settings(name: str, table: Mapping[str, Any]) -> EngineSettings:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return EngineSettings(name, **values)


def _check(key: str, value: Any, where: str) -> None:
    kind = _KEYS[key]
    if kind.startswith("bool"):
        fits = isinstance(value, bool)
    elif kind.startswith("tuple"):
        fits = isinstance(value, list) and all(isinstance(one, str) and "\0" not in one for one in value)
    elif kind.startswith(("int", "float")):
        whole = isinstance(value, int) or kind.startswith("float")
        fits = isinstance(value, int | float) and not isinstance(value, bool) and whole and 0 < value < 1e6
    else:
        fits = isinstance(value, str) and bool(value) and value.isprintable() and not value.startswith("-")
    if not fits:
        raise QueueError(f"{key} cannot be {value!r}", where, f"write {EXAMPLE}")
