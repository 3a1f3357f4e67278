"""The checks of `fada doctor`: each looks at one thing, says what it found, and how to mend what is wrong.

A check never raises and never imports what it looks for: packages are known by their metadata.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path

from db.connect import connect
from db.filesystem import is_network, kind_of
from db.versions import KNOWN
from fada_tui.cli.check import Check, made
from fada_tui.cli.checksettings import settings_checks
from fada_tui.cli.context import Context
from fada_tui.cli.enginechecks import engine_checks
from fada_tui.cli.errors import CommandError
from fada_tui.cli.exportchecks import export_checks
from fada_tui.cli.modelchecks import model_checks
from fada_tui.format import count, size

_OLDEST_SQLITE = (3, 24, 0)
"""The first with UPSERT."""
_LITTLE_DISK = 10 * 2**30
_EXTRAS = {
    "eval": "nothing can be evaluated",
    "train": "nothing can be fine-tuned",
}


def all_checks(context: Context) -> list[Check]:
    """Every check, in the order a person would go through them."""
    ready = _home_ready(context)
    return [
        _python(),
        *_packages(),
        *_driver(context),
        ready,
        _file_system(context.home.root),
        _disk(context.home.root),
        *_secrets(context.home.secrets),
        *model_checks(context.home),
        *export_checks(context.home),
        _sqlite(),
        _database("tracker database", context.home.fada_db, "a copy made with `fada backup` can take its place"),
        _database("run index", context.home.runs_db, "`fada reindex` rebuilds it from the run directories"),
        _terminal(),
        _clock(context.home.root),
        _survival(),
        *settings_checks(context.home.config),
        *engine_checks(context.home),
    ]


def _python() -> Check:
    return made("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _packages() -> Iterator[Check]:
    try:
        requirements = metadata.requires("fada-tui") or []
    except metadata.PackageNotFoundError:
        yield made("packages", "warn", "fada-tui is not installed, only run from its folder", "run `make setup`")
        return
    for extra, loss in ({"": "the panel cannot run"} | _EXTRAS).items():
        found, absent = _look_up(requirements, extra)
        name = f"packages for {extra}" if extra else "packages"
        if absent:
            hint = f"pip install 'fada-tui[{extra}]', or `make setup`" if extra else "run `make setup`"
            yield made(name, "missing", f"without {', '.join(absent)} {loss}", hint)
        else:
            yield made(name, "ok", ", ".join(found))


def _look_up(requirements: list[str], extra: str) -> tuple[list[str], list[str]]:
    """The packages that fada-tui's own metadata asks for under an extra: those here with their version, the others."""
    found, absent = [], []
    for requirement in requirements:
        of = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if name is None or name[0] == "fada-tui" or (of[1] if of else "") != extra:
            continue
        try:
            found.append(f"{name[0]} {metadata.version(name[0])}")
        except metadata.PackageNotFoundError:
            absent.append(name[0])
    return found, absent


def _driver(context: Context) -> Iterator[Check]:
    from backends.telemetry.sampler import Sampler

    with Sampler(context.home) as sampler:
        sample = sampler.sample()
    if not sample.gpus:
        hint = "jobs run on the CPU; for an NVIDIA card install its driver (`nvidia-smi` must work)"
        yield made("NVIDIA driver", "missing", sample.reason or "no card", hint)
        return
    for gpu in sample.gpus:
        name = f"GPU {gpu.index}"
        if gpu.reason:
            yield made(name, "warn", gpu.reason, "jobs on it will fail until it is back")
        else:
            yield made(name, "ok", f"{gpu.name}, {size(gpu.memory_total)}, driver {sample.driver or 'unknown'}")
    yield from _card_packages()


def _card_packages() -> Iterator[Check]:
    """What a machine with a card wants besides; asked for only where there is one."""
    try:
        found, absent = _look_up(metadata.requires("fada-tui") or [], "gpu")
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return
    if absent:
        hint = "pip install 'fada-tui[gpu]', or `make setup`"
        yield made("packages for gpu", "warn", f"without {', '.join(absent)} training is slower", hint)
    else:
        yield made("packages for gpu", "ok", ", ".join(found))
    yield _unsloth()
    if "+cpu" in torch:
        yield made("torch for the card", "warn", f"torch {torch} knows no card", "install torch's CUDA build")


def _unsloth() -> Check:
    """Whether the method auto will use it: installed, and each of its neighbours in a version that it takes."""
    from backends.catalog.unsloth import HINT, packages_missing

    missing = packages_missing()
    if missing:
        return made("unsloth", "warn", f"{missing}: fine-tunes go through PEFT, slower and with more VRAM", HINT)
    return made("unsloth", "ok", f"{metadata.version('unsloth')}, every package in a version that it takes")


def _home_ready(context: Context) -> Check:
    root = context.home.root
    try:
        context.prepare()
    except CommandError as error:
        return made("home", "missing", error.message, error.hint if error.hint != "see `fada doctor`" else None)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o022:
        return made("home", "warn", f"{root} can be written by others ({mode:o})", f"chmod 700 {root}")
    return made("home", "ok", f"{root}, writable")


def _file_system(root: Path) -> Check:
    kind = kind_of(root)
    if is_network(kind):
        hint = "keep HOME on a local disk: --home DIR or FADA_HOME (data and models may stay where they are)"
        return made("file system", "warn", f"{kind}: locks and SQLite are not safe over a network", hint)
    return made("file system", "ok", f"{kind or 'unknown'}, local")


def _disk(root: Path) -> Check:
    from backends.telemetry.host import disk_free

    free = disk_free(root)
    if free < _LITTLE_DISK:
        return made("disk", "warn", f"{size(free)} free", "`fada where` shows what takes the room")
    return made("disk", "ok", f"{size(free)} free")


def _secrets(path: Path) -> Iterator[Check]:
    if path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield made("secrets", "warn", f"{path} can be read by others ({mode:o})", f"chmod 600 {path}")
        else:
            yield made("secrets", "ok", f"{path}, yours alone")


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        wanted = ".".join(map(str, _OLDEST_SQLITE))
        return made("sqlite", "warn", sqlite3.sqlite_version, f"{wanted} or newer: take a newer Python build")
    return made("sqlite", "ok", sqlite3.sqlite_version)


def _database(name: str, path: Path, mend: str) -> Check:
    if not path.exists():
        return made(name, "warn", f"{path} is not there yet", "any `fada` command makes it")
    try:
        with closing(connect(path, read_only=True, any_version=True)) as conn:
            found = [str(row[0]) for row in conn.execute("PRAGMA quick_check(3)")]
            version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        found, version = [str(error)], 0
    if found != ["ok"]:
        return made(name, "missing", f"{path} is damaged: {'; '.join(found)}", mend)
    known = KNOWN[path.name]
    if version > known:
        newer = f"whole, schema {version}: written by a newer version of fada-tui (this one knows up to {known})"
        return made(name, "missing", newer, "update fada-tui; until then this one leaves it alone")
    return made(name, "ok", f"whole, schema {version}, {size(path.stat().st_size)}")


def _terminal() -> Check:
    term, colour = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    where = ", in tmux" if os.environ.get("TMUX") else ("" if shutil.which("tmux") else ", tmux is not installed")
    if colour in ("truecolor", "24bit"):
        return made("terminal", "ok", f"{term}, true colour{where}")
    if "256" in term or "direct" in term:
        return made("terminal", "ok", f"{term}, 256 colours{where}")
    if term in ("", "dumb"):
        return made("terminal", "warn", f"TERM is {term or 'not set'}{where}", "the panel needs a real terminal")
    inside = 'in ~/.tmux.conf: set -g default-terminal "tmux-256color"' if where == ", in tmux" else ""
    return made("terminal", "warn", f"{term}: 16 colours{where}", inside or "export TERM=xterm-256color")


def _clock(root: Path) -> Check:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError as error:
        hint = "whether a job is alive is told by it: mount /proc"
        return made("clock and boot id", "missing", f"the boot id cannot be read: {error.strerror}", hint)
    newest = max((path.stat().st_mtime for path in root.glob("*.db")), default=0.0)
    if newest > time.time() + 60:
        ahead = f"HOME was written {count(int(newest - time.time()), 'second')} from now"
        return made("clock and boot id", "warn", ahead, "the clock went back: check `timedatectl`")
    return made("clock and boot id", "ok", f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}, boot {boot[:8]}")


def _survival() -> Check:
    """Whether logging out ends a user's jobs."""
    from backends.jobs.logout import in_manager, logout, scope_possible, user_name

    name, found = "jobs after logout", logout()
    if found is None:
        return made(name, "ok", "no systemd here: nothing ends them")
    linger = f"loginctl enable-linger {user_name()}"
    if in_manager() and not found.lingers:
        ends = "what is started in this terminal belongs to your own service manager, which ends with your last session"
        return made(name, "warn", ends, linger)
    if not found.kills:
        return made(name, "ok", "logind leaves them alone (KillUserProcesses is not yes for you)")
    if not found.told:
        doubt = "logind does not say whether it ends your processes when you log out: jobs are started as if it did"
        return made(name, "warn", doubt, "ask `loginctl show-session --property=KillUserProcesses`")
    if not scope_possible():
        ends = "logind ends your processes when you log out, and systemd-run --user cannot be used here"
        return made(name, "warn", ends, f"{linger}, log in again, and see that `systemctl --user status` works")
    if not found.lingers:
        return made(name, "warn", "jobs run in a scope of their own, which ends with your last session", linger)
    return made(name, "ok", "logind ends sessions' processes; jobs run in a scope of their own and you linger")
