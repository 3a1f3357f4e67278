"""Presets: the shipped ones are sound, one's own go before them, and a file with a mistake names line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.jobs.errors import QueueError
from backends.jobs.presets import FILE, find_preset, read_presets, save_preset
from backends.jobs.settings import TRAINING
from db.home import Home

COMMENTED = """# about all of them

["a"]  # the first
lora.r = 8   # small
learning_rate = 1e-4

# about the second
["b c"]
epochs = 2.0
[d.lora]
r = 4
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


def test_those_that_came_with_the_program(home: Home) -> None:
    found = read_presets(home)
    assert list(found) == ["quick try", "LoRA 16-bit", "QLoRA 4-bit", "full small"]
    assert not any(one.own for one in found.values())
    assert all(name in TRAINING for one in found.values() for name in one.settings)
    assert (found["QLoRA 4-bit"].precision, found["QLoRA 4-bit"].settings["lora.r"]) == ("4bit", 16)
    assert find_preset(home, "lora 16-BIT").name == "LoRA 16-bit"
    with pytest.raises(QueueError, match="no preset 'fast'") as raised:
        find_preset(home, "fast")
    assert "quick try" in str(raised.value.hint)


def test_ones_own_go_before(home: Home) -> None:
    (home.root / FILE).write_text(
        '["quick try"]\nmax_steps = 5\n["night"]\nlora.targets = "both"\nprecision = "bf16"\n'
    )
    found = read_presets(home)
    assert found["quick try"].own and found["quick try"].settings == {"max_steps": 5}
    assert (found["night"].settings, found["night"].precision) == ({"lora.targets": "both"}, "bf16")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('["a"]\nlearning_rate = "fast"\n', 2, "learning_rate"),
        ('["a"]\nepochs = 1\n\n["b"]\nlora.rank = 3\n', 5, "lora.rank"),
        ('["a"]\n[a.lora]\nr = 0\n', 3, "lora.r"),
        ('["a"]\nprecision = "3bit"\n', 2, "3bit"),
        ('["a"]\nmethod = "peft\n', 2, "TOML"),
        ('["a"]\n["a"]\n', 2, "TOML"),
        ("epochs = 3\n", 1, "stands in no preset"),
    ],
)
def test_a_mistake_names_line_and_key(home: Home, text: str, line: int, words: str) -> None:
    (home.root / FILE).write_text(text)
    with pytest.raises(QueueError, match=words) as raised:
        read_presets(home)
    assert raised.value.where == f"{home.root / FILE}:{line}"
    with pytest.raises(QueueError, match=words):
        save_preset(home, "new", {"epochs": 1})
    assert (home.root / FILE).read_text() == text


def test_what_is_kept_is_read_again_and_nothing_else_changes(home: Home) -> None:
    path = home.root / FILE
    path.write_text(COMMENTED)
    save_preset(
        home, 'odd "name" ä', {"lora.target_modules": "q_proj,v_proj", "shuffle": "false", "lr": "1e-5"}, "4bit"
    )
    found = read_presets(home)
    kept = found['odd "name" ä']
    assert kept.settings == {"lora.target_modules": ["q_proj", "v_proj"], "shuffle": False, "learning_rate": 1e-5}
    assert kept.precision == "4bit" and path.read_text().startswith(COMMENTED)
    save_preset(home, "a", {"max_steps": 9})
    assert read_presets(home)["a"].settings == {"max_steps": 9}
    text = path.read_text()
    assert "# about all of them" in text and "# about the second\n" in text and "learning_rate = 1e-4" not in text
    save_preset(home, "d", {"lora.r": 2})
    after = read_presets(home)
    assert after["d"].settings == {"lora.r": 2} and after["b c"].settings == {"epochs": 2.0}
    assert path.read_text().count("[d") == 0, "its own part went with it"


@pytest.mark.parametrize(("name", "settings"), [("", {"epochs": 1}), ("a\nb", {"epochs": 1}), ("x" * 61, {"epochs": 1}),
                                                ("a", {}), ("a", {"epochs": 0}), ("a", {"nothing": 1})])  # fmt: skip
def test_nothing_is_written_that_makes_no_sense(home: Home, name: str, settings: dict[str, object]) -> None:
    with pytest.raises(QueueError):
        save_preset(home, name, settings)
    assert not (home.root / FILE).exists()
