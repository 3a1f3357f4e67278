"""What a form is filled with before anybody types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from db.tracker.rows import Tracker
from fada_tui.sources.views import RunView, Selection


@dataclass(frozen=True)
class Suggestion:
    """``spec`` is of the run that the Run pane shows: its data is proposed again."""

    model: str = ""
    model_folder: str = ""
    """A checkpoint instead of a name; whether it is still there has to be looked up."""
    adapter: int | None = None
    """The fine-tune whose result is evaluated."""
    spec: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    """The settings of ``spec``, a fine-tune's, are proposed too."""

    @property
    def about(self) -> tuple[str, str, int | None, str]:
        """What a form is about, whatever data it proposes."""
        return self.model, self.model_folder, self.adapter, str(self.spec) if self.again else ""


def suggest(selection: Selection, view: RunView | None, tracker: Tracker | None) -> Suggestion:
    """The chosen model or item's model, else that of the shown run, else the first that is to do."""
    spec = view.spec if view is not None else {}
    if selection.model is not None:
        return Suggestion(selection.model.name, spec=spec)
    if selection.item is not None and selection.item.models:
        return Suggestion(selection.item.models[0], spec=spec)
    run = selection.run
    about_run = selection.pane != "tracker" and view is not None and run is not None and view.run.id == run.id
    if about_run and run is not None and run.kind in ("eval", "finetune", "convert"):
        model = spec.get("model") or {}
        known = {one.name for one in tracker.models} if tracker else set()
        by_name = model.get("name") in known or model.get("loader") == "openai"
        name = str((model.get("name") if by_name else model.get("source")) or "")
        adapter = run.id if run.kind == "finetune" else model.get("from_run")
        if name.startswith("/"):
            return Suggestion(model_folder=name, adapter=adapter, spec=spec)
        return Suggestion(name, adapter=adapter, spec=spec)
    return Suggestion((first_to_do(tracker) if tracker else None) or "", spec=spec)


def first_to_do(tracker: Tracker) -> str | None:
    """The model of the first open item of the checklist."""
    return next((item.models[0] for item in tracker.items if not item.done and item.models), None)
