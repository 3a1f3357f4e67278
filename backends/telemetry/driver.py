"""The cards as a process of our own tells them, with a watchdog: who asks here never waits long and never crashes.

A driver that does not answer is said not to, with the time, and heard again as soon as it does.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from backends.telemetry.codec import gpus_from, xids_from
from backends.telemetry.explain import explain
from backends.telemetry.sample import Gpu, Xid

PATIENCE_S = 3.0
FIRST_PATIENCE_S = 6.0
"""A card that sleeps takes seconds to wake."""
AGAIN_S = 10.0
"""A reader that died is replaced after this long."""
_LIBRARY = "libnvidia-ml.so.1"
_ABSENT = 12
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Reading:
    """What is known of the cards at one moment."""

    gpus: tuple[Gpu, ...]
    reason: str | None
    driver: str | None = None
    xids: tuple[Xid, ...] = ()
    silent_s: float | None = None


class Driver:
    """Asks the reader; for one thread at a time.

    Args:
        clock: Seconds that only grow.
        patience_s: How long an answer is waited for; once it is late, the next questions only look whether it came.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, patience_s: float = PATIENCE_S) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        self._asked_at: float | None = None
        """When the question was asked that is not answered yet."""
        self._answered = False
        self._again_at = float("-inf")
        self._late = False
        self._last = Reading((), None)
        self._died = ""

    def read(self) -> Reading:
        """The cards now, or why there is nothing to tell of them."""
        if self._process is None and not library_found():
            return Reading((), explain(_ABSENT, ""))
        try:
            reading = self._ask()
        except OSError as error:
            reading = self._gone(f"it cannot be started: {error}")
        return reading

    def close(self) -> None:
        """Let the reader end. It is not waited for: it may hang in the driver."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)

    def _ask(self) -> Reading:
        if self._process is None:
            if self._clock() < self._again_at:
                return self._gone(self._died)
            self._start()
        if self._asked_at is None and not self._send():
            return self._broke_down()
        patience = 0.0 if self._late else self._patience_s if self._answered else FIRST_PATIENCE_S
        line = self._line(patience)
        if line is not None:
            return self._take(line)
        return self._broke_down() if self._ended() else self._silent()

    def _start(self) -> None:
        self._heard, self._asked_at, self._late = b"", None, False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "backends.telemetry.reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl+C is meant for whoever asks
        )

    def _send(self) -> bool:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
        except BrokenPipeError:
            return False
        self._asked_at = self._clock()
        return True

    def _line(self, patience: float) -> bytes | None:
        """The answer, as far as it comes in time. Waited for by the real clock, whatever ``clock`` says."""
        assert self._process is not None and self._process.stdout is not None
        descriptor, until = self._process.stdout.fileno(), time.monotonic() + patience
        while b"\n" not in self._heard:
            if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            more = os.read(descriptor, _CHUNK)
            if not more:
                return None
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _take(self, line: bytes) -> Reading:
        self._asked_at, self._late, self._answered = None, False, True
        document = json.loads(line)
        gpus, xids = gpus_from(document["gpus"]), xids_from(document["xids"])
        self._last = Reading(gpus, document["reason"], document["driver"], xids)
        return self._last

    def _silent(self) -> Reading:
        self._late = True
        assert self._asked_at is not None
        waited = self._clock() - self._asked_at
        why = "the driver does not answer"
        return self._without(why, f"the NVIDIA driver has not answered for {max(1, round(waited))} s", waited)

    def _ended(self) -> bool:
        """Whether the reader has closed its output; a moment is given for its exit status to be there."""
        assert self._process is not None
        if self._process.poll() is None and not self._at_end():
            return False
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        return True

    def _at_end(self) -> bool:
        assert self._process is not None and self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], 0)[0]:
            return False
        more = os.read(descriptor, _CHUNK)
        self._heard += more
        return not more

    def _broke_down(self) -> Reading:
        """The reader is gone: after a mismatch it went by itself, and what it said still holds."""
        assert self._process is not None
        self._ended()
        status = self._process.returncode
        self._again_at = self._clock() + AGAIN_S
        self.close()
        self._asked_at, self._answered = None, False
        if status == 0:
            self._died = ""
            return self._gone("")
        self._died = (
            f"NVIDIA's library crashed (signal {-status})" if status and status < 0 else "its reader broke down"
        )
        return self._gone(self._died)

    def _gone(self, why: str) -> Reading:
        if not why:
            return replace(self._last, xids=())
        text = f"{why}; it is tried again every {AGAIN_S:.0f} s"
        return self._without(why, f"the NVIDIA driver cannot be asked: {text}", 0.0)

    def _without(self, why: str, reason: str, silent_s: float) -> Reading:
        """Which cards there were; nothing of what they said last is shown as if it were so now."""
        known: Sequence[Gpu] = self._last.gpus
        gpus = tuple(
            Gpu(gpu.index, gpu.name, gpu.uuid, None, None, None, None, None, None, reason=f"GPU {gpu.index}: {why}")
            for gpu in known
        )
        return Reading(gpus, reason, self._last.driver, (), silent_s)


def library_found() -> bool:
    """Whether the driver's library is there; this only loads it, and asks it nothing."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True
