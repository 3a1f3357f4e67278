"""Commands that queue jobs and look at them. Whatever touches files is done in a worker thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fada_tui.commands.targets import marked_or_chosen

if TYPE_CHECKING:
    from db.tracker.rows import Model
    from fada_tui.screens.dashboard import Dashboard
    from fada_tui.screens.suggest import Suggestion


def evaluate(panel: Dashboard) -> None:
    """The marked models, those of marked checklist items, or what the cursor stands on."""
    selection = panel.selection
    models = marked_or_chosen(selection) if selection.pane == "tracker" else ()
    if models:
        evaluate_models(panel, models)
    else:
        _evaluate(panel, panel.suggestion())


def evaluate_models(panel: Dashboard, models: Sequence[Model]) -> None:
    """The form for these models: of several each gets a run of its own."""
    names = [model.name for model in models] if len(models) > 1 else []
    _evaluate(panel, panel.suggestion_for(models[0]), names)


def _evaluate(panel: Dashboard, suggestion: Suggestion, names: Sequence[str] = ()) -> None:
    from fada_tui.screens.evaluate import EvaluateForm

    panel.app.push_screen(EvaluateForm(panel.panel_app.home, suggestion, names), panel.queued)


def finetune(panel: Dashboard) -> None:
    _finetune(panel, panel.suggestion())


def again(panel: Dashboard) -> None:
    """The shown fine-tune once more: the form has its model, data and settings, to be changed."""
    _finetune(panel, replace(panel.suggestion(), again=True))


def finetune_model(panel: Dashboard, model: Model) -> None:
    _finetune(panel, panel.suggestion_for(model))


def _finetune(panel: Dashboard, suggestion: Suggestion) -> None:
    from fada_tui.screens.finetune import FinetuneForm

    panel.app.push_screen(FinetuneForm(panel.panel_app.home, suggestion), panel.queued)


def convert(panel: Dashboard) -> None:
    from fada_tui.screens.convert import ConvertForm

    panel.app.push_screen(ConvertForm(panel.panel_app.home, panel.suggestion()), panel.queued)


def download(panel: Dashboard) -> None:
    model = panel.selection.model
    if model is not None:
        download_model(panel, model)


def download_model(panel: Dashboard, model: Model) -> None:
    """Asks first, and says what it takes; a pickle is agreed to there too."""
    from fada_tui.screens.download import DownloadScreen

    home = panel.panel_app.home
    screen = DownloadScreen(home, model.name)

    def answered(key: str | None) -> None:
        wanted = screen.wanted
        if key is None or wanted is None:
            return

        def task() -> list[str]:
            from backends.jobs.fetching import enqueue_download

            run = enqueue_download(home, wanted, allow_pickle=wanted.found.pickled is not None)
            return [f"queued as #{run}" if run is not None else "all of it is here already"]

        panel.panel_app.start_task(f"Download {model.name}", task)

    panel.app.push_screen(screen, answered)


def demo(panel: Dashboard) -> None:
    home = panel.panel_app.home

    def task() -> list[str]:
        from backends.jobs import queue

        return [f"queued, the last is #{queue.enqueue_demo(home)}; watch them in the Queue"]

    panel.panel_app.start_task("Demo", task)


def log(panel: Dashboard) -> None:
    from fada_tui.screens.log import LogScreen

    run = panel.selection.run
    if run is not None:
        panel.app.push_screen(LogScreen(run))


def samples(panel: Dashboard) -> None:
    from fada_tui.screens.samples import SamplesScreen

    run = panel.selection.run
    if run is not None:
        panel.app.push_screen(SamplesScreen(panel.panel_app.home, run))


def compare(panel: Dashboard) -> None:
    """The run with others that are chosen; of a comparison what it found."""
    from fada_tui.screens.compare import CompareScreen
    from fada_tui.screens.comparepick import PickScreen

    run, view, home = panel.selection.run, panel.run_pane.view, panel.panel_app.home
    if run is not None and run.kind == "eval":
        panel.app.push_screen(PickScreen(home, run))
    elif run is not None and view is not None and view.run.id == run.id and view.compared:
        panel.app.push_screen(CompareScreen(home, view.compared))


def scores(panel: Dashboard) -> None:
    from fada_tui.screens.scores import ScoresScreen

    run = panel.selection.run
    if run is not None:
        panel.app.push_screen(ScoresScreen(panel.panel_app.home, run))
