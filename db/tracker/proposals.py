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
    """By model name, what its finished runs propose: the highest step, of several such runs the newest.

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
    for run in sorted(finished, key=lambda run: (_rank(run.step), run.ended, run.run), reverse=True):
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


def score_words(task: str, scores: Sequence[Score]) -> str | None:
    """A run's overall score in the note's own manner: ``81.1% GT (600 samples)``, ``25.6 tok/s``.

    What is not the usual metric of its task is called by its metric, so that nobody takes an exact match for a cosine.
    """
    score = _headline(task, scores)
    if score is None:
        return None
    if score.metric == "tokens_per_s":
        return f"{score.value:.1f} tok/s"
    samples = f"({score.n} samples)"
    if _HEADLINES.get(task) == score.metric and score.value >= 0:
        return f"{score.value * 100:.1f}% {'GT' if task == 'gt' else task} {samples}"
    return f"{task} {score.metric} {score.value:.3f} {samples}"


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
        return Proposal(name, current, run.step, run.run, run.task, run.ended)
    made = [score for score in scores(runs, run.run, overall_only=True) if not score.partial and score.step is None]
    if not made or any(score.answered < score.n * COVERAGE or not score.n for score in made):
        return None
    if any(alarm.kind == "coverage" for score in made for alarm in score.alarms):
        return None  # brought in, and without answers to part of the data
    alarms = dict.fromkeys(alarm.text for score in made for alarm in score.alarms)
    return Proposal(name, current, run.step, run.run, run.task, run.ended, score_words(run.task, made), tuple(alarms))


def _headline(task: str, scores: Sequence[Score]) -> Score | None:
    usual = _HEADLINES.get(task)
    return next((score for score in scores if score.metric == usual), scores[0] if scores else None)
