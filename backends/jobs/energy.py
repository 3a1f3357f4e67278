"""What a job's processes draw of the cards, integrated from the sampler's power readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends.jobs.peaks import Energy, add_energy
from backends.telemetry.sample import Gpu, Telemetry
from db.home import Home

WRITE_S = 10.0
"""What was measured since is lost where the dispatcher is killed."""
_GAP_S = 30.0
"""Between samples that lie further apart nothing is known."""


@dataclass(frozen=True)
class Draw:
    """Watts of a run at one moment; ``whole`` where the card's could not be shared among its processes."""

    watts: float
    whole: bool


def draws(sample: Telemetry) -> dict[int, Draw]:
    """Each run's part of the power of the cards that it is on, by the memory that it holds of what all processes hold.

    Where a process does not tell its memory, a run is given the whole card's power, and that is said.
    """
    found: dict[int, Draw] = {}
    for gpu in sample.gpus:
        for run, draw in _of_card(gpu).items():
            before = found.get(run, Draw(0.0, False))
            found[run] = Draw(before.watts + draw.watts, before.whole or draw.whole)
    return found


def _of_card(gpu: Gpu) -> dict[int, Draw]:
    runs = {process.run for process in gpu.processes if process.run is not None}
    if gpu.power_w is None or not runs:
        return {}
    held = [process.memory for process in gpu.processes]
    if len(gpu.processes) > 1 and not all(held):
        return {run: Draw(gpu.power_w, True) for run in runs}
    total = sum(memory or 0 for memory in held)
    ours = {run: sum(one.memory or 0 for one in gpu.processes if one.run == run) for run in runs}
    # The only process on a card draws all of it, whether it tells its memory or not.
    return {run: Draw(gpu.power_w * (size / total if total else 1.0), False) for run, size in ours.items()}


class EnergyMeter:
    """Sums up joules of live runs and adds them to their directories now and then.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._clock = clock
        self._last: dict[int, Draw] = {}
        self._at = self._written = clock()
        self._pending: dict[tuple[int, int], Energy] = {}

    def add(self, sample: Telemetry, attempts: Mapping[int, int]) -> None:
        """One sample, and the attempt of each live run: the mean of two readings for the time between them."""
        now, fresh = self._clock(), draws(sample)
        passed = now - self._at
        for run, attempt in attempts.items():
            seen = [draw for draw in (self._last.get(run), fresh.get(run)) if draw is not None]
            if seen and 0 < passed <= _GAP_S:
                joules = passed * sum(draw.watts for draw in seen) / len(seen)
                known = self._pending.get((run, attempt), Energy(0.0, False))
                whole = known.whole or any(draw.whole for draw in seen)
                self._pending[run, attempt] = Energy(known.joules + joules, whole)
        self._last, self._at = fresh, now
        over = any(attempts.get(run) != attempt for run, attempt in self._pending)
        if over or now - self._written >= WRITE_S:
            self.write()

    def write(self) -> None:
        """Add what was measured to the runs' directories."""
        for (run, attempt), energy in self._pending.items():
            add_energy(self._home.run_dir(run), attempt, energy)
        self._pending.clear()
        self._written = self._clock()
