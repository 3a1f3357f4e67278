"""The queue beside a card (a stand-in for NVML): what a job was seen to hold decides what starts next, and later."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.jobs.admission import GIB
from backends.jobs.peaks import total_energy, vram_peak
from backends.jobs.store import read_attempt
from db.atomic import replace_file
from db.home import Home
from db.runs.rows import Run
from fada_tui import cli

STUB = Path(__file__).parents[1] / "telemetry" / "nvml_stub.c"
Queue = Callable[..., int]
Until = Callable[..., Run]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``card((pid, bytes), …)``: a card of 32 GiB as the dispatcher sees it, with these processes on it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: the stand-in NVML library cannot be built")
    library = tmp_path / "nvml" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    flags = ["-shared", "-fPIC", "-O1", "-w", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(STUB)], check=True)
    readings = tmp_path / "readings.txt"
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    monkeypatch.setenv("FADA_NVML_STUB", str(readings))

    def show(*held: tuple[int, int]) -> None:
        used = sum(size for _, size in held)
        lines = [
            "9 count 1",
            "9 driver 580.1",
            "0 name Card",
            "0 uuid GPU-1",
            f"0 total {32 * GIB}",
            f"0 used {used}",
            "0 power_mw 360000",
        ]
        lines += [f"0 compute {pid} {size}" for pid, size in held]
        replace_file(readings, "".join(f"{line}\n" for line in lines).encode())

    show()
    return show


def test_what_a_job_holds_is_seen_kept_and_counted(
    home: Home,
    card: Callable[..., None],
    queue_python: Queue,
    until: Until,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    end = tmp_path / "end"
    wait = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)"
    reserve = {"bytes": 4 * GIB, "exclusive": False, "memory": "VRAM"}
    first = queue_python(wait, reserve=reserve)
    until(first, lambda run: run.state == "running")
    attempt = read_attempt(home.run_dir(first), 1)
    assert attempt is not None and attempt.worker is not None
    card((attempt.worker.pid, 20 * GIB))
    until(first, lambda run: vram_peak(home.run_dir(first), 1) == 20 * GIB)
    card((attempt.worker.pid, 2 * GIB))  # it holds less by now, and may take it all again
    second = queue_python("pass", reserve={**reserve, "bytes": 15 * GIB})
    waits = until(second, lambda run: run.reason is not None)
    assert (waits.state, waits.reason) == ("queued", "needs 15.0 GiB of VRAM, 11.5 GiB free")
    end.touch()
    run = until(first)
    assert (run.state, run.peak_bytes) == ("done", 20 * GIB)
    until(first, lambda run: total_energy(home.run_dir(run.id), 1) is not None)
    energy = total_energy(home.run_dir(first), 1)
    assert energy is not None and energy.joules > 0 and not energy.whole
    assert cli.run(["--home", str(home.root), "--json", "job", str(first)]) == 0
    assert json.loads(capsys.readouterr().out)["energy"] == {"joules": energy.joules, "whole_card": False}
    assert until(second).state == "done"
