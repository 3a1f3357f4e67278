"""What the sampler says of two cards, of fields a card lacks, of a lost card and of no driver at all."""

from __future__ import annotations

import ctypes
import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.telemetry.codec import from_dict, to_dict
from backends.telemetry.explain import explain
from backends.telemetry.sampler import Sampler
from db.home import Home

Drive = Callable[[str], list[Any]]
GIB = 1024**3
TWO_CARDS = f"""
9 count 2
9 driver 999.10
0 name Stub 5090
0 uuid GPU-aaaa
0 total {32 * GIB}
0 used {21 * GIB}
0 utilisation 97
0 power_mw 412500
0 limit_mw 575000
0 temperature 63
0 clock 2407
0 fan 40
0 events 69
1 name Stub laptop card
1 uuid GPU-bbbb
1 total {24 * GIB}
1 used {GIB}
1 temperature 51
"""


def _driver_here() -> bool:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def test_two_cards_give_every_field_and_none_for_the_unsupported(with_cards: Drive) -> None:
    (document,) = with_cards(f"readings({TWO_CARDS!r}); show(sampler.sample())")
    first, second = document["gpus"]
    assert document["reason"] is None
    assert document["driver"] == "999.10"
    assert (first["index"], first["name"], first["uuid"]) == (0, "Stub 5090", "GPU-aaaa")
    assert (first["utilisation"], first["memory_used"], first["memory_total"]) == (0.97, 21 * GIB, 32 * GIB)
    assert (first["power_w"], first["power_limit_w"], first["temperature_c"]) == (412.5, 575.0, 63.0)
    assert (first["clock_mhz"], first["fan"]) == (2407.0, 0.4)
    assert first["throttle"] == ["power cap", "hardware thermal limit"]
    missing = ("utilisation", "power_w", "power_limit_w", "fan", "clock_mhz", "reason")
    assert [second[field] for field in missing] == [None] * len(missing)
    assert (second["temperature_c"], second["memory_total"], second["processes"]) == (51.0, 24 * GIB, [])


def test_processes_have_owner_and_run_and_are_counted_once(with_cards: Drive) -> None:
    script = f"""
import subprocess
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
me = os.getpid()
readings({TWO_CARDS!r} + f"0 compute {{child.pid}} 1000\\n0 compute 4000000 500\\n"
         f"0 graphics {{child.pid}} 1000\\n0 graphics {{me}}\\n0 compute 3999999 {64 * GIB}\\n")
show([me, child.pid]); show(sampler.sample({{12: child.pid}})); child.communicate(b"\\n")
"""
    (me, child), document = with_cards(script)
    processes = {process.pop("pid"): process for process in document["gpus"][0]["processes"]}
    user = getpass.getuser()
    assert processes == {
        child: {"memory": 1000, "user": user, "run": 12},
        me: {"memory": None, "user": user, "run": None},
        4000000: {"memory": 500, "user": None, "run": None},
        3999999: {"memory": None, "user": None, "run": None},
    }


def test_slow_fields_wait_and_fast_ones_do_not(with_cards: Drive) -> None:
    script = f"""
readings({TWO_CARDS!r}); sampler.sample()
later = {TWO_CARDS!r}.replace("limit_mw 575000", "limit_mw 400000").replace("temperature 63", "temperature 70")
readings(later + "0 compute 4000000 500\\n")
tick(1); show(sampler.sample()); tick(4); show(sampler.sample())
"""
    soon, after = (document["gpus"][0] for document in with_cards(script))
    assert (soon["temperature_c"], soon["power_limit_w"], len(soon["processes"])) == (70.0, 575.0, 0)
    assert (after["temperature_c"], after["power_limit_w"], len(after["processes"])) == (70.0, 400.0, 1)


def test_a_lost_card_is_named_and_the_other_goes_on_and_it_may_come_back(with_cards: Drive) -> None:
    script = f"""
readings({TWO_CARDS!r}); sampler.sample()
readings({TWO_CARDS!r} + "0 lost 1\\n"); tick(1); show(sampler.sample())
readings({TWO_CARDS!r} + "0 lost 1\\n1 lost 1\\n"); tick(1); show(sampler.sample())
readings({TWO_CARDS!r}); tick(1); show(sampler.sample()); tick(5); show(sampler.sample())
"""
    lost, both, waiting, back = with_cards(script)
    assert "GPU 0: lost" in lost["gpus"][0]["reason"]
    assert lost["gpus"][0]["name"] == "Stub 5090"
    assert lost["gpus"][0]["memory_used"] is None
    assert lost["gpus"][0]["memory_total"] is None
    assert lost["reason"] is None
    assert lost["gpus"][1]["temperature_c"] == 51.0
    assert "GPU 0: lost" in both["reason"]
    assert "GPU 1: lost" in both["reason"]
    assert waiting["gpus"][0]["reason"] is not None
    assert (back["reason"], back["gpus"][0]["reason"], back["gpus"][0]["temperature_c"]) == (None, None, 63.0)


@pytest.mark.parametrize(("code", "word"), [(18, "reboot"), (9, "modprobe"), (4, "permissions")])
def test_a_driver_that_refuses_is_explained_and_asked_again(with_cards: Drive, code: int, word: str) -> None:
    script = f"""
readings("9 init {code}\\n"); show(sampler.sample())
readings({TWO_CARDS!r}); show(sampler.sample())
"""
    refused, found = with_cards(script)
    assert refused["gpus"] == []
    assert word in refused["reason"]
    assert refused["reason"] == explain(code, "")
    assert len(found["gpus"]) == 2


def test_a_driver_without_cards_says_so(with_cards: Drive) -> None:
    (document,) = with_cards('readings("9 count 0\\n"); show(sampler.sample())')
    assert document["gpus"] == []
    assert "no card" in document["reason"]


def test_without_a_driver_the_host_is_still_shown(as_it_is: Drive) -> None:
    if _driver_here():
        pytest.skip("this machine has an NVIDIA driver: its absence cannot be seen here")
    (document,) = as_it_is("show(sampler.sample())")
    assert document["gpus"] == []
    assert "no NVIDIA driver" in document["reason"]
    assert 0 < document["host"]["memory_used"] < document["host"]["memory_total"]
    assert document["host"]["disk_free"] > 0


def test_a_sample_survives_json(with_cards: Drive) -> None:
    (document,) = with_cards(f"readings({TWO_CARDS!r} + '0 compute 4000000 500\\n'); show(sampler.sample({{3: 1}}))")
    sample = from_dict(document)
    assert sample.gpus[0].throttle == ("power cap", "hardware thermal limit")
    assert to_dict(sample) == document


def test_a_sample_from_an_older_version_reads_with_defaults(tmp_path: Path) -> None:
    document = json.loads(json.dumps(to_dict(Sampler(Home(tmp_path)).sample())))
    del document["driver"]
    document["gpus"] = [
        {"index": 0, "name": "x", "uuid": "u", "utilisation": None, "memory_used": 1, "memory_total": 2}
        | {"power_w": None, "power_limit_w": None, "temperature_c": None, "processes": [], "unknown": 1}
    ]
    gpu = from_dict(document).gpus[0]
    assert (gpu.fan, gpu.throttle, gpu.reason) == (None, (), None)
