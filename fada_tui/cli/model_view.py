"""One model, or all of them, as a JSON document and as text for people."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from db.home import Home
from db.runs.queries import scores
from db.runs.rows import Score
from db.tracker.measured import measured
from db.tracker.proposals import proposals
from db.tracker.rows import ABSENT_TITLE, DocumentScore, Model, ModelDetail
from fada_tui.cli.output import table
from fada_tui.screens.weights import Weights, weights, weights_text
from fada_tui.sources.catalogued import catalog_facts, catalogued
from fada_tui.text import printable


class RunIndex:
    """Ids and final overall scores of the runs, and what they propose, by the model's name or alias, capitals aside."""

    def __init__(self, tracker: sqlite3.Connection, runs: sqlite3.Connection) -> None:
        self.runs = runs
        self.proposals = proposals(tracker, runs)
        self._ids: dict[str, list[int]] = defaultdict(list)
        for row in runs.execute("SELECT id, model FROM runs ORDER BY id"):
            self._ids[row["model"].casefold()].append(row["id"])
        self._scores: dict[str, list[Score]] = defaultdict(list)
        for score in scores(runs, overall_only=True):
            # A growing score is not a result, nor is a held-out score at a step of a training.
            if not score.partial and score.step is None:
                self._scores[score.model.casefold()].append(score)

    def ids_of(self, model: Model) -> list[int]:
        """Its runs, oldest first."""
        return sorted(run for name in _names(model) for run in self._ids.get(name, ()))

    def scores_of(self, model: Model) -> list[Score]:
        """Of its runs, oldest first."""
        found = [score for name in _names(model) for score in self._scores.get(name, ())]
        return sorted(found, key=lambda score: score.run or 0)


def _names(model: Model) -> set[str]:
    return {model.name.casefold(), *(alias.casefold() for alias in model.aliases)}


def summary_document(model: Model, index: RunIndex) -> dict[str, Any]:
    """An element of `fada models --json`."""
    return {
        "name": model.name,
        "section": model.section,
        "size": model.size,
        "size_b": model.size_b,
        "vram": model.vram,
        "vram_gb": model.vram_gb,
        "status": model.status,
        "notes": model.notes,
        "absent": model.absent,
        "scores": [
            *(_stated(score) for score in model.scores),
            *(_measured(score) for score in index.scores_of(model)),
        ],
        "runs": index.ids_of(model),
        "family": model.family,
        "proposal": asdict(proposal) if (proposal := index.proposals.get(model.name)) else None,
    }


def _stated(score: DocumentScore) -> dict[str, Any]:
    return {**asdict(score), "source": "document", "alarms": []}


def _measured(score: Score) -> dict[str, Any]:
    return {
        "kind": score.kind,
        "metric": score.metric,
        "value": score.value,
        "n": score.n,
        "approximate": False,
        "source": score.source,
        "alarms": [asdict(alarm) for alarm in score.alarms],
        "ci_low": score.ci_low,
        "ci_high": score.ci_high,
        "run": score.run,
    }


def model_document(detail: ModelDetail, index: RunIndex, home: Home) -> dict[str, Any]:
    """The document of `fada model NAME --json`."""
    model = detail.model
    return {
        **summary_document(model, index),
        "aliases": list(model.aliases),
        "variants": list(model.variants),
        "line": model.line,
        "items": [
            {"number": item.number, "phase": item.phase, "text": item.text, "done": item.done} for item in detail.items
        ],
        "finetune": list(detail.finetune),
        "mobile": list(detail.mobile),
        "measured": [asdict(one) for one in measured(index.runs, _names(model))],
        "papers": list(detail.papers),
        "columns": model.columns,
        "catalog": _catalog(model, home),
    }


def _catalog(model: Model, home: Home) -> dict[str, Any] | None:
    """What the catalogue says of the model; None where it has no entry."""
    document = catalogued(model, home, _memory_total(home))
    return document and document | {"weights": [asdict(one) for one in weights(document)]}


def _memory_total(home: Home) -> int | None:
    """Bytes of the largest card, or of main memory where there is none."""
    from backends.telemetry.sampler import Sampler

    with Sampler(home) as sampler:
        sample = sampler.sample()
    cards = [gpu.memory_total for gpu in sample.gpus if gpu.memory_total]
    return max(cards) if cards else sample.host.memory_total


def shown_section(model: Model) -> str:
    """The title that the model is listed under."""
    return ABSENT_TITLE if model.absent else model.section


def models_text(models: Sequence[Model], index: RunIndex, *, flat: bool = False) -> str:
    """Models under their sections (``flat``: as one list), with the best score."""
    if not models:
        return "No model fits."
    rows = [
        (f"  {model.name}", model.size, model.vram, _shown_status(model, index), _score_text(model, index), model.notes)
        for model in models
    ]
    header, *lines = table(("  model", "size", "VRAM", "status", "score", "notes"), rows, right=(1, 2)).split("\n")
    text = [header]
    titles = [shown_section(model) for model in models]
    section = None
    for title, line in zip(titles, lines, strict=True):
        if title != section and not flat:
            section = title
            text.append(printable(f"{title}  {titles.count(title)}"))
        text.append(line)
    return "\n".join(text)


def _status_text(model: Model) -> str:
    # In the row too: a line that was searched for stands without its section.
    return f"{model.status} (not in the note)" if model.absent else model.status


def _shown_status(model: Model, index: RunIndex) -> str:
    proposal = index.proposals.get(model.name)
    if proposal is None:
        return _status_text(model)
    return f"{_status_text(model)} → {proposal.status} #{proposal.run}{' ⚠' if proposal.alarms else ''}"


def _score_text(model: Model, index: RunIndex) -> str:
    """What the panel shows as well: the best of the kind that says most, by the metric that the kind is known by."""
    measured = index.scores_of(model)
    if not measured and not model.scores:
        return ""
    # Imported where there is something to choose from: it takes a fifth of a second.
    from fada_tui.widgets.status import best_score

    best = best_score(model, measured)
    if best is None:
        return "not ranked"
    value = f"{best.value:g} tok/s" if best.metric == "tokens_per_s" else f"{best.value:.3f}"
    if best.source == "note":
        return f"{best.kind} {'~' if best.approximate else ''}{value} stated"
    return f"{best.kind} {best.metric} {value}{' ⚠' if best.alarm else ''} {best.source}{best.tuned}"


def model_text(detail: ModelDetail, document: dict[str, Any]) -> str:
    """Everything known of one model, for people."""
    model = detail.model
    lines = [f"{model.name}  {_status_text(model)}"]
    if model.absent:
        lines += [
            f"no longer in the note: what follows is what it said last; it stood in {model.section}",
            "any score that the note stated went with it, and an export does not have the model",
        ]
    else:
        lines.append(f"section: {model.section}")
    if model.aliases:
        lines.append(f"also called: {', '.join(model.aliases)}")
    lines += [f"{column}: {text}" for column, text in model.columns.items() if text and column != "Model"]
    for score in document["scores"]:
        about = "~" if score["approximate"] else ""
        count = f", n {score['n']}" if score["n"] else ""
        run = f", run #{score['run']}" if score.get("run") else ""
        flags = "".join(f" ⚠ {alarm['kind']}" for alarm in score["alarms"])
        lines.append(
            f"score: {score['kind']} {score['metric']} {about}{score['value']:g}{count} ({score['source']}{run}){flags}"
        )
    if document["proposal"]:
        lines.append(_proposal_text(document["proposal"]))
    if document["runs"]:
        lines.append("runs: " + ", ".join(f"#{run}" for run in document["runs"]))
    lines += [f"item {item.number}: [{'x' if item.done else ' '}] {item.text} ({item.phase})" for item in detail.items]
    for word, rows in (("fine-tuning", detail.finetune), ("export", detail.mobile)):
        for row in rows:
            said = "; ".join(f"{key}: {value}" for key, value in row.items() if key not in ("kind", "heading", "Model"))
            lines.append(f"{word}: {row['heading']}" + (f" ({said})" if said else ""))
    lines += [f"measured here: {one['words']} (run #{one['run']})" for one in document["measured"]]
    lines += [f"paper: {paper}" for paper in detail.papers]
    return "\n".join(printable(line) for line in [*lines, *_catalog_lines(document["catalog"])])


def _proposal_text(proposal: dict[str, Any]) -> str:
    words = f", {proposal['words']}" if proposal["words"] else ""
    flags = "".join(f" ⚠ {alarm}" for alarm in proposal["alarms"])
    return f"proposed by run #{proposal['run']}: {proposal['status']}{words}{flags} (`fada accept` or `fada dismiss`)"


def _catalog_lines(catalog: dict[str, Any] | None) -> list[str]:
    if catalog is None:
        return ["catalogue: no entry; add one to catalog.toml in HOME, or give a hub id or a local folder"]
    lines = ["catalogue:", *(f"  {name}: {text}" for name, text in catalog_facts(catalog).items())]
    lines += [
        f"weights{' of ' + one.variant if one.variant else ''}: {weights_text(one, 'fada download')}"
        for one in (Weights(**part) for part in catalog["weights"])
    ]
    if not catalog["available"] and catalog.get("reason"):
        lines.append(f"cannot run here: {catalog['reason']}")
    if catalog.get("instead"):
        lines.append(f"instead: {catalog['instead']}")
    return lines
