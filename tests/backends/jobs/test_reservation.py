"""Reservations: what was seen in an earlier run like it, else the estimate; and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.jobs import queue
from backends.jobs.admission import GIB, MARGIN, Capacity
from backends.jobs.dispatcher import vram_by_run
from backends.jobs.engines.machine import capacity_of
from backends.jobs.errors import QueueError
from backends.jobs.peaks import note_vram, vram_peak
from backends.jobs.reservation import memory_key, source_text, with_reservation
from backends.jobs.store import Control, read_attempt, read_spec
from backends.jobs.submit import submit
from backends.telemetry.sample import Gpu, GpuProcess, Host, Telemetry
from backends.telemetry.sampler import Sampler
from db.connect import connect
from db.home import Home
from db.runs.rows import Run

CARD = Capacity(32 * GIB, 0, 8, "VRAM")


def parts(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "eval",
        "task": "gt",
        "model": {"name": "Qwen2-VL-2B", "source": "Qwen/Qwen2-VL-2B-Instruct", "loader": "transformers"},
        "data": {"path": "/data/a.jsonl", "samples": 600},
        "generation": {"batch_size": 32, "max_new_tokens": 64},
        "training": None,
        "scoring": {"embedding": "all-MiniLM-L6-v2"},
        "device": "auto",
        "after": [],
        "held": True,
        **changes,
    }


@pytest.fixture
def done(home: Home) -> Callable[..., int]:
    """An earlier run as the index shows it."""

    def make(peak: int, state: str = "done", memory: str = "VRAM", **changes: Any) -> int:
        run = submit(home, parts(reserve={"bytes": 0, "memory": memory}, **changes))
        with closing(connect(home.runs_db)) as conn:
            conn.execute("UPDATE runs SET state = ?, peak_bytes = ? WHERE id = ?", (state, peak, run))
        return run

    return make


def reserve(home: Home, capacity: Capacity = CARD, asked: int | None = None, **changes: Any) -> dict[str, Any]:
    return dict(with_reservation(home, parts(**changes), capacity, asked)["reserve"])


def test_the_estimate_where_nothing_was_seen(home: Home) -> None:
    made = reserve(home)
    assert made["source"] == "estimated" and made["bytes"] > 4 * GIB
    assert (made["memory"], made["most"]) == ("VRAM", CARD.total - MARGIN)


def test_the_highest_peak_of_runs_like_it_and_a_tenth(home: Home, done: Callable[..., int]) -> None:
    done(8 * GIB)
    highest = done(10 * GIB)
    done(9 * GIB)
    made = reserve(home, data={"path": "/data/b.jsonl", "samples": 9000})
    assert (made["bytes"], made["source"]) == (11 * GIB, f"seen in #{highest}")


def test_a_retry_reserves_by_what_is_known_now(home: Home, done: Callable[..., int], tmp_path: Path) -> None:
    data = {"path": str(tmp_path), "image_root": str(tmp_path), "samples": 600}
    first = submit(home, parts(data=data, reserve={"bytes": 1, "memory": "RAM", "source": "estimated"}))
    seen = done(3 * GIB, memory=reserve(home, capacity_of(Sampler(home).sample({})))["memory"])
    spec = read_spec(home.run_dir(queue.retry(home, first)))
    assert spec is not None and spec["reserve"]["source"] == f"seen in #{seen}"


@pytest.mark.parametrize(
    "other",
    [
        {"state": "failed"},
        {"memory": "RAM"},
        {"generation": {"batch_size": 4, "max_new_tokens": 64}},
        {"generation": {"batch_size": 32, "max_new_tokens": 512}},
        {"data": {"path": "/data/a.jsonl", "samples": 4}},  # a trial: its batch was 4
        {"data": {"path": "/data/a.jsonl", "samples": 600, "image_sizes": [[96, 96, 48]]}},
        {"task": "perf"},
        {"model": {"name": "Qwen2-VL-2B", "source": "/local", "content": "ff", "loader": "transformers"}},
        {"model": {**parts()["model"], "from_run": 3}},
    ],
)
def test_runs_unlike_it_say_nothing(home: Home, done: Callable[..., int], other: dict[str, Any]) -> None:
    done(10 * GIB, **other)
    assert reserve(home)["source"] in ("estimated", "estimated, corrected by #1")


def test_what_was_asked_for_comes_first(home: Home, done: Callable[..., int]) -> None:
    done(10 * GIB)
    made = reserve(home, asked=3 * GIB)
    assert (made["bytes"], made["source"]) == (3 * GIB, "asked for")


def test_never_more_than_the_machine_has(home: Home, done: Callable[..., int]) -> None:
    done(31 * GIB)
    assert reserve(home)["bytes"] == CARD.total - MARGIN
    with pytest.raises(QueueError, match=r"needs 99\.0 GiB of VRAM, this machine has 32\.0 GiB"):
        reserve(home, asked=99 * GIB)


def test_training_settings_that_decide() -> None:
    training = {"method": "peft", "batch_size": 8, "lora": {"r": 16}, "learning_rate": 1e-4}
    key = memory_key(parts(kind="finetune", training=training))
    assert memory_key(parts(kind="finetune", training={**training, "learning_rate": 1e-3})) == key
    for change in ({"lora": {"r": 64}}, {"batch_size": 2}, {"method": "full"}):
        assert memory_key(parts(kind="finetune", training={**training, **change})) != key
    assert memory_key({"kind": "run", "command": ["true"]}) is None


def test_a_source_in_words() -> None:
    assert source_text({"reserve": {"source": "seen in #12"}}, Control(1.0)) == "seen in #12"
    assert source_text({}, Control(1.0)) is None
    assert source_text({}, Control(1.0, reserve=3, out_of_memory=1)) == "raised after attempt 1 ran out of memory"


def test_card_memory_is_summed_by_run_and_its_peak_kept(tmp_path: Path) -> None:
    def gpu(index: int, *held: tuple[int | None, int | None]) -> Gpu:
        processes = tuple(GpuProcess(100 + n, memory, None, run) for n, (run, memory) in enumerate(held))
        return Gpu(index, "card", f"uuid-{index}", None, None, 32 * GIB, None, None, None, processes)

    host = Host(None, 8, 0, GIB, GIB)
    sample = Telemetry(1.0, (gpu(0, (1, GIB), (1, GIB), (None, GIB), (2, None)), gpu(1, (1, GIB))), None, host)
    assert vram_by_run(sample) == {1: 3 * GIB}
    (tmp_path / "attempts").mkdir()
    assert vram_peak(tmp_path, 1) is None
    assert note_vram(tmp_path, 1, 3 * GIB) == note_vram(tmp_path, 1, 2 * GIB) == 3 * GIB
    assert vram_peak(tmp_path, 1) == 3 * GIB and vram_peak(tmp_path, 2) is None
    assert note_vram(tmp_path / "gone", 1, GIB) == 0


def test_the_exit_record_has_the_peak_of_what_is_reserved(
    home: Home, queue_python: Callable[..., int], until: Callable[..., Run]
) -> None:
    code = (
        "import json, os\n"
        f"folder = os.path.join({str(home.runs)!r}, os.environ['FADA_RUN'], 'attempts')\n"
        f"json.dump({{'vram_bytes': {5 * GIB}}}, open(folder + '/1.peak.json', 'w'))"
    )
    run = until(queue_python(code, reserve={"bytes": 0, "memory": "VRAM"}))
    attempt = read_attempt(home.run_dir(run.id), 1)
    assert attempt is not None and attempt.host_peak_bytes is not None
    assert run.peak_bytes == attempt.peak_bytes == 5 * GIB != attempt.host_peak_bytes
    plain = until(queue_python("pass", reserve={"bytes": 0, "memory": "RAM"}))
    record = json.loads((home.run_dir(plain.id) / "attempts/1.json").read_text())
    assert plain.peak_bytes == record["peak_bytes"] == record["host_peak_bytes"]
