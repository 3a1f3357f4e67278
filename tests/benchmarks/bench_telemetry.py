"""A sampling pass against the raw NVML calls that it makes, on a stand-in library; and what keeping a sample costs."""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import standin

from backends.telemetry.codec import to_compact
from backends.telemetry.driver import Driver
from backends.telemetry.nvml import Nvml
from backends.telemetry.sampler import Sampler
from db.connect import connect, immediate
from db.home import Home
from db.migrate import migrate
from db.runs.telemetry import add_sample, history

ROUNDS, PASSES = 100, 50
GIB = 1 << 30
READINGS = f"""9 count 1
9 driver 580.10
0 name Stub 5090
0 uuid GPU-a
0 total {32 * GIB}
0 used {21 * GIB}
0 utilisation 97
0 power_mw 412500
0 limit_mw 575000
0 temperature 63
0 clock 2407
0 fan 40
0 events 4
0 pcie_generation 5
0 pcie_width 16
0 pcie_rx_kb 100
0 pcie_tx_kb 100
0 compute {os.getpid()} 1000
"""


def raw(library: Any, handle: Any, place: int) -> None:
    """What a pass asks and reads: the slow questions at every fifth."""
    if place % 5 == 0:
        with suppress(library.NVMLError):
            library.nvmlDeviceGetMigMode(handle)
        library.nvmlDeviceGetEnforcedPowerLimit(handle)
        library.nvmlDeviceGetFanSpeed(handle)
        library.nvmlDeviceGetCurrPcieLinkGeneration(handle)
        library.nvmlDeviceGetCurrPcieLinkWidth(handle)
        library.nvmlDeviceGetPcieThroughput(handle, library.NVML_PCIE_UTIL_RX_BYTES)
        library.nvmlDeviceGetPcieThroughput(handle, library.NVML_PCIE_UTIL_TX_BYTES)
        for process in library.nvmlDeviceGetComputeRunningProcesses_v3(handle):
            _ = process.pid, process.usedGpuMemory
        library.nvmlDeviceGetGraphicsRunningProcesses_v3(handle)
    library.nvmlDeviceGetCount()
    _ = library.nvmlDeviceGetUtilizationRates(handle).gpu
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    _ = memory.total, memory.used
    library.nvmlDeviceGetCurrentClocksEventReasons(handle)
    library.nvmlDeviceGetPowerUsage(handle)
    library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU)
    library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_GRAPHICS)
    library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM)


def microseconds(do: Callable[[int], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begun = clock()
    for place in range(PASSES):
        do(place)
    return 1e6 * (clock() - begun) / PASSES


def passes() -> None:
    """Ours and the raw ones by turns, so that both see the machine alike."""
    import pynvml

    now, cpu = [0.0], time.process_time
    nvml = Nvml(clock=lambda: now[0])
    nvml.read()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)

    def ours(place: int) -> None:
        now[0] += 1.0
        nvml.read()

    pairs = [
        (microseconds(ours, cpu), microseconds(lambda place: raw(pynvml, handle, place), cpu)) for _ in range(ROUNDS)
    ]
    value, ratio = statistics.median(own for own, _ in pairs), statistics.median(own / bare for own, bare in pairs)
    figure("one sampling pass of a card", value, "us", "a raw NVML loop of the same calls", ratio)


def samples(home: Home) -> None:
    driver = Driver()
    driver.read()
    figure("a reading from the process that asks the driver", microseconds(lambda _: driver.read()), "us")
    driver.close()
    with Sampler(home) as sampler, closing(connect(home.runs_db)) as conn:
        sample = sampler.sample()
        document = to_compact(sample)

        def keep(place: int) -> None:
            with immediate(conn):
                add_sample(conn, document | {"time": 1e9 + place})

        figure("keeping a sample", microseconds(keep), "us")
        figure("a sample as it is kept", len(json.dumps(document, separators=(",", ":"))), "B")
        with immediate(conn):
            conn.execute(
                "WITH RECURSIVE m(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM m WHERE n < 44640) INSERT OR REPLACE INTO "
                "sample_minutes SELECT 20000000 + n, g, 60, 60, 30.0, 1, 2, 60, 6000.0, 60 FROM m, "
                "(SELECT -1 AS g UNION SELECT 0)"
            )
        begun = time.perf_counter()
        history(conn, 20000000 * 60, (20000000 + 44640) * 60, 240)
        figure("the history of a month", 1000 * (time.perf_counter() - begun), "ms")


def figure(name: str, value: float, unit: str, against: str | None = None, ratio: float | None = None) -> None:
    told = None if ratio is None else round(ratio, 2)
    print(json.dumps({"figure": name, "value": round(value, 2), "unit": unit, "against": against, "ratio": told}))


def main() -> None:
    if "FADA_NVML_STUB" not in os.environ:
        with tempfile.TemporaryDirectory() as name:
            found = standin.build(Path(name), "-DQUICK")
            if found is None:
                print(json.dumps({"figure": "one sampling pass of a card", "value": None, "unit": "no gcc here"}))
                return
            (Path(name) / "readings").write_text(READINGS)
            subprocess.run([sys.executable, __file__], env=os.environ | found, check=True)
        return
    ctypes.CDLL("libnvidia-ml.so.1")
    passes()
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home").ensure()
        migrate(home)
        samples(home)


if __name__ == "__main__":
    main()
