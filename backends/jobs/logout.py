"""Whether logging out ends a user's processes, and how jobs get out of its way. Standard library only.

With ``KillUserProcesses=yes`` logind ends all that is in the scope of a session when that session ends. Lingering alone
does not change that: it keeps the user's own service manager, and so what runs in a scope of that manager's, alive.
Without lingering that manager ends with the last session, whatever KillUserProcesses says, and takes with it all that
it runs: often the terminals of a desktop, and the jobs that were started in them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LOGIND = tuple(Path(root, "systemd") for root in ("/usr/lib", "/usr/local/lib", "/run", "/etc"))
_KEYS = ("KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")
_LISTS = {"KillOnlyUsers": "", "KillExcludeUsers": "root"}
"""Settings that hold names, and what they hold unless it is taken away."""
_PATIENCE_S = 5.0
_BOOTED = Path("/run/systemd/system")
_LINGER = Path("/var/lib/systemd/linger")
_CGROUP = Path("/proc/self/cgroup")
_MANAGER = re.compile(r"/user@\d+\.service(/|$)", re.MULTILINE)
_SESSION = re.compile(r"/session-[^/]*\.scope(/|$)", re.MULTILINE)


@dataclass(frozen=True)
class Logout:
    """What happens to this user's processes when a session ends."""

    kills: bool
    lingers: bool
    """The user's service manager, and what runs in its scopes, outlives the last session."""
    told: bool = True
    """False where neither logind nor its files said: systemd's own default, that it kills, is taken then."""


def judge(settings: Mapping[str, str], user: Mapping[str, str], name: str) -> Logout:
    """From logind's settings (`loginctl show-session`) and the user's properties (`loginctl show-user NAME`)."""
    only, spared = (settings.get(key, default).split() for key, default in _LISTS.items())
    concerned = name not in spared and (not only or name in only)
    said = settings.get("KillUserProcesses")
    return Logout(concerned and (said is None or is_yes(said)), is_yes(user.get("Linger", "")), said is not None)


def is_yes(word: str) -> bool:
    """As systemd reads a boolean."""
    return word.strip().lower() in ("yes", "true", "1", "on", "y", "t")


def read_properties(text: str) -> dict[str, str]:
    """``Key=value`` lines as `loginctl show` prints them."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def read_settings(roots: Sequence[Path] | None = None) -> dict[str, str]:
    """Logind's own settings as ``logind.conf`` and its drop-ins have them; what none of them sets is not there.

    Of several main files only the strongest is read; a drop-in replaces a weaker one of its name, and wins over any
    main file. Lists of names grow from file to file until an empty one empties them.

    Args:
        roots: The ``systemd`` folders, the weakest first; default: this machine's.
    """
    roots = LOGIND if roots is None else roots
    main = [root / "logind.conf" for root in roots if (root / "logind.conf").exists()][-1:]
    drop_ins = {path.name: path for root in roots for path in sorted(root.glob("logind.conf.d/*.conf"))}
    found: dict[str, str] = {}
    for path in [*main, *(drop_ins[name] for name in sorted(drop_ins))]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for key, value in re.findall(r"^[ \t]*(Kill\w+)[ \t]*=[ \t]*(.*)$", text, re.MULTILINE):
            names = value.split()
            if key in _LISTS and names:
                names = list(dict.fromkeys([*found.get(key, _LISTS[key]).split(), *names]))
            found[key] = " ".join(names)
    return found


@cache
def logout() -> Logout | None:
    """What logging out does here, asked once a process; None where there is no systemd."""
    if not _BOOTED.is_dir():
        return None
    name = user_name()
    # Without a session `show-session` shows the manager's own properties.
    manager = _ask("loginctl", "show-session", *(f"--property={key}" for key in _KEYS))
    settings = read_properties(manager) or read_settings()
    user = read_properties(_ask("loginctl", "show-user", name, "--property=Linger"))
    if not user and (_LINGER / name).exists():
        user = {"Linger": "yes"}
    return judge(settings, user, name)


def user_name() -> str:
    import getpass  # here, since the runner holds for days what this module imports

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())


def scope_command() -> list[str]:
    """What to put before a command so that it outlives this session; empty where nothing is needed or possible."""
    if not in_session(_own_cgroup()) or not scope_possible():
        return []
    found = logout()
    if found is None or not found.kills:
        return []
    return ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--description=fada-tui jobs", "--"]


def scope_possible() -> bool:
    """Whether there is a systemd-run and the user's service manager runs."""
    from shutil import which

    runtime = os.environ.get("XDG_RUNTIME_DIR")
    there = bool(runtime) and Path(str(runtime), "systemd", "private").exists()
    return there and which("systemd-run") is not None


def in_session(cgroup: str) -> bool:
    """Whether /proc/PID/cgroup says that a process is in the scope of a login session."""
    return bool(_SESSION.search(cgroup))


def in_manager() -> bool:
    """Whether this process runs under the user's own service manager, as the terminals of many desktops do."""
    return bool(_MANAGER.search(_own_cgroup()))


def _own_cgroup() -> str:
    try:
        return _CGROUP.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _ask(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
