"""The queue by command, with real jobs: shapes of --json, exit status, logs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.home import Home
from fada_tui.cli import run

Fada = Callable[..., tuple[int, Any]]

JOB = {
    *(
        "id",
        "kind",
        "task",
        "model",
        "state",
        "reason",
        "exit_code",
        "signal",
        "attempt",
        "created",
        "started",
        "ended",
    ),
    *("progress", "after", "reserved_bytes", "peak_bytes", "run_dir", "fingerprint"),
}
SCORE = {
    *(
        "run",
        "model",
        "kind",
        "metric",
        "question",
        "category",
        "value",
        "ci_low",
        "ci_high",
        "n",
        "answered",
        "failed",
    ),
    *("source", "floors", "references", "alarms", "fingerprint"),
}


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Iterator[Fada]:
    def call(*words: str) -> tuple[int, Any]:
        head = ["--home", str(panel_home.root), "--json"]
        status = run([*head, *words])
        return status, json.loads(capsys.readouterr().out)

    yield call
    for process in psutil.process_iter(["cmdline"]):
        if str(panel_home.root) in (process.info["cmdline"] or []):
            process.kill()


def python(code: str) -> list[str]:
    return ["--", sys.executable, "-c", code]


def test_wait_says_how_it_ended(fada: Fada) -> None:
    assert fada("run", "--wait", *python("print('hello')")) == (0, {"runs": [1]})
    assert fada("run", "--wait", *python("raise SystemExit(5)")) == (1, {"runs": [2]})
    status, jobs = fada("jobs")
    assert status == 0 and [set(job) >= JOB for job in jobs] == [True, True]
    assert [(job["id"], job["state"], job["exit_code"]) for job in jobs] == [(1, "done", 0), (2, "failed", 5)]
    assert set(jobs[0]["progress"]) == {"done", "total", "unit"}


def test_one_job_with_what_its_script_reported(fada: Fada) -> None:
    code = "from backends.jobs.events import log\nfor step in range(3): log(step=step, loss=3.0 - step)"
    assert fada("run", "--wait", *python(code))[0] == 0
    _, job = fada("job", "1")
    assert job["metrics"] == {"loss": {"last": 1.0, "count": 3, "min": 1.0, "max": 3.0}}
    assert job["spec"]["command"][0] == sys.executable and job["messages"] == []


def test_the_log_is_followed_to_its_end(panel_home: Home, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    home = ["--home", str(panel_home.root)]
    code = (
        "import time\nfor n in range(5): print('line', n, flush=True); time.sleep(0.2)\nprint('\\x1b[31mred', end='')"
    )
    assert run([*home, "run", *python(code)]) == 0
    capfdbinary.readouterr()
    assert run([*home, "log", "1", "-f"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert lines == [b"line 0", b"line 1", b"line 2", b"line 3", b"line 4", b"\x1b[31mred"]  # a pipe gets it as it is
    assert run([*home, "log", "1", "-n", "1"]) == 0
    assert capfdbinary.readouterr().out == b"\x1b[31mred"
    assert run([*home, "log", "9"]) == 2


def test_work_on_the_queue(fada: Fada, tmp_path: Path) -> None:
    end = tmp_path / "end"
    code = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)"
    fada("run", *python(code))
    fada("run", "--after", "1", *python("pass"))
    fada("run", "--after", "1", *python("pass"))
    assert fada("hold", "2")[1] == {"changed": ["#2 held"]}
    assert fada("move", "3", "--before", "2")[1] == {"changed": ["#3 goes before #2"]}
    assert fada("release", "2")[0] == 0
    assert fada("rm", "1")[0] == 2  # it runs
    assert fada("cancel", "2")[1] == {"changed": ["#2 was cancelled"]}
    assert fada("resume", "2")[0] == 2  # a plain command cannot be resumed
    end.touch()
    assert fada("retry", "1", "--wait") == (0, {"runs": [4]})
    states = {job["id"]: (job["state"], job["after"]) for job in fada("jobs")[1]}
    assert states[1] == ("done", []) and states[2] == ("cancelled", [1])
    assert fada("rm", "2")[0] == 0
    assert [job["id"] for job in fada("jobs")[1]] == [1, 3, 4]
    assert fada("jobs", "--state", "nonsense")[0] == 2


def test_pause_resume_and_stop_with_plain_words(fada: Fada) -> None:
    fada("run", "--max-time", "2h", *python("import time; time.sleep(300)"))
    deadline = time.monotonic() + 240
    while fada("job", "1")[1]["state"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert fada("job", "1")[1]["spec"]["limits"] == {"max_seconds": 7200}
    status, document = fada("pause", "1")
    assert status == 0 and "frees no VRAM" in document["changed"][0]
    assert fada("jobs", "--state", "paused")[1][0]["id"] == 1
    assert fada("pause", "1")[0] == 2
    assert fada("resume", "1") == (0, {"runs": [1]})
    assert fada("jobs")[1][0]["state"] == "running"
    assert fada("cancel", "1", "--save")[0] == 2  # nothing to save
    assert fada("cancel", "1")[0] == 0


def test_the_list_by_tag_and_without_what_was_put_away(fada: Fada, panel_home: Home) -> None:
    from backends.jobs import labelling

    for _ in range(3):
        assert fada("run", "--wait", *python("pass"))[0] == 0
    labelling.tag(panel_home, 2, ["Night"])
    labelling.archive(panel_home, [3])
    assert [job["id"] for job in fada("jobs")[1]] == [1, 2]
    assert [job["id"] for job in fada("jobs", "--all")[1]] == [1, 2, 3]
    (away,) = fada("jobs", "--archived")[1]
    assert (away["id"], away["archived"]) == (3, True)
    (night,) = fada("jobs", "--tag", "night")[1]
    assert (night["id"], night["tags"], night["note"]) == (2, ["Night"], "")


def test_the_list_ends_with_when_all_is_done(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(panel_home.root)]
    run([*home, "run", *python("import time; time.sleep(300)")])
    capsys.readouterr()
    assert run([*home, "jobs"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "how long #1 will take is not known"
    assert run([*home, "cancel", "1"]) == 0


def test_any_end_and_where_a_reservation_comes_from(fada: Fada) -> None:
    assert fada("run", "--wait", *python("raise SystemExit(1)"))[0] == 1
    assert fada("run", "--after", "1", *python("pass"))[0] == 2
    assert fada("run", "--after", "1", "--after-any", "1", *python("pass"))[0] == 2
    assert fada("run", "--after-any", "1", "--vram", "0.5", "--wait", *python("pass")) == (0, {"runs": [2]})
    assert fada("job", "2")[1]["reservation"] == {"bytes": 500_000_000, "source": "asked for"}


@pytest.mark.slow
@pytest.mark.xdist_group("heavy")
def test_an_evaluation_and_its_scores(fada: Fada, tiny_checkpoint: Path, phantom_set: dict[str, str]) -> None:
    data = ["--data", phantom_set["test"], "--image-root", phantom_set["images"]]
    assert fada("eval", str(tiny_checkpoint), *data, "--limit", "8", "--wait") == (0, {"runs": [1], "warnings": []})
    scores = fada("scores", "--run", "1")[1]
    assert all(set(score) >= SCORE for score in scores)
    overall = {score["metric"]: score for score in scores if score["question"] is None and score["category"] is None}
    assert set(overall) == {"cosine", "exact"}
    assert overall["exact"]["n"] == overall["exact"]["answered"] == 8
    assert "majority" in overall["exact"]["floors"] and "category_majority" in overall["exact"]["references"]
    assert (overall["exact"]["kind"], overall["exact"]["source"], overall["exact"]["run"]) == ("gt", "run", 1)
    assert fada("eval", str(tiny_checkpoint), *data, "--limit", "8") == (0, {"runs": [2], "warnings": []})
    first, second = fada("job", "1")[1], fada("job", "2")[1]
    assert first["reservation"]["source"] == "estimated"
    assert second["reservation"]["source"] == "seen in #1"
    assert second["reserved_bytes"] == int(first["peak_bytes"] * 1.1)
    fada("cancel", "2")
    stated = [score for score in fada("scores")[1] if score["source"] == "document"]
    assert any(score["model"] == "Qwen2.5-VL-7B" and score["value"] == 0.811 for score in stated)
