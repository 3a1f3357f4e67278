"""An estimate moves towards the peaks that were seen, the more so the more alike the runs are, and grows surer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import pytest

from backends.estimate.ask import GIB, Answer, Question, ask, parse_image_size
from backends.estimate.memory import Estimate, estimate
from backends.estimate.recorded import Observation, corrected, observations
from db.connect import connect
from db.home import Home
from db.migrate import migrate

STATIC = Estimate(0, 10 * GIB, "", vram_low=7 * GIB, vram_high=16 * GIB)


def seen(alike: str, factor: float = 1.3, run: int = 1) -> Observation:
    return Observation(run, int(10 * GIB * factor), 10 * GIB, alike)


def test_nothing_seen_changes_nothing() -> None:
    assert corrected(STATIC, True, []) is None


def test_the_more_alike_the_further_it_goes() -> None:
    moved = {}
    for alike in ("model", "architecture", "kind"):
        found = corrected(STATIC, True, [seen(alike)])
        assert found is not None
        moved[alike] = found.likely
        assert found.low < found.likely < found.high
    assert 10 * GIB < moved["kind"] < moved["architecture"] < moved["model"] < 13 * GIB


def test_a_run_of_the_same_model_makes_it_narrow() -> None:
    found = corrected(STATIC, True, [seen("model"), seen("kind", 0.5, run=2)])
    assert found is not None
    assert found.same_model and found.runs == (1, 2)
    assert found.low < 13 * GIB < found.high
    assert found.high / found.low < 1.5 < 16 / 7


def test_runs_that_disagree_leave_the_middle() -> None:
    found = corrected(STATIC, True, [seen("model", 1.2, 1), seen("model", 1 / 1.2, 2)])
    assert found is not None and found.likely == pytest.approx(10 * GIB, rel=0.02)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Connection]:
    home = Home(tmp_path / "home").ensure()
    migrate(home)
    with closing(connect(home.runs_db)) as conn:
        yield conn


def add(
    conn: Connection, source: str, peak: int, state: str = "done", memory: str = "VRAM", **training: object
) -> None:
    spec = {
        "kind": "finetune",
        "model": {"source": source, "name": source},
        "training": {"method": "peft", "batch_size": 2, **training},
        "reserve": {"memory": memory},
    }
    conn.execute(
        "INSERT INTO runs(id, kind, model, state, attempt, created, spec, peak_bytes, position) "
        "VALUES ((SELECT coalesce(max(id), 0) + 1 FROM runs), 'finetune', ?, ?, 1, 0, ?, ?, 0)",
        (source, state, json.dumps(spec), peak),
    )


def test_which_runs_count_and_how(runs: Connection) -> None:
    add(runs, "Qwen/Qwen2.5-VL-7B-Instruct", 20 * GIB)
    add(runs, "Qwen/Qwen2.5-VL-3B-Instruct", 11 * GIB)
    add(runs, "google/gemma-3-4b-it", 13 * GIB)
    add(runs, "Qwen/Qwen2.5-VL-7B-Instruct", 9 * GIB, method="unsloth")
    add(runs, "Qwen/Qwen2.5-VL-7B-Instruct", GIB, state="failed")
    add(runs, "Qwen/Qwen2.5-VL-7B-Instruct", GIB, memory="RAM")
    question = Question("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL-7B", "peft", batch=4)
    found = {one.run: one.alike for one in observations(runs, question.spec(), "VRAM")}
    assert found == {1: "model", 2: "architecture", 3: "kind", 4: "kind"}
    answer = ask(question, runs, 32 * GIB)
    assert answer.corrected is not None and answer.corrected.runs[0] == 1
    plain = estimate(question.spec(), cuda=True)
    assert answer.interval[2] / answer.interval[0] < plain.vram_high / plain.vram_low


@pytest.mark.parametrize(
    ("card", "verdict", "word"),
    [(None, "no card", "16 GB card holds it"), (24, "fits", "24.0 GiB here"), (12, "tight", "at most 16.0"),
     (6, "too large", "at least 7.0")],
)  # fmt: skip
def test_the_verdict(card: int | None, verdict: str, word: str) -> None:
    answer = Answer(STATIC, None, card * GIB if card else None)
    assert answer.verdict == verdict
    assert word in answer.words


def test_image_sizes() -> None:
    assert parse_image_size("1024x768") == parse_image_size(" 1024 × 768 ") == (1024, 768)
    assert parse_image_size("336") == (336, 336)
    for wrong in ("", "x", "3x", "0x5", "10x99999", "1024x768x3"):
        with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
            parse_image_size(wrong)
