"""Whether an engine can be used as config.toml has it: looked at step by step, so that what is wrong has a name."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from backends.jobs.engines.base import EngineError
from backends.jobs.engines.config import EngineSettings
from backends.jobs.engines.slurm import COMMANDS, Slurm, commands_missing
from db.filesystem import is_network, kind_of
from db.home import Home


@dataclass(frozen=True)
class Finding:
    """``what`` is empty for the engine as a whole."""

    what: str
    state: Literal["ok", "warn", "missing"]
    detail: str
    hint: str | None = None


def inspect(home: Home, settings: EngineSettings) -> Iterator[Finding]:
    """From the nearest to the farthest; what cannot be asked because of an earlier trouble is not asked."""
    mend = f"mend [engines.{settings.name}] in {home.config}"
    missing = commands_missing(settings)
    if missing:
        hint = "install openssh-client and rsync" if settings.login else f"install Slurm's commands, or bin = …: {mend}"
        yield Finding("", "missing", f"without {', '.join(missing)} nothing can be handed to it", hint)
        return
    slurm = Slurm(settings, home)
    try:
        if settings.login:
            far = list(_login(slurm, mend))
            yield from far
            if any(one.state == "missing" for one in far):
                return
        known = list(_partition(slurm, mend))
        yield from known
        yield from _environment(slurm, mend)
        yield from _files(home, slurm)
        said = slurm.test()
    except EngineError as error:
        hint = "jobs for it wait until it does"
        if settings.login:
            hint += f"; try `ssh {shlex.join([*settings.ssh, settings.login])}` by hand: it must ask for no password"
        yield Finding("", "warn", f"it does not answer: {error}", hint)
        return
    if said:
        yield Finding("", "warn", f"it would not take a job: {said}", _what_to_do(said, mend))
    else:
        yield Finding("", "ok", f"it would take a job with {settings.gres or 'no card'}")


def _what_to_do(said: str, mend: str) -> str:
    if "account" in said.lower():
        return f"`sacctmgr show associations user=$USER` lists the accounts that you have; {mend}"
    if "qos" in said.lower():
        return f"`sacctmgr show qos` lists them; {mend}"
    return mend


def _login(slurm: Slurm, mend: str) -> Iterator[Finding]:
    login = str(slurm.settings.login)
    wanted = [slurm.program(name) for name in COMMANDS] + (["rsync"] if slurm.settings.remote_home else [])
    done = slurm.shell("\n".join(f"command -v {shlex.quote(name)} >/dev/null || echo {name}" for name in wanted))
    lacks = done.out.split()
    if lacks:
        hint = f'say where they are: bin = "…"; {mend}'
        yield Finding("login", "missing", f"{login} answers, and has no {', '.join(lacks)}", hint)
    else:
        yield Finding("login", "ok", f"{login} answers, with {', '.join(wanted)}")


def _partition(slurm: Slurm, mend: str) -> Iterator[Finding]:
    """The partition is there and up, and its nodes have what ``gres`` asks for."""
    settings = slurm.settings
    done = slurm.ask(["sinfo", "--noheader", "--format=%R|%a|%G"])
    if done.code:
        raise EngineError(done.err.strip().splitlines()[-1] if done.err.strip() else "sinfo failed")
    rows = [line.split("|") for line in done.out.splitlines() if line.count("|") == 2]
    names = sorted({row[0] for row in rows})
    mine = [row for row in rows if settings.partition in (None, row[0])]
    if not mine:
        yield Finding("partition", "warn", f"there is no {settings.partition}; there are {', '.join(names)}", mend)
        return
    where = settings.partition or "its partitions"
    if all(row[1] != "up" for row in mine):
        yield Finding("partition", "warn", f"{where}: not up", "jobs wait there until the cluster's people open it")
    wanted = (settings.gres or "").split(":")[0]
    offered = sorted({part.split("(")[0] for row in mine for part in row[2].split(",") if part != "(null)"})
    if wanted and not any(one.split(":")[0] == wanted for one in offered):
        has = f"they have {', '.join(offered)}" if offered else "they have none at all"
        yield Finding("gres", "warn", f"no node of {where} has {wanted}: {has}", mend)


def _environment(slurm: Slurm, mend: str) -> Iterator[Finding]:
    """The set-up lines, and our runner in the Python that they lead to, tried where Slurm is asked."""
    settings = slurm.settings
    python = settings.python or sys.executable
    said = "a node may differ" if settings.login else "tried on this machine"
    lines = ["set -e", *settings.setup, "set +e"] if settings.setup else []
    script = "\n".join([*lines, "echo; echo fada-set-up", f"{shlex.quote(python)} -P -c {shlex.quote(_IMPORT)}"])
    done = slurm.shell(script)
    heard = (done.err.strip() or done.out.strip() or "it said nothing").splitlines()[-1][:200]
    if "fada-set-up" not in done.out.split():
        yield Finding("setup", "warn", f"a set-up line ends with {done.code} ({said}): {heard}", f"setup = …: {mend}")
    elif "fada-runner" not in done.out.split():
        hint = f'python = "…" of an environment there with fada-tui in it; {mend}'
        yield Finding("python", "warn", f"{python} does not find fada-tui ({said}): {heard}", hint)
    else:
        yield Finding("python", "ok", f"{python}: fada-tui is there ({said})")


_IMPORT = "import backends.jobs.engines.batch_runner; print('fada-runner')"


def _files(home: Home, slurm: Slurm) -> Iterator[Finding]:
    """Whether what a job writes is seen here: a shared file system, or a folder there that can be written."""
    settings = slurm.settings
    if settings.remote_home:
        place = shlex.quote(settings.remote_home)
        done = slurm.shell(f"umask 077; mkdir -p {place}/runs && test -w {place}/runs")
        if done.code:
            said = (done.err.strip() or "not writable").splitlines()[-1][:200]
            hint = "remote_home = … of a folder that the login host and the nodes share and you can write"
            yield Finding("files", "warn", f"{settings.login}:{settings.remote_home}: {said}", hint)
        else:
            yield Finding("files", "ok", f"run directories are sent to {settings.login}:{settings.remote_home}")
        return
    if settings.login:
        with _token(home) as token:
            seen = slurm.shell(f"test -e {shlex.quote(token)}").code == 0
        if seen:
            yield Finding("files", "ok", f"{settings.login} sees HOME under the same path")
        else:
            hint = 'put HOME on a shared file system (--home), or set remote_home = "/a/folder/there"'
            yield Finding(
                "files", "warn", f"{settings.login} does not see {home.root}: what a job writes is lost", hint
            )
        return
    others = set(slurm.ask(["sinfo", "--noheader", "--Node", "--format=%N"]).out.split()) - {os.uname().nodename}
    if others and not is_network(kind_of(home.root)):
        detail = (
            f"HOME lies on a disk of this machine ({kind_of(home.root)}), and jobs run on {len(others)} other nodes"
        )
        yield Finding("files", "warn", detail, "put HOME on a shared file system: --home, or FADA_HOME")
    else:
        yield Finding("files", "ok", f"its nodes see HOME ({kind_of(home.root)})")


@contextmanager
def _token(home: Home) -> Iterator[str]:
    """A file in HOME that nobody else can have by chance."""
    path = home.root / f".seen-{secrets.token_hex(8)}"
    path.touch(0o600)
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)
