"""What a key acts on: the marked rows where there are such of the kind, else the row under the cursor."""

from __future__ import annotations

from db.tracker.rows import Item, Model
from fada_tui.sources.views import Selection


def items_of(selection: Selection) -> tuple[Item, ...]:
    """What space ticks: on an item the marked items or itself; on a head the marked items, where they are meant."""
    if selection.item is not None:
        return selection.marked_items or (selection.item,)
    if selection.section is not None and (selection.section.startswith("phase:") or not selection.marked_models):
        return selection.marked_items
    return ()


def models_of(selection: Selection) -> tuple[Model, ...]:
    """What the ladder moves: on a model the marked models or itself; on a head the marked models."""
    if selection.model is not None:
        return selection.marked_models or (selection.model,)
    return selection.marked_models if selection.section is not None else ()


def marked_or_chosen(selection: Selection) -> tuple[Model, ...]:
    """What status, note and evaluate are about: the marked models from any row of the pane, else the chosen one.

    On the checklist, where no model is marked, those that the marked items or the chosen one speak of.
    """
    return selection.marked_models or ((selection.model,) if selection.model is not None else selection.item_models)


def section_of(selection: Selection) -> str | None:
    """The section of the note that the cursor stands in."""
    if selection.model is not None:
        return selection.model.section
    key = selection.section or ""
    return key.removeprefix("section:") if key.startswith("section:") else None


def times(word: str, number: int) -> str:
    """``done``, ``done ×3``."""
    return f"{word} ×{number:,}" if number > 1 else word
