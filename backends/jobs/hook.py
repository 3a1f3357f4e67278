"""Runs a command of the user's once, with a time limit: ``python -m backends.jobs.hook SECONDS COMMAND``.

Standard library only. Whoever starts it goes on at once; how the command ended is a line in HOME/hooks.log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from db.home import Home

LOG_BYTES = 1 << 20
_STATUS_TIMED_OUT = 124


def start_hook(home: Home, command: str, facts: Mapping[str, str], timeout_s: float) -> subprocess.Popen[bytes]:
    """Start it, detached, with the facts in its environment; nothing of them is ever part of the command."""
    given = {name: value.replace("\0", " ") for name, value in facts.items()}
    inherited = {name: value for name, value in os.environ.items() if name != "FADA_EVENTS"}
    log = home.root / "hooks.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "backends.jobs.hook", str(timeout_s), command],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=home.root,
            env=inherited | given | {"FADA_HOME": str(home.root)},
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def run_command(command: str, timeout_s: float) -> int:
    """Its exit status; what it started is killed with it where it takes too long."""
    process = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return _STATUS_TIMED_OUT


def main() -> int:
    timeout_s, command = float(sys.argv[1]), sys.argv[2]
    begun = time.monotonic()
    status = run_command(command, timeout_s)
    ended = f"stopped after {timeout_s:g} s" if status == _STATUS_TIMED_OUT else f"exit {status}"
    what = " ".join(filter(None, (os.environ.get("FADA_EVENT"), os.environ.get("FADA_ALERT"))))
    run = f" #{os.environ['FADA_RUN']}" if os.environ.get("FADA_RUN") else ""
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    os.write(2, f"[{moment}] {what}{run}: {ended} after {time.monotonic() - begun:.1f} s\n".encode())
    return status


if __name__ == "__main__":
    sys.exit(main())
