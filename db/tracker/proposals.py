"""What finished runs suggest for the tracker: the next step of the ladder, and the score as a note would say it.

Nothing is written until a person accepts; a status that somebody set or a proposal that somebody dismissed after a run
had ended silences that run.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.connect import bump, immediate
from db.runs.queries import scores
from db.runs.rows import Score
from db.tracker.edits import CellChange, edit_cells
from db.tracker.errors import EditError
from db.tracker.history import Entry, record, settled
from db.tracker.rows import STATUS_LADDER, Model, Proposal

COVERAGE = 0.95
"""Share of the questions that must have been answered: below it a score is not ranked and proposes nothing."""
_STEPS = {
    "gt": "Tested",
    "u2bench": "Tested",
    "fetal-gauge": "Tested",
    "zero-shot": "Tested",
    "proxy": "Proxy tested",
    "perf": "Perf tested",
    "finetune": "Fine-tuned",
}
_ASKED = tuple(
    f"json_extract({{0}}.spec, '$.{path}')"
    for path in ("data.sha256", "data.limit", "generation", "scoring", "seed", "model.revision", "model.quantisation")
)
"""What two runs must have alike to be before and after."""
_HEADLINES = {"gt": "cosine", "proxy": "keyword", "perf": "tokens_per_s"}


@dataclass(frozen=True)
class _Finished:
    """A run that ended well, and what it is about."""

    run: int
    task: str
    model: str
    ended: float
    step: str


def proposals(tracker: sqlite3.Connection, runs: sqlite3.Connection) -> dict[str, Proposal]:
    """By model name, what its finished runs propose: the highest step, of several such runs the newest, one of
    speed only where there is no other.

    A model that is not in the note, or is as far already, gets none. Cheap: reads scores only of runs that may propose.

    Args:
        tracker: fada.db.
        runs: runs.db.
    """
    finished = _finished(runs)
    if not finished:
        return {}
    names = _tracked(tracker, {run.model for run in finished})
    statuses = _statuses(tracker, set(names.values()))
    since = settled(tracker)
    found: dict[str, Proposal] = {}
    for run in sorted(finished, key=_worth, reverse=True):
        name = names.get(run.model)
        if name is None or name in found or name not in statuses:
            continue
        if _rank(run.step) <= _rank(statuses[name]) or run.ended <= since.get(name, 0.0):
            continue
        proposal = _proposal(runs, run, name, statuses[name])
        if proposal is not None:
            found[name] = proposal
    return found


def accept(conn: sqlite3.Connection, proposal: Proposal, who: str = "user", notes: str | None = None) -> list[str]:
    """Set the proposed status, and the Notes cell where ``notes`` is given: one change, one undo.

    Returns:
        What changed in words.

    Raises:
        EditError: The model's status is another one by now, or the row cannot be edited.
    """
    return accept_all(conn, [(proposal, notes)], who)


def accept_all(
    conn: sqlite3.Connection, accepted: Sequence[tuple[Proposal, str | None]], who: str = "user"
) -> list[str]:
    """The same for several proposals, each with its Notes cell or None, as one change.

    Raises:
        EditError: As for one; then none was accepted.
    """
    _check_current(conn, [proposal for proposal, _ in accepted])
    changes: list[CellChange] = []
    for proposal, notes in accepted:
        changes.append(CellChange(proposal.model, "status", proposal.status))
        if notes is not None:
            changes.append(CellChange(proposal.model, "notes", notes))
    numbers = ", ".join(f"#{proposal.run}" for proposal, _ in accepted)
    return edit_cells(conn, changes, who, f"from run {numbers}", what="accept") if changes else []


def _check_current(conn: sqlite3.Connection, found: Sequence[Proposal]) -> None:
    statuses = _statuses(conn, {proposal.model for proposal in found})
    for proposal in found:
        now = statuses.get(proposal.model, proposal.current)
        if now != proposal.current:
            raise EditError(
                f"{proposal.model} is {now} by now, no longer {proposal.current}",
                f"look again: `fada model {shlex.quote(proposal.model)}`",
            )


def dismiss(conn: sqlite3.Connection, proposal: Proposal, who: str = "user") -> list[str]:
    """Let the runs that a model has so far propose nothing more; undo brings the proposal back."""
    text = f"{proposal.model}: {proposal.status}, proposed by run #{proposal.run}, dismissed"
    with immediate(conn):
        record(conn, Entry("dismiss", who, text, {}, (proposal.model,), "dismiss"))
        bump(conn, "tracker")
    return [text]


def proposed_notes(model: Model, proposal: Proposal) -> str:
    """The Notes cell with the run's score after what stands there; nothing is said twice."""
    notes = (model.notes or "").strip()
    if proposal.words is None or proposal.words in notes:
        return notes
    return f"{notes}; {proposal.words}" if notes.strip("- ") else proposal.words


def score_words(task: str, scores: Sequence[Score], before: Sequence[Score] = ()) -> str | None:
    """A run's overall score in the note's own manner: ``81.1% GT (600 samples)``, ``25.6 tok/s``.

    Of a fine-tuned model with the scores of its base ``before``: ``31.0 → 81.1% GT (600 samples) [78.0, 84.2]``.
    Its alarms go with it into the note: ``64.0% GT (600 samples) ⚠ collapse ×5``.
    What is not the usual metric of its task is called by its metric, so that nobody takes an exact match for a cosine.
    """
    score = _headline(task, scores)
    return None if score is None else " ".join(filter(None, [_figure(task, score, before), score.alarm_words]))


def _figure(task: str, score: Score, before: Sequence[Score]) -> str:
    if score.metric == "tokens_per_s":
        return f"{score.value:.1f} tok/s"
    samples = f"({score.n} samples)"
    base = next((one for one in before if one.metric == score.metric), None)
    if base is not None:
        return _gained(task, score, base)
    if _HEADLINES.get(task) == score.metric and score.value >= 0:
        return f"{score.value * 100:.1f}% {'GT' if task == 'gt' else task} {samples}"
    return f"{task} {score.metric} {score.value:.3f} {samples}"


def _gained(task: str, score: Score, base: Score) -> str:
    """Before and after, with the interval of what came after; read back from a note it states the latter alone."""
    usual = _HEADLINES.get(task) == score.metric and min(score.value, base.value) >= 0
    low, high = score.ci_low, score.ci_high
    if usual:
        interval = f" [{low * 100:.1f}, {high * 100:.1f}]" if low is not None and high is not None else ""
        sign = "GT" if task == "gt" else task
        return f"{base.value * 100:.1f} → {score.value * 100:.1f}% {sign} ({score.n} samples){interval}"
    interval = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{task} {score.metric} {base.value:.3f} → {score.value:.3f} ({score.n} samples){interval}"


def training_words(runs: sqlite3.Connection, run: int) -> str | None:
    """How long a fine-tune took here, and on how much: ``trained in 1 h 05 min (600 samples)``."""
    row = runs.execute("SELECT summary FROM runs WHERE id = ?", (run,)).fetchone()
    told = json.loads(row[0]) if row and row[0] else {}
    if not isinstance(told.get("seconds"), int | float):
        return None
    samples = f" ({told['samples']} samples)" if told.get("samples") else ""
    return f"trained in {_time_words(told['seconds'])}{samples}"


def _time_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _before(runs: sqlite3.Connection, run: int, task: str) -> list[Score]:
    """Overall scores of the newest finished run that asked the base of a tuned model the same; none where none did."""
    same = " AND ".join(f"{same_part.format('b')} IS {same_part.format('t')}" for same_part in _ASKED)
    row = runs.execute(
        "SELECT b.id FROM runs t JOIN runs b ON b.kind = 'eval' AND b.task = t.task AND b.model = t.model"
        " AND b.state = 'done' AND b.from_run IS NULL"
        f" WHERE t.id = ? AND t.task = ? AND t.from_run IS NOT NULL AND {same} ORDER BY b.id DESC LIMIT 1",
        (run, task),
    ).fetchone()
    if row is None:
        return []
    return [one for one in scores(runs, row[0], overall_only=True) if not one.partial and one.step is None]


def _worth(run: _Finished) -> tuple[int, bool, float, int]:
    """A measurement of speed says nothing of answers: it takes the place of no score, nor of the score's alarms."""
    return _rank(run.step), run.task != "perf", run.ended, run.run


def _rank(status: str) -> int:
    """A step's place on the ladder; the note's own words stand below it."""
    return STATUS_LADDER.index(status) if status in STATUS_LADDER else -1


def _finished(runs: sqlite3.Connection) -> list[_Finished]:
    rows = runs.execute(
        "SELECT id, coalesce(task, kind) AS task, model, coalesce(ended, created) AS ended, from_run FROM runs"
        " WHERE state = 'done' AND archived = 0 AND kind IN ('eval', 'finetune')"
    )
    return [
        _Finished(
            row["id"],
            row["task"],
            row["model"],
            row["ended"],
            _STEPS["finetune"] if row["from_run"] is not None else _STEPS[row["task"]],
        )
        for row in rows
        if row["task"] in _STEPS
    ]


_SPELT = "{0} IN (SELECT value FROM json_each(?))"
_SPELT_ALIKE = "lower({0}) IN (SELECT lower(value) FROM json_each(?))"


def _tracked(tracker: sqlite3.Connection, names: set[str]) -> dict[str, str]:
    """Tracker names by those of runs: the same name or an alias, else one or the other with other capitals."""
    found: dict[str, str] = {}
    for same in (_SPELT, _SPELT_ALIKE):
        for known, model, table in (("name", "name", "models"), ("alias", "model", "aliases")):
            left = names - found.keys()
            # All names of 100,000 models are read only for what stands nowhere as it is written.
            if left:
                rows = tracker.execute(
                    f"SELECT {known}, {model} FROM {table} WHERE {same.format(known)}", (json.dumps(sorted(left)),)
                )
                meant = {row[0].casefold(): row[1] for row in rows}
                found |= {name: meant[name.casefold()] for name in left if name.casefold() in meant}
    return found


def _statuses(tracker: sqlite3.Connection, names: Iterable[str]) -> dict[str, str]:
    rows = tracker.execute(
        "SELECT name, status FROM models WHERE NOT absent AND name IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(names)),),
    )
    return {row["name"]: row["status"] for row in rows}


def _proposal(runs: sqlite3.Connection, run: _Finished, name: str, current: str) -> Proposal | None:
    """None where the run's scores are not there or answer for too little. A fine-tune need not have scored."""
    if run.task == "finetune":
        return Proposal(name, current, run.step, run.run, run.task, run.ended, training_words(runs, run.run))
    made = [score for score in scores(runs, run.run, overall_only=True) if not score.partial and score.step is None]
    if not made or any(score.answered < score.n * COVERAGE or not score.n for score in made):
        return None
    if any(alarm.kind == "coverage" for score in made for alarm in score.alarms):
        return None  # brought in, and without answers to part of the data
    alarms = dict.fromkeys(alarm.text for score in made for alarm in score.alarms)
    words = score_words(run.task, made, _before(runs, run.run, run.task))
    return Proposal(name, current, run.step, run.run, run.task, run.ended, words, tuple(alarms))


def _headline(task: str, scores: Sequence[Score]) -> Score | None:
    usual = _HEADLINES.get(task)
    return next((score for score in scores if score.metric == usual), scores[0] if scores else None)
