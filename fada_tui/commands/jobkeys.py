"""The commands that queue jobs and work the queue."""

from __future__ import annotations

from db.runs.states import SAVING, STOPPING
from fada_tui.commands import jobs, steering
from fada_tui.commands.command import Command, Need
from fada_tui.commands.targets import marked_or_chosen, times
from fada_tui.sources.views import Selection
from fada_tui.widgets.status import is_comparison

_JOBS = "Jobs"
_JOB_PANES = ("queue", "run")


def _evaluate(selection: Selection) -> str:
    return times("evaluate", len(marked_or_chosen(selection)) if selection.pane == "tracker" else 1)


def _kind(words: str, *kinds: str) -> Need:
    return Need(lambda selection: selection.run is not None and selection.run.kind in kinds, words)


def _state(words: str, *states: str) -> Need:
    return Need(lambda selection: selection.run is not None and selection.run.state in states, words)


def _can_export(selection: Selection) -> bool:
    if selection.run is not None and selection.pane in _JOB_PANES:
        return selection.run.kind in ("finetune", "convert")
    return selection.model is not None


def _can_go_on(selection: Selection) -> bool:
    run = selection.run
    if run is None or run.state == "paused":
        return run is not None
    if run.kind not in steering.SAVES and run.task != "download":
        return False
    # One that saves, or is being stopped, says when it can be resumed.
    return run.state in ("failed", "cancelled", "lost") or (run.is_active and run.reason in (STOPPING, SAVING))


def _pause(selection: Selection) -> str:
    return "go on" if selection.run is not None and selection.run.state == "paused" else "pause"


def _hold(selection: Selection) -> str:
    return "let go" if selection.run is not None and selection.run.state == "held" else "hold"


_model = Need(lambda selection: selection.model is not None, "the cursor on a model in the Tracker")
_run = Need(lambda selection: selection.run is not None, "a run: queue one first")
_comparable = Need(
    lambda selection: selection.run is not None and (selection.run.kind == "eval" or is_comparison(selection.run)),
    "an evaluation, or a comparison",
)
_answering = Need(
    lambda selection: selection.run is not None and selection.run.kind != "tool",
    "a run that asks a model: a tool's job has no answers",
)
_finetuned = _kind("a fine-tune", "finetune")
_scored = _kind("an evaluation or a fine-tune", "eval", "finetune")
_resumable = Need(_can_go_on, "a paused run, or one that ended early and keeps its answers or checkpoints")
_ACTIVE = _state("a job that runs", "starting", "running", "paused")
_WAITING = _state("a job that waits", "queued", "held")
_LIVE = _state("a job that waits or runs", "queued", "held", "starting", "running", "paused")
_OVER = _state("a run that is over", "done", "failed", "cancelled", "lost")
_exportable = Need(_can_export, "a fine-tune in the Queue, or the cursor on a model in the Tracker")

JOBS = (
    Command(
        "evaluate",
        ("e",),
        "evaluate",
        "Evaluate a model against reference answers, or all that are marked",
        _JOBS,
        jobs.evaluate,
        footer=20,
        named=_evaluate,
    ),
    Command("finetune", ("f",), "fine-tune", "Fine-tune a model", _JOBS, jobs.finetune, footer=25),
    Command(
        "again",
        ("V",),
        "tune again",
        "Fine-tune again with changes: the form filled with this run's model, data and settings",
        _JOBS,
        jobs.again,
        _JOB_PANES,
        _finetuned,
    ),
    Command(
        "convert",
        ("x",),
        "convert",
        "Export a fine-tune or a model: merged, GGUF or ONNX; the file is checked against the original",
        _JOBS,
        jobs.convert,
        needs=_exportable,
        footer=40,
    ),
    Command(
        "download",
        ("d",),
        "download",
        "Download a model from the hub (says what it takes and what is free, and asks first)",
        _JOBS,
        jobs.download,
        ("tracker",),
        _model,
        footer=47,
    ),
    Command(
        "demo",
        ("D",),
        "Demo",
        "Demo: evaluate, fine-tune and evaluate a tiny model on synthetic ultrasound",
        _JOBS,
        jobs.demo,
    ),
    Command("log", ("l",), "log", "Read and follow the log of the run", _JOBS, jobs.log, needs=_run, footer=30),
    Command(
        "samples",
        ("i",),
        "samples",
        "Walk through the answers: image, question, reference, score; the worst, the wrong, those unlike another run",
        _JOBS,
        jobs.samples,
        needs=_answering,
        footer=31,
    ),
    Command(
        "scores",
        ("w",),
        "scores",
        "Every score of the run with its interval, floors and alarms, and plots of them",
        _JOBS,
        jobs.scores,
        _JOB_PANES,
        _scored,
        footer=32,
    ),
    Command(
        "compare",
        ("v",),
        "compare",
        "Compare the run with others on the questions that they share; of a comparison, what it found",
        _JOBS,
        jobs.compare,
        _JOB_PANES,
        _comparable,
        footer=33,
    ),
    Command(
        "cancel",
        ("c",),
        "cancel",
        "Cancel the job, or have it stop and save (asks first)",
        _JOBS,
        steering.cancel,
        _JOB_PANES,
        _LIVE,
        footer=15,
    ),
    Command(
        "pause",
        ("P",),
        "pause",
        "Stop the job's processes for now, or let them go on; it keeps its memory, so this frees no VRAM",
        _JOBS,
        steering.pause,
        _JOB_PANES,
        _ACTIVE,
        footer=17,
        named=_pause,
    ),
    Command(
        "resume",
        ("R",),
        "resume",
        "Go on: after a pause, or from the last finished sample or checkpoint",
        _JOBS,
        steering.resume,
        _JOB_PANES,
        _resumable,
        footer=15,
    ),
    Command(
        "retry",
        ("r",),
        "retry",
        "Queue the same again under a new number",
        _JOBS,
        steering.retry,
        _JOB_PANES,
        _OVER,
        footer=16,
    ),
    Command(
        "hold",
        ("h",),
        "hold",
        "Hold a waiting job back, or let it go",
        _JOBS,
        steering.hold,
        _JOB_PANES,
        _WAITING,
        footer=17,
        named=_hold,
    ),
    Command(
        "later",
        ("J", "greater_than_sign"),
        "later",
        "Move a waiting job down in the queue",
        _JOBS,
        steering.mover(1),
        _JOB_PANES,
        _WAITING,
        footer=18,
        shown="J >",
    ),
    Command(
        "sooner",
        ("K", "less_than_sign"),
        "sooner",
        "Move a waiting job up in the queue",
        _JOBS,
        steering.mover(-1),
        _JOB_PANES,
        _WAITING,
        footer=19,
        shown="K <",
    ),
    Command("label", ("T",), "tags", "Tags and note of the run", _JOBS, steering.label, _JOB_PANES, _run, footer=40),
    Command(
        "archive",
        ("X",),
        "archive",
        "Put a finished run away, out of the lists; nothing is lost",
        _JOBS,
        steering.archive,
        _JOB_PANES,
        _OVER,
        footer=41,
    ),
    Command(
        "archived",
        ("Z",),
        "Archived",
        "The runs that were put away: look at them, bring them back, delete them",
        _JOBS,
        steering.archived,
    ),
    Command(
        "disk",
        ("F",),
        "Disk",
        "What lies on the disk by kind and run; prune checkpoints and delete runs to free some",
        _JOBS,
        steering.disk,
    ),
    Command(
        "delete",
        ("d",),
        "delete",
        "Delete a finished run and its files (says what that frees, and asks first)",
        _JOBS,
        steering.delete,
        _JOB_PANES,
        _OVER,
        footer=42,
    ),
)
