"""Joules of a job from power readings: shared among the card's processes, or said to be the card's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backends.jobs import store
from backends.jobs.energy import Draw, EnergyMeter, draws
from backends.jobs.files import read_json
from backends.jobs.peaks import Energy, add_energy, energy_of, note_vram, total_energy, vram_peak
from backends.telemetry.sample import Gpu, GpuProcess, Host, Telemetry
from db.home import Home

Held = tuple[int | None, int | None]
"""Run and bytes of one process."""


def card(watts: float | None, *held: Held, index: int = 0) -> Gpu:
    processes = tuple(GpuProcess(100 + at, size, "me", run) for at, (run, size) in enumerate(held))
    return Gpu(index, "Card", f"GPU-{index}", 0.9, 0, 32, watts, None, None, processes)


def sample(*cards: Gpu) -> Telemetry:
    return Telemetry(0.0, cards, None, Host(None, 1, 0, 1, 1))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([card(400.0, (7, 10))], {7: Draw(400.0, False)}),
        ([card(400.0, (7, None))], {7: Draw(400.0, False)}),
        ([card(400.0, (7, 10), (7, 20), (8, 30), (None, 40))], {7: Draw(120.0, False), 8: Draw(120.0, False)}),
        ([card(400.0, (7, 10), (None, None))], {7: Draw(400.0, True)}),
        ([card(400.0, (7, 10)), card(100.0, (7, 5), (None, None), index=1)], {7: Draw(500.0, True)}),
        ([card(None, (7, 10))], {}),
        ([card(400.0, (None, 10))], {}),
        ([], {}),
    ],
)
def test_a_cards_power_is_shared_by_memory(cards: Sequence[Gpu], expected: dict[int, Draw]) -> None:
    assert draws(sample(*cards)) == expected


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def run_dir(home: Home) -> int:
    run_id = store.allocate(home)
    store.create(home, run_id, {"kind": "run"})
    return run_id


def test_readings_are_integrated_and_written_now_and_then_and_at_the_end(home: Home) -> None:
    clock, run = Clock(), run_dir(home)
    folder, meter = home.run_dir(run), EnergyMeter(home, clock)
    for seconds, watts in ((0.0, 100.0), (2.0, 300.0), (6.0, 300.0)):
        clock.now = 50 + seconds
        meter.add(sample(card(watts, (run, 10))), {run: 1})
    assert energy_of(folder, 1) is None  # not each second
    clock.now = 61.0
    meter.add(sample(card(300.0, (run, 10))), {run: 1})
    assert energy_of(folder, 1) == Energy(2 * 200.0 + 9 * 300.0, False)
    clock.now = 63.0
    meter.add(sample(card(300.0, (run, 10))), {run: 1})
    meter.add(sample(card(20.0)), {})  # it is over
    assert energy_of(folder, 1) == Energy(3700.0, False)


def test_what_was_not_watched_is_not_made_up(home: Home) -> None:
    clock, run = Clock(), run_dir(home)
    meter = EnergyMeter(home, clock)
    meter.add(sample(card(300.0, (run, 10))), {run: 1})
    clock.now += 3600.0
    meter.add(sample(card(300.0, (run, 10))), {run: 1})
    meter.write()
    assert energy_of(home.run_dir(run), 1) is None


def test_peak_and_energy_share_a_file_and_attempts_add_up(home: Home) -> None:
    run = run_dir(home)
    folder = home.run_dir(run)
    assert total_energy(folder, 3) is None
    note_vram(folder, 1, 1000)
    add_energy(folder, 1, Energy(10.0, False))
    note_vram(folder, 1, 2000)
    add_energy(folder, 1, Energy(5.0, False))
    add_energy(folder, 3, Energy(1.0, True))
    assert read_json(folder / "attempts" / "1.peak.json") == {
        "vram_bytes": 2000,
        "energy_j": 15.0,
        "energy_of_card": False,
    }
    assert (vram_peak(folder, 1), vram_peak(folder, 3)) == (2000, None)
    assert total_energy(folder, 3) == Energy(16.0, True)
    add_energy(home.run_dir(99), 1, Energy(1.0, False))  # a directory that was deleted
    assert not home.run_dir(99).exists()
