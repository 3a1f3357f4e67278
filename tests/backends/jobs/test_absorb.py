"""Whatever a job writes into its files, the index takes it in and can be read."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.jobs import store
from backends.jobs.ingest import adopt, ingest
from db.connect import connect
from db.home import Home
from db.migrate import migrate
from db.runs.queries import curve, get_run, last_predictions, messages, run_detail, scores

KINDS = ("started", "progress", "metric", "score", "message", "checkpoint", "finished", "failed", "unknown")
FIELDS = (
    *("t", "name", "value", "step", "done", "total", "unit", "phase", "level", "text", "path", "summary", "error"),
    *("message", "hint", "metric", "question", "category", "n", "answered", "failed", "id", "prediction", "alarms"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "loss", "1", "", 10**400]),
)
ANYTHING = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))
SOUND = {"t": 1.0, "name": "loss", "value": 0.5, "step": 3, "done": 1, "text": "x", "n": 2, "id": "a#Q1", "path": "p"}
EVENTS = st.builds(
    lambda kind, odd: {**SOUND, **odd, "kind": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3),
)
SCORES = st.builds(
    lambda odd: {**SOUND, "metric": "exact", **odd, "kind": "score"},
    st.dictionaries(st.sampled_from(("alarms", "floors", "references", "ci_low", "source", "question")), ANYTHING),
)


@settings(max_examples=60)
@given(events=st.lists(st.one_of(EVENTS, SCORES), max_size=12), final=st.one_of(ANYTHING, st.lists(SCORES, max_size=3)))
def test_no_line_stops_the_index(events: list[dict[str, Any]], final: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name)).ensure()
        migrate(home)
        with closing(connect(home.runs_db)) as conn:
            run_id = store.allocate(home)
            spec = {"kind": "eval", "task": "gt", "title": "t", "created": 1.0, "held": True}
            store.create(home, run_id, spec)
            adopt(conn, home, run_id)
            folder = home.run_dir(run_id)
            lines = "".join(json.dumps(event) + "\n" for event in events)
            (folder / "events.jsonl").write_text(lines)
            (folder / "predictions.jsonl").write_text(lines)
            (folder / "scores.json").write_text(json.dumps({"scores": final}))
            assert ingest(conn, home, run_id) == "held"
            assert run_detail(conn, run_id) is not None
            for one in run_detail(conn, run_id).metrics:  # type: ignore[union-attr]
                curve(conn, run_id, one)
            scores(conn), last_predictions(conn, run_id), get_run(conn, run_id)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"kind": "metric", "name": "loss", "value": 1, "step": 1e400, "t": 1}', "metric without"),
        ('{"kind": "metric", "name": "loss", "value": 1, "step": 99999999999999999999, "t": 1}', "too large"),
        ('{"kind": "metric", "name": ["x"], "value": 1, "step": 1, "t": 1}', "metric without"),
        ('{"kind": "score", "metric": "exact", "value": "NaN", "n": 2}', "score without"),
        ('{"kind": "score", "metric": "exact", "value": 0.5}', "'n'"),
        ("[" * 100_000, "not an event"),
    ],
)
def test_what_cannot_be_taken_in_is_said(home: Home, line: str, said: str) -> None:
    with closing(connect(home.runs_db)) as conn:
        run_id = store.allocate(home)
        store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0, "held": True})
        adopt(conn, home, run_id)
        good = '{"kind": "metric", "name": "good", "value": 1, "step": 1, "t": 1}'
        (home.run_dir(run_id) / "events.jsonl").write_text(f"{line}\n{good}\n")
        ingest(conn, home, run_id)
        (message,) = messages(conn, run_id)
        assert message.level == "warning" and said in message.text
        assert len(curve(conn, run_id, "good")) == 1


def test_a_pause_is_no_part_of_the_rate(home: Home) -> None:
    """Two units a second, with a pause of a minute in between."""
    with closing(connect(home.runs_db)) as conn:
        run_id = store.allocate(home)
        folder = home.run_dir(run_id)
        store.create(home, run_id, {"kind": "run", "task": None, "title": "t", "created": 1.0})
        attempt = store.Attempt(1, started=100.0, pauses=((103.0, 163.0),))
        store.write_attempt(folder, attempt)
        adopt(conn, home, run_id)
        for at, done in ((100.0, 0), (102.0, 4), (164.0, 8), (166.0, 12)):
            with open(folder / "events.jsonl", "a") as file:
                file.write(json.dumps({"t": at, "kind": "progress", "done": done, "total": 99}) + "\n")
            ingest(conn, home, run_id)
            run = get_run(conn, run_id)
            assert run is not None and (done == 0 or run.rate == pytest.approx(2.0))
        assert store.read_attempt(folder, 1) == attempt
