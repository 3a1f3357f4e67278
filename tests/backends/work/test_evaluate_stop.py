"""An evaluation that is asked to stop keeps its answers and ends as it would have ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from backends.jobs.job import Job
from backends.work import work_function

pytestmark = pytest.mark.xdist_group("heavy")


def answers(job: Job) -> dict[str, Any]:
    lines = map(json.loads, job.predictions.read_text().splitlines())
    return {line["id"]: line["prediction"] for line in lines}


def test_stop_keeps_the_answers_and_resume_asks_the_others(
    make_job: Callable[..., Job], phantom_set: dict[str, str]
) -> None:
    data = {"path": phantom_set["test"], "image_root": phantom_set["images"], "limit": None}
    whole, stopped = (make_job(number, data=data, fingerprint="the same") for number in (1, 2))
    summary = work_function(whole.spec)(whole)
    assert summary["stopped"] is None
    (stopped.dir / "control.json").write_text('{"stop": true}')
    summary = work_function(stopped.spec)(stopped)
    assert summary["stopped"] == "8 of 24 answers" and len(answers(stopped)) == 8
    assert not (stopped.dir / "scores.json").exists()
    (stopped.dir / "control.json").write_text('{"stop": false}')
    work_function(stopped.spec)(stopped)
    assert answers(stopped) == answers(whole)
    scores = [json.loads((job.dir / "scores.json").read_text())["scores"] for job in (whole, stopped)]
    assert scores[0] == scores[1]
