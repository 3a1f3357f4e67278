"""The process that asks the driver: what is said while it hangs, after it crashed, and when it is well again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.telemetry import explain

Drive = Callable[[str], list[Any]]
GIB = 1024**3
CARD = (
    f"9 count 1\n9 driver 580.10\n0 name Stub 5090\n0 uuid GPU-a\n0 total {32 * GIB}\n0 used {GIB}\n0 power_mw 9000\n"
)
READ = """
driver = Driver(clock=lambda: now[0], patience_s=0.4)
def say(reading):
    show({"gpus_": [[gpu.name, gpu.memory_used, gpu.reason] for gpu in reading.gpus], "reason": reading.reason,
          "silent": reading.silent_s, "xids": [[xid.gpu, xid.code, xid.text] for xid in reading.xids]})
def until(condition):
    while True:
        reading = driver.read()
        if condition(reading):
            return reading
        tick(1); time.sleep(0.05)
"""


def test_a_reading_comes_from_a_process_of_its_own_that_ends_with_its_input(with_cards: Drive) -> None:
    script = f"""
import psutil
readings({CARD!r}); say(driver.read())
(child,) = psutil.Process().children()
show(child.cmdline()[-1]); show("pynvml" in sys.modules)
driver.close()
show(psutil.pid_exists(child.pid) and child.status() != "zombie")
"""
    reading, command, imported, alive = with_cards(READ + script)
    assert reading == {"gpus_": [["Stub 5090", GIB, None]], "reason": None, "silent": None, "xids": []}
    assert command == "backends.telemetry.reader"
    assert not imported
    assert not alive


def test_a_call_that_hangs_is_told_of_and_heard_again_when_it_comes_back(with_cards: Drive) -> None:
    script = f"""
readings({CARD!r}); driver.read()
readings({CARD!r} + "9 hang 2\\n")
begun = time.monotonic(); say(driver.read()); first = time.monotonic() - begun
tick(7); begun = time.monotonic(); say(driver.read()); second = time.monotonic() - begun
readings({CARD!r}); say(until(lambda reading: reading.silent_s is None)); show(second < first)
"""
    hung, later, well, sooner = with_cards(READ + script)
    assert hung["gpus_"] == [["Stub 5090", None, "GPU 0: the driver does not answer"]]
    assert "has not answered" in hung["reason"]
    assert later["silent"] == 7.0
    assert later["reason"] == "the NVIDIA driver has not answered for 7 s"
    assert (well["reason"], well["gpus_"]) == (None, [["Stub 5090", GIB, None]])
    assert sooner  # a driver that is known to hang is not waited for again


def test_a_library_that_crashes_takes_nobody_along_and_is_tried_again(with_cards: Drive) -> None:
    script = f"""
readings({CARD!r}); driver.read()
readings({CARD!r} + "9 crash 1\\n"); say(driver.read()); say(driver.read())
readings({CARD!r}); tick(10); say(until(lambda reading: reading.silent_s is None))
"""
    crashed, waiting, well = with_cards(READ + script)
    assert "crashed (signal 11)" in crashed["reason"]
    assert crashed["gpus_"][0][1:] == [None, "GPU 0: NVIDIA's library crashed (signal 11)"]
    assert waiting["reason"] == crashed["reason"]
    assert well["reason"] is None


def test_after_a_mismatch_a_new_process_looks_for_a_library_that_fits(with_cards: Drive) -> None:
    script = f"""
import psutil
readings("9 init 18\\n"); say(driver.read()); say(driver.read()); show(len(psutil.Process().children()))
readings({CARD!r}); tick(10); say(until(lambda reading: reading.reason is None))
"""
    refused, still, children, well = with_cards(READ + script)
    assert "reboot, or reload its kernel module" in refused["reason"]
    assert still["reason"] == refused["reason"]
    assert children == 0
    assert well["gpus_"] == [["Stub 5090", GIB, None]]


def test_the_versions_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel, maps = tmp_path / "version", tmp_path / "maps"
    kernel.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.04  Release Build\n")
    maps.write_text("7f r-xp 0 08:01 1 /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.65.06\n")
    monkeypatch.setattr(explain, "_KERNEL", kernel)
    monkeypatch.setattr(explain, "_MAPS", maps)
    assert "library 580.65.06, kernel module 570.124.04" in explain.explain(18, "")
    kernel.unlink()
    assert "library" not in explain.explain(18, "")


def test_xid_errors_are_waited_for_and_told_once(with_cards: Drive) -> None:
    script = f"""
readings({CARD!r} + "0 xid 79\\n"); driver.read()
reading = until(lambda reading: reading.xids); say(reading)
readings({CARD!r}); time.sleep(0.5); driver.read(); say(driver.read())
"""
    told, after = with_cards(READ + script)
    index, code, text = told["xids"][0]
    assert (index, code) == (0, 79)
    assert "fell off the bus" in text
    assert after["xids"] == []


def test_a_card_that_reports_no_events_is_read_all_the_same(with_cards: Drive) -> None:
    (reading,) = with_cards(READ + f'readings({CARD!r} + "0 no_events 1\\n"); driver.read(); say(driver.read())')
    assert reading["gpus_"][0][1] == GIB


def test_the_reader_ends_at_the_end_of_its_input() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "backends.telemetry.reader"], input=b"", capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_without_a_library_no_process_is_started(as_it_is: Drive) -> None:
    script = """
import psutil
from backends.telemetry import driver as module
module._LIBRARY = "libnvidia-ml-that-is-not-there.so"
say(driver.read()); show(psutil.Process().children() == [])
"""
    reading, alone = as_it_is(READ + script)
    assert reading["gpus_"] == []
    assert "no NVIDIA driver" in reading["reason"]
    assert alone
