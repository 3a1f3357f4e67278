"""Commands that change the tracker. The writing is done in a worker thread, never in the event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from db.connect import connect
from fada_tui.commands.targets import items_of, marked_or_chosen, models_of, section_of
from fada_tui.commands.telling import brief
from fada_tui.format import count

if TYPE_CHECKING:
    from db.tracker.rows import Item, Model, Proposal
    from fada_tui.screens.dashboard import Dashboard

Edit = Callable[[sqlite3.Connection], list[str]]


def edit(panel: Dashboard, title: str, change: Edit) -> None:
    """Run one edit on fada.db and say what it changed."""
    home = panel.panel_app.home

    def task() -> list[str]:
        from db.tracker.history import together

        with closing(connect(home.fada_db)) as conn:
            return brief(together(change(conn)))

    panel.panel_app.start_task(title, task)


def mark(panel: Dashboard) -> None:
    """Space: boxes toggle; models open the ladder with the next step chosen; a head without marks folds."""
    selection = panel.selection
    if items := items_of(selection):
        toggle_items(panel, items)
    elif models := models_of(selection):
        choose_status(panel, models, step=1)
    elif selection.section is not None:
        panel.tracker.toggle(selection.section)


def toggle_items(panel: Dashboard, items: Sequence[Item]) -> None:
    """All are done afterwards, unless all were."""
    from db.tracker.edits import set_items

    done = not all(item.done for item in items)
    numbers = [item.number for item in items]
    title = f"Item {numbers[0]}" if len(numbers) == 1 else count(len(numbers), "item")
    edit(panel, title, lambda conn: set_items(conn, numbers, done, "user"))


def status(panel: Dashboard) -> None:
    choose_status(panel, marked_or_chosen(panel.selection), step=0)


def choose_status(panel: Dashboard, models: Sequence[Model], step: int) -> None:
    """Ask for the status of these models; ``step``: how far up the ladder from the lowest the cursor stands."""
    from fada_tui.screens.status import StatusScreen

    def chosen(value: str | None) -> None:
        names = [model.name for model in models if model.status != value]
        if value is None or not names:
            return
        from db.tracker.edits import set_statuses

        edit(panel, _named(models), lambda conn: set_statuses(conn, names, value, "user"))

    if models:
        panel.app.push_screen(StatusScreen(models, step), chosen)


def note(panel: Dashboard) -> None:
    write_note(panel, marked_or_chosen(panel.selection))


def write_note(panel: Dashboard, models: Sequence[Model]) -> None:
    """Ask for the Notes cell of these models: the same text for all."""
    from fada_tui.screens.prompt import PromptScreen

    if not models:
        return
    texts = {model.notes or "" for model in models}
    facts = [f"{len(texts)} different notes; what is written takes their place"] if len(texts) > 1 else []

    def written(text: str | None) -> None:
        if text is None:
            return
        from db.tracker.edits import set_notes

        edit(panel, _named(models), lambda conn: set_notes(conn, [model.name for model in models], text, "user"))

    value = texts.pop() if len(texts) == 1 else ""
    help = f"enter writes it for all {len(models)}" if len(models) > 1 else "enter keeps it"
    panel.app.push_screen(PromptScreen(f"Note of {_named(models)}", value, facts=facts, help=help), written)


def record_measured(panel: Dashboard) -> None:
    """What runs on this machine measured of the model, into its rows on fine-tuning and export."""
    model, home = panel.selection.model, panel.panel_app.home
    if model is None:
        return
    from db.tracker.editing.measures import write_measured
    from db.tracker.measured import measured

    def change(conn: sqlite3.Connection) -> list[str]:
        with closing(connect(home.runs_db, read_only=True)) as runs:
            found = measured(runs, (model.name, *model.aliases))
        written = write_measured(conn, {model.name: found})
        return written or [f"{model.name}: nothing that the note does not say already"]

    edit(panel, model.name, change)


def alias(panel: Dashboard) -> None:
    model = panel.selection.model
    if model is not None:
        write_alias(panel, model)


def write_alias(panel: Dashboard, model: Model) -> None:
    """Ask for another name of the model; one that it has already is taken away."""
    from textual.suggester import SuggestFromList

    from fada_tui.screens.prompt import PromptScreen

    tracker = panel.tracker.tracker
    gone = [other.name for other in tracker.models if other.absent] if tracker else []
    facts = [f"also called {', '.join(model.aliases)}; one of these again takes it away"] if model.aliases else []

    def written(text: str | None) -> None:
        if not text:
            return
        from db.tracker.edits import add_alias, remove_alias

        taken = text in model.aliases
        edit(
            panel,
            model.name,
            lambda conn: remove_alias(conn, text, "user") if taken else add_alias(conn, model.name, text, "user"),
        )

    shown = [name for name in (*model.aliases, *gone) if name.isprintable()]
    suggester = SuggestFromList(shown, case_sensitive=False)
    title = f"Another name of {model.name}"
    prompt = PromptScreen(title, facts=facts, help="enter ties it to the model", suggester=suggester)
    panel.app.push_screen(prompt, written)


def add(panel: Dashboard) -> None:
    from fada_tui.screens.add import AddForm

    tracker = panel.tracker.tracker
    titles = [section.title for section in tracker.sections if not section.is_absent] if tracker else []
    here = section_of(panel.selection)
    chosen = here if here in titles else titles[0] if titles else ""

    def added(result: tuple[str, list[str]] | None) -> None:
        if result is not None:
            name, lines = result
            panel.app.notify("\n".join(brief(lines)), title="Add", markup=False, timeout=4)
            panel.await_model(name)

    panel.app.push_screen(AddForm(panel.panel_app.home, titles, chosen), added)


def proposal(panel: Dashboard) -> None:
    """The dialog of the chosen model's proposal."""
    selection = panel.selection
    if selection.model is not None and selection.proposal is not None:
        decide(panel, selection.model, selection.proposal)


def next_proposal(panel: Dashboard) -> None:
    """Go to the next model, in the order of the note, that a finished run proposes something for, and ask."""
    tracker, proposals = panel.tracker.tracker, panel.tracker.proposals
    found = [model for name in proposals if tracker and (model := tracker.by_name.get(name)) and not model.absent]
    if not found:
        say_none(panel)
        return
    here = panel.selection.model
    place = here.position if here else -1
    chosen = min(found, key=lambda model: (model.position <= place, model.position))
    panel.tracker.bring_out(chosen)
    decide(panel, chosen, proposals[chosen.name])


def say_none(panel: Dashboard) -> None:
    panel.app.notify("no finished run proposes anything", title="Proposal", markup=False, timeout=4)


def decide(panel: Dashboard, model: Model, proposal: Proposal) -> None:
    """Ask whether the model's proposal is taken over, dismissed or left for later."""
    from db.tracker import proposals
    from fada_tui.screens.accept import AcceptScreen, Decision

    def decided(decision: Decision | None) -> None:
        if decision is None:
            return
        if decision.accepted:
            edit(panel, model.name, lambda conn: proposals.accept(conn, proposal, "user", decision.notes))
        else:
            edit(panel, model.name, lambda conn: proposals.dismiss(conn, proposal, "user"))

    panel.app.push_screen(AcceptScreen(model, proposal), decided)


def undo(panel: Dashboard) -> None:
    from db.tracker import edits

    edit(panel, "Undo", edits.undo)


def redo(panel: Dashboard) -> None:
    from db.tracker import edits

    edit(panel, "Redo", edits.redo)


def _named(models: Sequence[Model]) -> str:
    return models[0].name if len(models) == 1 else count(len(models), "model")
