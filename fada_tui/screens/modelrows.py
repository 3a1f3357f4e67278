"""The detail view of a model as rows: from data to lines, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len, chop_cells

from db.runs.rows import Run, Score
from db.tracker.rows import ABSENT_TITLE, Change, DocumentScore, Model, Proposal
from fada_tui.format import duration, number, score
from fada_tui.screens.known import Fit, Known
from fada_tui.screens.weights import Weights, weights_text
from fada_tui.sources.catalogued import catalog_facts
from fada_tui.text import printable
from fada_tui.widgets.line import Line, Row, left, spread, wrap
from fada_tui.widgets.runlines import alarm_lines, score_lines
from fada_tui.widgets.status import state_span, status_span, waiting_for, what

_LABEL = 14
_LINES = 500
"""So many lines of one cell are shown: a cell can hold any amount."""
_INTERNAL = ("kind", "heading", "Model")


def known_rows(known: Known, width: int) -> list[Row]:
    """Every part that has something to say, each under its heading."""
    model = known.detail.model
    parts: list[tuple[str, list[Line]]] = [
        ("", _top(model, known.proposal, width)),
        (f"In the note, line {model.line}", _columns(model, width)),
        ("Scores", _scores(model, known.scores, width)),
        ("Runs", _runs(known.runs, width)),
        ("Checklist", _checklist(known, width)),
        ("Fine-tuning", _routes(known.detail.finetune, width) + _measured(known, "finetune", width)),
        ("Mobile export", _routes(known.detail.mobile, width) + _measured(known, "convert", width)),
        ("Papers", [line for paper in known.detail.papers for line in _folded("  ", paper, width)]),
        ("Catalogue", [*_catalogue(known.catalog, width), *_weights(known.weights, width)]),
        ("VRAM, estimated (GiB: likely, and least to most)", _fits(known, width)),
        ("History", [line for change in known.history for line in change_lines(change, width)]),
    ]
    rows: list[Row] = []
    for title, lines in parts:
        if lines and title:
            rows += [Row(()), Row(((title, "title"),))]
        rows += [Row(line) for line in lines]
    return rows


def change_lines(change: Change, width: int) -> list[Line]:
    """When, who and what; dim with its sign where it was taken back."""
    when = f"{datetime.fromtimestamp(change.time):%Y-%m-%d %H:%M}"
    begin = f"  {'↶' if change.undone else ' '} {when}  {left(change.who, 6)}  "
    text = f"{change.text}  (taken back)" if change.undone else change.text
    return _folded(begin, text, width, token="dim" if change.undone else "")


def _top(model: Model, proposal: Proposal | None, width: int) -> list[Line]:
    token = status_span(model.status)[1]
    place = model.section if not model.absent else ABSENT_TITLE
    lines: list[Line] = [spread(((model.status, token or "title"), (f"  {place}", "dim")), (), width)]
    if model.aliases:
        lines += _folded("also called  ", ", ".join(model.aliases), width)
    if model.absent:
        lines += _folded("", "What follows is what the note said last; an export does not have the model.", width)
    if proposal is not None:
        words = f", {proposal.words}" if proposal.words else ""
        lines += [((f"→ {proposal.status}{words}, by run #{proposal.run}", "accent"), ("  p decides", "dim"))]
        lines += [((text, "alarm"),) for alarm in proposal.alarms for text in wrap(f"⚠ {alarm}", width)]
    return lines


def _columns(model: Model, width: int) -> list[Line]:
    return _labelled({name: text or "–" for name, text in model.columns.items() if name != "Model"}, "  ", width)


def _scores(model: Model, scores: Sequence[Score], width: int) -> list[Line]:
    lines = [_stated(one, width) for one in model.scores]
    for run in dict.fromkeys(one.run for one in scores):
        of_run = [one for one in scores if one.run == run]
        source = f"#{run} " if of_run[0].from_run is None else f"#{run} ←#{of_run[0].from_run} "
        for index, line in enumerate(score_lines(of_run, width - _LABEL - 3)):
            begin = f"{source}{of_run[0].kind}" if index == 0 else ""
            lines.append(((f"  {left(begin, _LABEL)} ", "dim"), *line))
        lines += [(("  ", ""), *line) for line in alarm_lines(of_run, width - 2, limit=20)]
    return lines or [(("  none yet; e evaluates it", "dim"),)]


def _stated(one: DocumentScore, width: int) -> Line:
    about = "~" if one.approximate else ""
    value = f"{number(one.value)} tok/s" if one.metric == "tokens_per_s" else score(one.value)
    asked = f"  n {one.n:,}" if one.n else ""
    said: Line = ((f"  {left(f'note {one.kind}', _LABEL)} ", "dim"), (f"{one.metric} ", "dim"), (f"{about}{value}", ""))
    return spread((*said, (asked, "dim")), ((f"“{one.text}”", "dim"),) if one.text else (), width)


def _runs(runs: Sequence[Run], width: int) -> list[Line]:
    lines: list[Line] = []
    for run in runs:
        sign, token = state_span(run)
        took = duration(run.ended - run.started) if run.ended and run.started else ""
        state = waiting_for(run) if run.is_waiting else run.state
        begin: Line = (
            (f"  {sign} ", token),
            (f"#{run.id} {what(run)} ", ""),
            (run.label, "dim"),
            (f"  {state}", token),
        )
        when = f"{datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}"
        lines.append(spread(begin, ((f"{took:>8}  {when}", "dim"),), width))
    return lines or [(("  none yet; e evaluates it, f fine-tunes it", "dim"),)]


def _checklist(known: Known, width: int) -> list[Line]:
    return [
        line
        for item in known.detail.items
        for line in _folded(f"  [{'x' if item.done else ' '}] {item.number:>2} ", f"{item.text}  ({item.phase})", width)
    ]


def _routes(routes: Iterable[dict[str, str]], width: int) -> list[Line]:
    lines: list[Line] = []
    for route in routes:
        lines += _folded("  ", f"{route['heading']}: {route.get('Model', '')}", width, token="")
        lines += _labelled({name: text for name, text in route.items() if name not in _INTERNAL}, "    ", width)
    return lines


def _measured(known: Known, kind: str, width: int) -> list[Line]:
    """What runs on this machine took, beside what the note says."""
    return [
        line
        for one in known.measured
        if one.kind == kind
        for line in _folded(f"  {left('here', _LABEL)} ", f"{one.words}, #{one.run}", width)
    ]


def _catalogue(catalog: dict[str, Any] | None, width: int) -> list[Line]:
    if catalog is None:
        return _folded("  ", "no entry; add one to catalog.toml in HOME, or give a hub id or a local folder", width)
    facts = catalog_facts(catalog)
    lines = [line for name, text in facts.items() for line in _folded(f"  {left(name, _LABEL)} ", text, width)]
    if catalog["available"]:
        lines.append(((f"  {left('here', _LABEL)} ", "dim"), ("✓ can run", "good")))
    else:
        lines += _folded(f"  {left('here', _LABEL)} ", f"✗ {catalog['reason']}", width, token="bad")
    if catalog["instead"]:
        lines += _folded(f"  {left('instead', _LABEL)} ", catalog["instead"], width)
    return lines


def _weights(weights: Iterable[Weights], width: int) -> list[Line]:
    return [
        line
        for one in weights
        for line in _folded(
            f"  {left('weights' if not one.variant else one.variant, _LABEL)} ", weights_text(one), width, token=""
        )
    ]


def _fits(known: Known, width: int) -> list[Line]:
    """A line for each way of using each checkpoint, beside what the note says."""
    stated = known.detail.model.vram
    lines: list[Line] = []
    for at, one in enumerate(known.fits):
        if one.variant and (at == 0 or known.fits[at - 1].variant != one.variant):
            lines += _folded("  ", one.variant, width, token="")
        lines.append(_fit(one, width))
    if lines and stated:
        lines += _folded(f"  {left('the note', _LABEL)} ", stated, width)
    return lines


def _fit(one: Fit, width: int) -> Line:
    gib = 1 << 30
    sign, token = {"fits": ("✓ ", "good"), "tight": ("~ ", "alarm"), "too large": ("✗ ", "bad")}.get(
        one.verdict, ("", "")
    )
    seen = f", by #{one.seen_in}" if one.seen_in is not None else ""
    figures = f"{one.likely / gib:6.1f}  {one.low / gib:.1f}–{one.high / gib:.1f}{seen}"
    return spread(((f"  {one.work}", ""),), ((sign, token), (figures, "")), width)


def _labelled(cells: Mapping[str, str], indent: str, width: int) -> list[Line]:
    """The table cells that hold something beside the names of their columns, which have the room they need."""
    names = [printable(name) for name, text in cells.items() if text]
    room = min(max(map(cell_len, names), default=0), width // 3)
    label = max(room, _LABEL + 2 - len(indent))
    return [
        line for name, text in cells.items() if text for line in _folded(f"{indent}{left(name, label)} ", text, width)
    ]


def _folded(begin: str, text: str, width: int, token: str = "") -> list[Line]:
    """Text beside its label, over as many lines as it takes; words longer than a line are broken."""
    room = max(10, width - cell_len(begin))
    words = " ".join(piece for word in printable(text).split(" ") for piece in chop_cells(word, room) or [""])
    pieces = wrap(words, room, limit=_LINES)
    indent = " " * cell_len(begin)
    return [((indent if index else begin, "dim"), (piece, token)) for index, piece in enumerate(pieces)]
