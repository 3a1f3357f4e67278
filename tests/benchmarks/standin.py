"""A stand-in NVML library with one card, for benchmarks: its readings are lines of a file, read anew at each call."""

from __future__ import annotations

import subprocess
from pathlib import Path

GIB = 1 << 30
STUB = Path(__file__).parents[1] / "backends/telemetry/nvml_stub.c"


def build(folder: Path, *flags: str) -> dict[str, str] | None:
    """The environment in which programs find it; None where there is no gcc."""
    library = folder / "libnvidia-ml.so.1"
    words = ["gcc", "-shared", "-fPIC", "-O2", "-w", "-Wl,-soname,libnvidia-ml.so.1", *flags]
    try:
        subprocess.run([*words, "-o", str(library), str(STUB)], check=True)
    except FileNotFoundError:
        return None
    return {"LD_LIBRARY_PATH": str(folder), "FADA_NVML_STUB": str(folder / "readings")}


def card(folder: Path, utilisation: int, used: float, watts: float, degrees: int) -> None:
    """What the card tells from now on; ``used`` in GiB."""
    fresh = folder / "readings.new"
    fresh.write_text(
        f"9 count 1\n9 driver 580.10\n0 name NVIDIA GeForce RTX 5090\n0 uuid GPU-a\n0 total {32 * GIB}\n"
        f"0 used {int(used * GIB)}\n0 utilisation {utilisation}\n0 power_mw {int(watts * 1000)}\n0 limit_mw 575000\n"
        f"0 temperature {degrees}\n0 clock 2407\n0 fan 40\n0 events 0\n"
    )
    fresh.replace(folder / "readings")
