from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlite_utils
from hypothesis import given
from hypothesis import strategies as st

from db.runs.schema import MIGRATIONS
from db.tracker.edits import add_alias, redo, set_note, set_status, undo
from db.tracker.errors import EditError
from db.tracker.export import export_note
from db.tracker.importer import default_note, import_note
from db.tracker.proposals import accept, accept_all, dismiss, proposals, proposed_notes
from db.tracker.queries import find_models, history
from db.tracker.reading.values import scores_in_prose
from db.tracker.rows import STATUS_LADDER, Proposal


class Runs:
    """A runs.db in memory; runs end when they are told to, in seconds from now."""

    def __init__(self) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        self.conn.row_factory = sqlite3.Row
        database = sqlite_utils.Database(self.conn, execute_plugins=False)
        for step in MIGRATIONS:
            step(database)
        self.now = time.time()

    def add(
        self,
        number: int,
        model: str,
        task: str | None = "gt",
        *,
        state: str = "done",
        kind: str = "eval",
        ended: float = 10.0,
        from_run: int | None = None,
    ) -> int:
        self.conn.execute(
            "INSERT INTO runs(id, kind, task, model, state, attempt, created, ended, position, from_run, spec)"
            " VALUES (?, ?, ?, ?, ?, 1, 1.0, ?, ?, ?, '{}')",
            (number, kind, task, model, state, self.now + ended, number, from_run),
        )
        return number

    def score(
        self,
        run: int,
        metric: str = "cosine",
        value: float = 0.811,
        *,
        n: int = 600,
        answered: int = 600,
        partial: bool = False,
        step: int | None = None,
        alarm: str | None = None,
    ) -> None:
        alarms = [{"kind": "collapse", "question": None, "text": alarm}] if alarm else []
        body = {"value": value, "n": n, "answered": answered, "failed": n - answered, "alarms": alarms}
        self.conn.execute(
            "INSERT INTO scores(run, metric, question, category, partial, step, body) VALUES (?, ?, NULL, NULL, ?, ?, ?)",
            (run, metric, partial, step, json.dumps(body)),
        )


@pytest.fixture
def runs() -> Iterator[Runs]:
    made = Runs()
    yield made
    made.conn.close()


def proposed(tracker: sqlite3.Connection, runs: Runs) -> dict[str, tuple[str, int, str | None]]:
    return {name: (one.status, one.run, one.words) for name, one in proposals(tracker, runs.conn).items()}


def test_no_run_proposes_nothing(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    assert proposals(tracker_db, runs.conn) == {}


@pytest.mark.parametrize(
    ("task", "metric", "value", "status", "words"),
    [
        ("gt", "cosine", 0.811, "Tested", "81.1% GT (600 samples)"),
        ("gt", "exact", 0.5, "Tested", "gt exact 0.500 (600 samples)"),
        ("gt", "cosine", -0.02, "Tested", "gt cosine -0.020 (600 samples)"),
        ("proxy", "keyword", 0.75, "Proxy tested", "75.0% proxy (600 samples)"),
        ("perf", "tokens_per_s", 25.6, "Perf tested", "25.6 tok/s"),
        ("u2bench", "u2_score", 0.4, "Tested", "u2bench u2_score 0.400 (600 samples)"),
        ("fetal-gauge", "relaxed_accuracy", 0.4, "Tested", "fetal-gauge relaxed_accuracy 0.400 (600 samples)"),
        ("zero-shot", "balanced_accuracy", 0.4, "Tested", "zero-shot balanced_accuracy 0.400 (600 samples)"),
    ],
)
def test_each_kind_of_run_has_its_step_and_words(
    tracker_db: sqlite3.Connection, runs: Runs, task: str, metric: str, value: float, status: str, words: str
) -> None:
    runs.score(runs.add(7, "FetalCLIP", task), metric, value)
    assert proposed(tracker_db, runs) == {"FetalCLIP": (status, 7, words)}


def test_a_flat_run_takes_its_alarm_into_the_note(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    """The note goes to others: 64 % of a model that says one sentence must not stand there alone."""
    runs.score(runs.add(7, "FetalCLIP"), "cosine", 0.64, alarm="every answer is the same")
    assert proposed(tracker_db, runs) == {"FetalCLIP": ("Tested", 7, "64.0% GT (600 samples) ⚠ collapse")}
    [read], unclear = scores_in_prose("64.0% GT (600 samples) ⚠ collapse ×5", "Tested")
    assert (read.value, read.n, unclear) == (0.64, 600, [])


def test_a_measurement_of_speed_hides_no_alarm(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    """Both of a tuned model propose the same step; tokens a second have no alarm, whatever the answers are like."""
    runs.score(runs.add(8, "FetalCLIP", "perf", from_run=3, ended=20), "tokens_per_s", 116.4)
    assert proposed(tracker_db, runs) == {"FetalCLIP": ("Fine-tuned", 8, "116.4 tok/s")}
    runs.score(runs.add(7, "FetalCLIP", from_run=3), "cosine", 0.97, alarm="4 of 36 images were trained on")
    assert proposed(tracker_db, runs) == {"FetalCLIP": ("Fine-tuned", 7, "97.0% GT (600 samples) ⚠ collapse")}


def test_of_several_metrics_the_usual_one_is_said(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    run = runs.add(7, "FetalCLIP")
    runs.score(run, "exact", 0.3)
    runs.score(run, "cosine", 0.811, alarm="every answer is the same")
    found = proposals(tracker_db, runs.conn)["FetalCLIP"]
    assert found.words == "81.1% GT (600 samples) ⚠ collapse"
    assert found.alarms == ("every answer is the same",)
    assert (found.current, found.task, found.ended) == ("TODO", "gt", pytest.approx(runs.now + 10))


def test_a_fine_tune_and_what_it_made(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.add(3, "Qwen2-VL-2B", None, kind="finetune", ended=1)
    assert proposed(tracker_db, runs) == {"Qwen2-VL-2B": ("Fine-tuned", 3, None)}
    runs.score(runs.add(4, "Qwen2-VL-2B", "gt", ended=2, from_run=3))
    assert proposed(tracker_db, runs) == {"Qwen2-VL-2B": ("Fine-tuned", 4, "81.1% GT (600 samples)")}


def test_the_highest_step_counts_then_the_newest(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(1, "FetalCLIP", "gt", ended=1), value=0.1)
    runs.score(runs.add(2, "FetalCLIP", "gt", ended=3), value=0.2)
    runs.score(runs.add(3, "FetalCLIP", "gt", ended=2), value=0.3)
    runs.score(runs.add(4, "FetalCLIP", "proxy", ended=4), "keyword", 0.9)
    assert proposed(tracker_db, runs) == {"FetalCLIP": ("Tested", 2, "20.0% GT (600 samples)")}


def test_runs_that_propose_nothing(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    for number, state in enumerate(("failed", "cancelled", "lost", "running", "queued"), start=1):
        runs.score(runs.add(number, "FetalCLIP", state=state))
    runs.score(runs.add(10, "FetalMind"), answered=569)
    runs.score(runs.add(11, "Sonomate"), partial=True)
    runs.score(runs.add(12, "EchoVLM"), step=40)
    runs.score(runs.add(13, "AbVLM-Q"), n=0, answered=0)
    runs.add(14, "LLaVA-Ultra")
    runs.add(15, "Molmo-7B", None, kind="run")
    runs.score(runs.add(16, "Not tracked"))
    runs.score(runs.add(17, "Qwen2-VL-7B", "proxy"), "keyword", 0.9)
    runs.score(runs.add(18, "Qwen2.5-VL-7B"))
    runs.score(runs.add(20, "InternVL3-78B"))
    runs.conn.execute("UPDATE runs SET archived = 1 WHERE id = 20")
    assert proposed(tracker_db, runs) == {}
    runs.score(runs.add(19, "FetalMind"), answered=570)
    assert set(proposed(tracker_db, runs)) == {"FetalMind"}


def test_a_run_under_coverage_does_not_hide_a_whole_one(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(1, "FetalCLIP", ended=1))
    runs.score(runs.add(2, "FetalCLIP", ended=2), answered=3)
    assert proposed(tracker_db, runs)["FetalCLIP"][1] == 1


def test_a_run_is_of_a_model_by_its_alias_and_capitals_aside(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    add_alias(tracker_db, "FetalCLIP", "Org/Ünique")
    runs.score(runs.add(1, "org/Ünique"))
    runs.score(runs.add(2, "fetalmind"))
    assert set(proposed(tracker_db, runs)) == {"FetalCLIP", "FetalMind"}


def test_the_notes_own_words_count_as_the_lowest_step(empty_db: sqlite3.Connection, runs: Runs) -> None:
    import_note(empty_db, b"| Model | Status |\n|--|--|\n| A | on hold |\n", "n.md", "test")
    runs.score(runs.add(1, "A", "perf"), "tokens_per_s", 3.0)
    assert proposed(empty_db, runs) == {"A": ("Perf tested", 1, "3.0 tok/s")}


def test_a_model_that_the_note_dropped_is_not_spoken_of(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(1, "FetalCLIP"))
    import_note(tracker_db, b"| Model | Status |\n|--|--|\n| A | TODO |\n", "n.md", "test")
    assert proposed(tracker_db, runs) == {}


def test_accepting_is_one_change_and_one_undo(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(12, "MiniCPM-V-2.6", ended=-5))
    found = proposals(tracker_db, runs.conn)["MiniCPM-V-2.6"]
    model = find_models(tracker_db, "MiniCPM-V-2.6")[0]
    changed = accept(tracker_db, found, "user", proposed_notes(model, found))
    assert len(changed) == 2
    after = find_models(tracker_db, "MiniCPM-V-2.6")[0]
    assert (after.status, after.notes) == ("Tested", "88.9% proxy, needs GT eval; 81.1% GT (600 samples)")
    assert [(score.kind, score.value, score.n) for score in after.scores] == [
        ("proxy", 0.889, None),
        ("gt", 0.811, 600),
    ]
    assert "from run #12" in history(tracker_db)[0].text
    assert history(tracker_db)[0].models == ("MiniCPM-V-2.6",)
    assert proposed(tracker_db, runs) == {}
    assert len(undo(tracker_db)) == 1
    assert export_note(tracker_db) == default_note()
    assert proposals(tracker_db, runs.conn) == {"MiniCPM-V-2.6": found}
    redo(tracker_db)
    assert proposed(tracker_db, runs) == {}


def test_accepting_only_the_status(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(12, "FetalCLIP"))
    accept(tracker_db, proposals(tracker_db, runs.conn)["FetalCLIP"])
    wanted = default_note().replace(b"foundation model | TODO |", b"foundation model | Tested |", 1)
    assert export_note(tracker_db) == wanted != default_note()


def test_a_proposal_of_yesterday_is_refused(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(12, "FetalCLIP"))
    found = proposals(tracker_db, runs.conn)["FetalCLIP"]
    set_status(tracker_db, "FetalCLIP", "Fine-tuned")
    with pytest.raises(EditError, match="Fine-tuned by now"):
        accept(tracker_db, found)
    assert find_models(tracker_db, "FetalCLIP")[0].status == "Fine-tuned"


def test_a_dismissed_proposal_stays_away_until_a_newer_run_or_undo(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(12, "FetalCLIP", ended=-5))
    found = proposals(tracker_db, runs.conn)["FetalCLIP"]
    assert "run #12" in dismiss(tracker_db, found)[0]
    assert proposed(tracker_db, runs) == {}
    undo(tracker_db)
    assert set(proposed(tracker_db, runs)) == {"FetalCLIP"}
    redo(tracker_db)
    assert proposed(tracker_db, runs) == {}
    runs.score(runs.add(13, "FetalCLIP", ended=60))
    assert proposed(tracker_db, runs)["FetalCLIP"][1] == 13
    assert export_note(tracker_db) == default_note()


def test_a_status_that_a_person_set_later_stands(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    runs.score(runs.add(12, "Molmo-7B", ended=-5))
    set_note(tracker_db, "Molmo-7B", "a note decides nothing")
    assert set(proposed(tracker_db, runs)) == {"Molmo-7B"}
    set_status(tracker_db, "Molmo-7B", "Available")
    assert proposed(tracker_db, runs) == {}


@given(
    st.sampled_from(["gt", "proxy", "perf"]),
    st.floats(0, 1, allow_nan=False),
    st.integers(1, 100_000),
    st.sampled_from(STATUS_LADDER),
)
def test_the_words_are_read_back_as_the_score(task: str, value: float, n: int, status: str) -> None:
    metric = {"gt": "cosine", "proxy": "keyword", "perf": "tokens_per_s"}[task]
    runs = Runs()
    runs.score(runs.add(1, "A", task), metric, value, n=n, answered=n)
    found = next(iter(proposals(_one_model(), runs.conn).values()))
    runs.conn.close()
    read, unclear = scores_in_prose(found.words or "", status)
    assert not unclear
    assert [(score.kind, score.metric) for score in read] == [(task, metric)]
    assert read[0].value == pytest.approx(value, abs=0.051 if task == "perf" else 0.00051)
    assert read[0].n == (None if task == "perf" else n)


def _one_model() -> sqlite3.Connection:
    from tests.db.conftest import fresh_database

    conn = fresh_database()
    import_note(conn, b"| Model | Status |\n|--|--|\n| A | TODO |\n", "n.md", "test")
    return conn


def test_several_are_accepted_as_one_change_or_none(tracker_db: sqlite3.Connection, runs: Runs) -> None:
    for number, name in enumerate(("FetalCLIP", "Molmo-7B"), start=1):
        runs.score(runs.add(number, name, ended=-5))
    found = list(proposals(tracker_db, runs.conn).values())
    stale = [(replace(one, current="Local tested") if one.model == "Molmo-7B" else one, None) for one in found]
    with pytest.raises(EditError, match="Molmo-7B"):
        accept_all(tracker_db, stale)
    assert export_note(tracker_db) == default_note()
    assert len(accept_all(tracker_db, [(one, "seen") for one in found])) == 4
    assert proposed(tracker_db, runs) == {}
    undo(tracker_db)
    assert export_note(tracker_db) == default_note()
    assert accept_all(tracker_db, []) == []


@pytest.mark.parametrize(
    ("notes", "words", "wanted"),
    [
        (None, "25.6 tok/s", "25.6 tok/s"),
        ("", "25.6 tok/s", "25.6 tok/s"),
        ("-", "25.6 tok/s", "25.6 tok/s"),
        ("fast", "25.6 tok/s", "fast; 25.6 tok/s"),
        ("fast, 25.6 tok/s here", "25.6 tok/s", "fast, 25.6 tok/s here"),
        ("fast", None, "fast"),
    ],
)
def test_notes_say_nothing_twice(
    tracker_db: sqlite3.Connection, notes: str | None, words: str | None, wanted: str
) -> None:
    model = replace(find_models(tracker_db, "Molmo-7B")[0], notes=notes)
    assert proposed_notes(model, Proposal("Molmo-7B", "TODO", "Tested", 1, "gt", 0.0, words)) == wanted


# ------------------------------------------------------------------ before and after a fine-tune
def asked(runs: Runs, run: int, sha256: str = "same", summary: dict[str, object] | None = None) -> None:
    spec = {"data": {"sha256": sha256}, "generation": {"batch_size": 8}, "model": {"revision": None}}
    runs.conn.execute(
        "UPDATE runs SET spec = ?, summary = ? WHERE id = ?", (json.dumps(spec), json.dumps(summary or {}), run)
    )


def test_a_tuned_model_is_proposed_with_the_score_of_its_base(tracker_db: sqlite3.Connection) -> None:
    runs = Runs()
    for run, value, from_run, sha256 in ((1, 0.31, None, "same"), (2, 0.9, None, "other"), (4, 0.811, 3, "same")):
        runs.score(runs.add(run, "Qwen2-VL-2B", from_run=from_run, ended=float(run)), value=value)
        asked(runs, run, sha256)
    asked(
        runs, runs.add(3, "Qwen2-VL-2B", None, kind="finetune", ended=3.0), summary={"seconds": 3900.2, "samples": 60}
    )
    found = proposals(tracker_db, runs.conn)["Qwen2-VL-2B"]
    assert (found.status, found.run) == ("Fine-tuned", 4)
    assert found.words is not None and found.words.startswith("31.0 → 81.1% GT (600 samples)")
    (stated,), _ = scores_in_prose(found.words, "Fine-tuned")
    assert (stated.value, stated.n) == (0.811, 600)


def test_a_fine_tune_alone_proposes_how_long_it_took_here(tracker_db: sqlite3.Connection) -> None:
    runs = Runs()
    asked(runs, runs.add(3, "Qwen2-VL-2B", None, kind="finetune"), summary={"seconds": 3900.2, "samples": 60})
    assert proposals(tracker_db, runs.conn)["Qwen2-VL-2B"].words == "trained in 1 h 05 min (60 samples)"
