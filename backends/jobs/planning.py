"""What of the queue is started now, on this machine, and why the rest waits."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.jobs.admission import MARGIN, Capacity, Claim, admit
from backends.jobs.alarms import Alarms
from backends.jobs.engines.base import Order
from backends.jobs.engines.local import Local
from backends.jobs.engines.machine import capacity_of
from backends.jobs.ingest import ingest
from backends.jobs.reconcile import FULL, set_reason, unusable, waited_for
from backends.jobs.starts import Starts
from backends.telemetry.sample import Telemetry
from db.home import Home
from db.runs.queries import active_runs
from db.runs.rows import Run
from db.runs.waiting import ready_here, ready_later, reasons_of_dependants, say_of_later

SAY_S = 5.0
PLAN_S = 3.0
"""A queue that nothing has changed is planned anew so often: it may have been put in another order."""
_NOTICED = 64 << 20
"""Bytes that must have come free to plan anew before that."""
HEAD = 200
"""So many of those that could start are planned for, in the queue's order."""
AMONG_LATER = 20


@dataclass(frozen=True)
class Plan:
    """What the queue was last planned for."""

    of: tuple[Any, ...]
    external: int
    at: float


class Planner:
    """What it remembers spares work and words; a new one misses nothing of it."""

    def __init__(self, home: Home, conn: sqlite3.Connection, alarms: Alarms) -> None:
        self._conn = conn
        self._home = home
        self._alarms = alarms
        self._here = Local(home)
        self._starts = Starts()
        self._held: Mapping[int, int] = {}
        self._plan: Plan | None = None
        self._said_at = float("-inf")

    def start_what_fits(self, sample: Telemetry, held: Mapping[int, int]) -> None:
        """Start what may go now, and say of the rest why it waits.

        Args:
            sample: The machine as it is now.
            held: Bytes of card memory that each live run was seen to take.
        """
        self._held = held
        capacity, away = capacity_of(sample), card_away(sample)
        active = [run for run in active_runs(self._conn) if run.engine is None]
        if not self._may_differ(active, capacity, away):
            return
        self._say_after()
        head = ready_here(self._conn, HEAD)
        if len(head) == HEAD:
            head += self._from_later(head[-1], active, capacity)
        ready = [run for run in head if not self._waits(run)]
        if away is not None:
            ready = self._without_card(ready, away)
        alone = self._alone()
        claims = [[self._claim(run, capacity, run.id in alone) for run in runs] for runs in (ready, active)]
        verdicts = admit(claims[0], claims[1], capacity)
        runs = {run.id: run for run in ready}
        for verdict in verdicts:
            if verdict.reason is None and self._start(runs[verdict.run]):
                self._starts.note(verdict.run, runs[verdict.run].attempt)
                self._alarms.started(verdict.run, runs[verdict.run].attempt)
                ingest(self._conn, self._home, verdict.run)
                self._plan = None
            elif verdict.reason is not None:
                self._say(runs[verdict.run], verdict.reason)

    def _may_differ(self, active: Sequence[Run], capacity: Capacity, away: str | None) -> bool:
        """Whether the queue or what runs has changed since the last plan, or memory came free; and now and then."""
        queued = tuple(self._conn.execute("SELECT count(*), total(id) FROM runs WHERE state = 'queued'").fetchone())
        held = tuple((run.id, run.attempt, run.state, run.peak_bytes, self._held.get(run.id)) for run in active)
        now = (queued, held, away)
        last = self._plan
        if (
            last is not None
            and last.of == now
            and capacity.external + _NOTICED >= last.external
            and time.monotonic() - last.at < PLAN_S
        ):
            return False
        self._plan = Plan(now, capacity.external, time.monotonic())
        return True

    def _from_later(self, last: Run, active: Sequence[Run], capacity: Capacity) -> list[Run]:
        """Of a long queue the head is planned for, and of the others what fits into what is free, or only downloads."""
        if time.monotonic() - self._said_at >= SAY_S:
            self._said_at = time.monotonic()
            say_of_later(self._conn, last, f"behind {HEAD} others")
        taken = [run for run in active if run.task != "download"]
        held = sum(max(run.reserved_bytes or 0, self._held.get(run.id, 0)) for run in taken)
        free = capacity.total - capacity.external - held - MARGIN
        return ready_later(self._conn, last, free if len(taken) < capacity.slots else -1, AMONG_LATER)

    def _waits(self, run: Run) -> bool:
        """One whose runner ends before it begins, for a while."""
        reason = self._starts.waits(run.id, run.attempt)
        if reason is not None:
            self._say(run, reason)
        return reason is not None

    def _say_after(self) -> None:
        """Of those that wait for other runs, for which."""
        waits = waited_for(self._conn)
        if not waits:
            return
        for run, said in reasons_of_dependants(self._conn).items():
            if run in waits:
                reason = "after " + ", ".join(f"#{parent}" for parent in waits[run])
                if reason != said:
                    set_reason(self._conn, run, reason)

    def _say(self, run: Run, reason: str | None) -> None:
        """Why it waits; a transaction only where that has changed."""
        if run.reason != reason:
            set_reason(self._conn, run.id, reason)

    def _start(self, run: Run) -> bool:
        """False where it cannot be started now; what is wrong with one run's directory holds up no other run."""
        try:
            return self._here.submit([Order(run.id, run.attempt, {}, run.reserved_bytes or 0)], "")[0] is not None
        except OSError as error:
            if error.errno in FULL:
                raise
            set_reason(self._conn, run.id, unusable(error))
            return False

    def _without_card(self, ready: list[Run], why: str) -> list[Run]:
        """Those that may start: where the card is lost or its driver hangs, what wants its memory waits."""
        left = []
        for run in ready:
            row = self._conn.execute(
                "SELECT json_extract(spec, '$.reserve.memory') FROM runs WHERE id = ?", (run.id,)
            ).fetchone()
            if run.reserved_bytes and row[0] == "VRAM":
                self._say(run, f"waits for the card: {why}")
            else:
                left.append(run)
        return left

    def _alone(self) -> set[int]:
        """Runs that need the machine alone."""
        rows = self._conn.execute(
            "SELECT id FROM runs WHERE exclusive = 1 AND state IN ('queued', 'starting', 'running', 'paused')"
        )
        return {row[0] for row in rows}

    def _claim(self, run: Run, capacity: Capacity, alone: bool) -> Claim:
        seen = max(run.peak_bytes or 0, self._held.get(run.id, 0))
        # What ran here once can run here again, whatever the sum of its processes' pages came to.
        most = max(run.reserved_bytes or 0, min(seen, capacity.total - MARGIN))
        return Claim(run.id, most, alone, aside=run.task == "download")


def card_away(sample: Telemetry) -> str | None:
    """Why no card can be used now although there is one; None where one answers, or there is none at all."""
    if sample.silent_s is not None or (sample.gpus and all(gpu.reason for gpu in sample.gpus)):
        return sample.reason or "it does not answer"
    return None
