"""What of a sample raises an alert, what the user may change of that, and files with mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends.telemetry.rules import Known, alerts_of, step
from backends.telemetry.sample import Gpu, Host, Telemetry, Xid
from backends.telemetry.symptoms import GIB, LIMITS, XID_S, lasting, read_wishes, symptoms

CARD = Gpu(0, "Card", "u", 0.9, 10 * GIB, 32 * GIB, 400.0, 575.0, 60.0)
HOST = Host(0.5, 8, GIB, 16 * GIB, 100 * GIB)
WELL = Telemetry(1000.0, (CARD,), None, HOST)


def kinds(*samples: Telemetry) -> list[str]:
    """The kinds of what is up after samples, a minute apart."""
    known: dict[str, Known] = {}
    for at, sample in enumerate(samples):
        known = step(known, lasting(symptoms(sample), known), LIMITS, 1000.0 + 60 * at).known
    return sorted(alert.kind for alert in alerts_of(known))


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (replace(WELL, gpus=(replace(CARD, temperature_c=86.0),)), "temperature"),
        (replace(WELL, gpus=(replace(CARD, throttle=("hardware thermal limit",)),)), "throttle"),
        (replace(WELL, gpus=(replace(CARD, memory_used=int(31.5 * GIB)),)), "vram"),
        (replace(WELL, gpus=(replace(CARD, reason="GPU 0: lost"),)), "card"),
        (replace(WELL, gpus=(), reason="it hangs", silent_s=9.0), "card"),
        (replace(WELL, host=replace(HOST, disk_free=4 * GIB)), "disk"),
    ],
)
def test_each_of_these_is_told(sample: Telemetry, kind: str) -> None:
    assert kinds(sample, sample) == [kind]
    assert kinds(sample, sample, WELL, WELL) == []


def test_a_power_cap_is_no_trouble_and_neither_is_what_is_not_told() -> None:
    capped = replace(CARD, throttle=("power cap",))
    silent = Gpu(0, "Card", "u", None, None, None, None, None, None, missing={"throttle": "this card does not tell"})
    for gpu in (capped, silent):
        assert kinds(*[replace(WELL, gpus=(gpu,))] * 3) == []
    assert kinds(replace(WELL, gpus=(), reason="no NVIDIA driver")) == []


def test_an_xid_is_told_at_once_and_is_over_after_its_time() -> None:
    failed = replace(WELL, xids=(Xid(1000.0, 0, 79, "the card fell off the bus"),))
    quiet = [WELL] * int(XID_S // 60)
    assert kinds(failed) == ["xid"]
    assert kinds(failed, *quiet) == ["xid"]
    assert kinds(failed, *quiet, WELL, WELL) == []


def test_what_the_user_wants_instead(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert read_wishes(config).limits == LIMITS
    config.write_text(
        'on_alert = "notify"\non_finish = "mail"\n[alerts]\nbell = false\ntemperature = 70\nvram = 0.5\ndisk_gib = 10\n'
        'idle_minutes = 3\nstalled_minutes = 2\nthrottle_seconds = 5\noff = ["nan"]\n'
    )
    wishes = read_wishes(config)
    assert (wishes.on_alert, wishes.on_finish, wishes.bell, wishes.problems) == ("notify", "mail", False, ())
    limits = wishes.limits
    assert (limits["temperature"].raise_at, limits["temperature"].clear_at) == (70, 65)
    assert (limits["vram"].raise_at, limits["disk"].raise_at) == (0.5, 10 * GIB)
    assert (limits["idle"].raise_s, limits["stalled"].raise_at, limits["throttle"].raise_s) == (180, 120, 5)
    assert "nan" not in limits


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("alerts = 3", "[alerts]"),
        ("[alerts]\ntemprature = 80", "temprature"),
        ("[alerts]\ntemperature = 'hot'", "temperature"),
        ("[alerts]\nvram = 97", "0.97"),
        ("[alerts]\nidle_minutes = -1", "idle_minutes"),
        ("[alerts]\noff = ['everything']", "off"),
        ("[alerts]\nbell = 'loud'", "bell"),
        ("on_alert = ['a', 'b']", "on_alert"),
        ("[alerts\n", "cannot be read"),
    ],
)
def test_a_mistake_is_told_and_the_rest_holds(tmp_path: Path, text: str, word: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    wishes = read_wishes(config)
    assert any(word in problem for problem in wishes.problems)
    assert wishes.limits == LIMITS
