"""A job for the fault test: numbered events, a lock of its own, and a note of how it began and ended.

``python faults_job.py FOLDER LINES CODE``. Everything that it says is checked against the index afterwards.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path


def append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def leave_something(dice: float) -> None:
    """Now and then a child in a session of its own, with the run's lock or without it: it must not outlive the run."""
    if dice < 0.15 and os.fork() == 0:
        os.setsid()
        time.sleep(3600)
        os._exit(0)
    if 0.15 < dice < 0.3:
        words = [sys.executable, "-c", "import time; time.sleep(3600)"]
        subprocess.Popen(words, start_new_session=True)


def main() -> None:
    folder, lines, code = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    run = os.environ["FADA_RUN"]
    lock = os.open(folder / f"{run}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        append(folder / "overlaps", f"{run}\n")
    append(folder / "starts", f"{run}\n")
    events = os.open(os.environ["FADA_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    chance = random.Random()
    leave_something(chance.random())
    for number in range(lines):
        metric = {"t": time.time(), "kind": "metric", "name": "n", "step": number, "value": number}
        os.write(events, (json.dumps(metric) + "\n").encode())
        line = json.dumps({"t": time.time(), "kind": "message", "level": "info", "text": f"{run}/{number}"}) + "\n"
        cut = chance.randrange(len(line))
        if number % 7 == 0:  # a writer that is killed between two writes leaves half a line
            os.write(events, line[:cut].encode())
            time.sleep(0.01)
            os.write(events, line[cut:].encode())
        else:
            os.write(events, line.encode())
        time.sleep(chance.uniform(0, 0.03))
    append(folder / "ends", f"{run} {code}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
